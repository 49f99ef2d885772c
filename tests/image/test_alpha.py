"""Colour bleeding and compositing, against brute force."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_liif.image import alpha as module
from edge_liif.image.alpha import bled, bleed_colour, composite
from edge_liif.image.pixel_file import PixelFile


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 3])
def test_transparent_pixels_get_the_nearest_visible_colour(bands: int, dtype: type) -> None:
    rng = np.random.default_rng(3)
    rgb = rng.integers(0, np.iinfo(dtype).max, (23, 31, bands)).astype(dtype)
    alpha = (rng.random((23, 31)) < 0.05).astype(dtype) * 200
    before = rgb.copy()
    bled = bleed_colour(rgb, alpha)
    assert np.array_equal(rgb, before)
    assert bled.dtype == dtype
    seen = np.argwhere(alpha > 0)
    for y, x in np.ndindex(alpha.shape):
        if alpha[y, x]:
            assert np.array_equal(bled[y, x], rgb[y, x])
            continue
        distances = np.hypot(*(seen - (y, x)).T)
        # The 5x5 chamfer distance is within 2.5 % of the Euclidean one.
        close = seen[distances <= distances.min() * 1.05 + 1e-6]
        assert any(np.array_equal(bled[y, x], rgb[j, i]) for j, i in close)


def test_one_visible_pixel_colours_everything() -> None:
    rgb = np.zeros((5, 7, 3), np.uint8)
    rgb[2, 3] = (10, 20, 30)
    alpha = np.zeros((5, 7), np.uint8)
    alpha[2, 3] = 1
    assert (bleed_colour(rgb, alpha) == (10, 20, 30)).all()


@pytest.mark.parametrize("value", [0, 1, 255])
def test_nothing_to_do_returns_the_input(value: int) -> None:
    rgb = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert bleed_colour(rgb, np.full((4, 5), value, np.uint8)) is rgb


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1)])
def test_thin_pictures(shape: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    alpha = np.zeros(shape, np.uint8)
    alpha[0, 0] = 9
    assert (bleed_colour(rgb, alpha) == rgb[0, 0]).all()


@settings(max_examples=60, deadline=None)
@given(
    depth=st.sampled_from([8, 16]),
    bands=st.sampled_from([2, 4]),
    background=st.tuples(*[st.integers(0, 255)] * 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_composite_is_exact(depth: int, bands: int, background: tuple[int, int, int], seed: int) -> None:
    top = 2**depth - 1
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, top + 1, (2, 3, bands)).astype(np.uint8 if depth == 8 else np.uint16)
    rows[0, 0, -1], rows[0, 1, -1] = 0, top
    mixed = composite(rows, background)
    grey = bands == 2 and len(set(background)) == 1
    assert mixed.shape == (2, 3, 1 if grey else 3)
    assert mixed.dtype == rows.dtype
    for y, x, band in np.ndindex(mixed.shape):
        colour, alpha = int(rows[y, x, band if bands == 4 else 0]), int(rows[y, x, -1])
        under = background[band] * (top // 255)
        exact = Fraction(colour * alpha + under * (top - alpha), top)
        assert mixed[y, x, band] == int(exact + Fraction(1, 2))


def test_composite_extremes_do_not_overflow() -> None:
    rows = np.full((1, 1, 4), 65535, np.uint16)
    assert (composite(rows, (255, 255, 255)) == 65535).all()
    rows[..., 3] = 32768
    assert (composite(rows, (255, 255, 255)) == 65535).all()


def test_rows_without_alpha_pass() -> None:
    rows = np.zeros((2, 2, 3), np.uint8)
    assert composite(rows, (1, 2, 3)) is rows


@pytest.mark.parametrize("bands", [2, 4])
def test_bleeding_in_bands(bands: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in one piece, wherever visible pixels are as near as bands look; a file as an array."""
    monkeypatch.setattr(module, "_BAND_PIXELS", 20 * 31)
    rng = np.random.default_rng(5)
    pixels = rng.integers(1, 256, (400, 31, bands)).astype(np.uint8)
    pixels[..., -1] = (rng.random((400, 31)) < 0.02) * 9
    whole = bleed_colour(pixels[..., :-1], pixels[..., -1])
    result = bled(pixels)
    assert np.array_equal(result, whole)
    stored = PixelFile(pixels.shape, pixels.dtype, tmp_path)
    stored[:, :] = pixels
    found = bled(stored)
    assert isinstance(found, PixelFile) and np.array_equal(found[:, :], whole)


@pytest.mark.parametrize("value", [0, 7])
def test_nothing_to_bleed(value: int, tmp_path: Path) -> None:
    pixels = np.full((40, 31, 4), value, np.uint8)
    assert bled(pixels) is pixels
    stored = PixelFile(pixels.shape, pixels.dtype, tmp_path)
    stored[:, :] = pixels
    assert bled(stored) is stored
