"""JPEG coding as a degradation: OpenCV's, with the chroma subsampling asked for."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_liif.errors import UsageError
from edge_liif.evaluate import jpeg_coded, load_rgb


@pytest.fixture(scope="module")
def photo(examples: Path) -> NDArray[np.uint8]:
    return load_rgb(examples / "kodim23.png")[100:261, 200:403]


def error(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_the_lower_the_quality_the_farther(photo: NDArray[np.uint8]) -> None:
    before = photo.copy()
    errors = [error(jpeg_coded(photo, quality), photo) for quality in (10, 30, 60, 95)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 2 * errors[-1] > 0
    assert np.array_equal(photo, before)


@pytest.mark.parametrize(("subsampling", "pillow"), [("4:2:0", 2), ("4:4:4", 0)])
def test_it_is_what_libjpeg_does(photo: NDArray[np.uint8], subsampling: str, pillow: int) -> None:
    coded = jpeg_coded(photo, 40, subsampling)  # type: ignore[arg-type]
    assert coded.shape == photo.shape and coded.dtype == np.uint8 and coded.flags.c_contiguous
    results = {}
    for factor in (0, 2):
        file = io.BytesIO()
        Image.fromarray(photo).save(file, "JPEG", quality=40, subsampling=factor)
        results[factor] = error(np.asarray(Image.open(file)), coded)
    assert results[pillow] < 0.5
    assert min(results, key=results.__getitem__) == pillow


def test_4_2_0_is_usual_and_blurs_colour_only() -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2, 0], stripes[:, 1::2, 2] = 200, 200
    assert np.array_equal(jpeg_coded(stripes, 95), jpeg_coded(stripes, 95, "4:2:0"))
    assert error(jpeg_coded(stripes, 95), stripes) > 10 * error(jpeg_coded(stripes, 95, "4:4:4"), stripes)


def test_red_stays_red() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 220
    assert np.abs(jpeg_coded(red, 90).astype(int) - red).max() < 6


def test_odd_sizes_and_views(photo: NDArray[np.uint8]) -> None:
    for picture in (photo[:1, :1], photo[:17, :33], photo[::-2, ::3]):
        assert jpeg_coded(picture, 50).shape == picture.shape


@pytest.mark.parametrize("quality", [0, 101, -1, 50.5])
def test_impossible_qualities(photo: NDArray[np.uint8], quality: float) -> None:
    with pytest.raises(UsageError, match="quality"):
        jpeg_coded(photo, quality)  # type: ignore[arg-type]


def test_other_pictures_and_subsamplings_are_refused(photo: NDArray[np.uint8]) -> None:
    for wrong in (photo[..., 0], photo[..., :2], photo.astype(np.float32), photo[:0]):
        with pytest.raises(UsageError, match="uint8 pictures"):
            jpeg_coded(wrong, 50)
    with pytest.raises(UsageError, match="subsampling"):
        jpeg_coded(photo, 50, "4:1:1")  # type: ignore[arg-type]
