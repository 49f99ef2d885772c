"""Reading and writing pictures of 1200 x 800, every format."""

from __future__ import annotations

import io

import numpy as np
import pytest

from edge_liif.image.read import read
from edge_liif.image.write import RowWriter

WIDTH, HEIGHT, BAND = 1200, 800, 200
FORMATS = ("png", "jpeg", "tiff", "webp")


def _photograph() -> np.ndarray:
    """Neither flat nor noise: a smooth picture with some grain, as photographs are."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    smooth = 128 + 60 * np.sin(rows / 37)[..., None] + 50 * np.sin(columns[..., None] / 53 + np.arange(3))
    return (smooth + rng.normal(0, 4, (HEIGHT, WIDTH, 3))).clip(0, 255).astype(np.uint8)


def _encoded(fmt: str) -> bytes:
    rows, out = _photograph(), io.BytesIO()
    with RowWriter(out, fmt, WIDTH, HEIGHT, 3, 8) as writer:
        for start in range(0, HEIGHT, BAND):
            writer.write(rows[start : start + BAND])
        writer.commit()
    return out.getvalue()


@pytest.mark.parametrize("fmt", FORMATS)
def test_write(benchmark, fmt: str) -> None:
    benchmark.group = f"write {WIDTH}x{HEIGHT} RGB"
    benchmark(_encoded, fmt)


@pytest.mark.parametrize("fmt", FORMATS)
def test_read(benchmark, fmt: str) -> None:
    benchmark.group = f"read {WIDTH}x{HEIGHT} RGB"
    data = _encoded(fmt)
    picture = benchmark(read, data, max_pixels=WIDTH * HEIGHT)
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
