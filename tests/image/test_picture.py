"""Headers and pictures from arrays."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from edge_liif.errors import ImageError
from edge_liif.image.picture import Header, Picture


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 2), (4, 5, 3), (4, 5, 4), (1, 1)])
def test_arrays_are_taken_without_a_copy(shape: tuple[int, ...], dtype: type) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    picture = Picture.from_array(array)
    bands = shape[2] if len(shape) == 3 else 1
    assert picture.pixels.shape == (shape[0], shape[1], bands)
    assert np.shares_memory(picture.pixels, array)
    header = picture.header
    assert (header.width, header.height, header.bands, header.depth) == (shape[1], shape[0], bands, array.itemsize * 8)
    assert header.has_alpha == (bands in (2, 4))
    assert header.is_grey == (bands < 3)
    assert header.array_bytes == array.nbytes


def test_other_memory_orders_become_contiguous() -> None:
    array = np.arange(60, dtype=">u2").reshape(4, 5, 3)[::-1, ::2]
    picture = Picture.from_array(array)
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.dtype == np.uint16
    assert np.array_equal(picture.pixels, array)


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        (np.zeros((4, 5, 3), np.float32), "multiply to 0..255 and convert to uint8"),
        (np.zeros((4, 5, 3), np.float64), "multiply to 0..255"),
        (np.zeros((4, 5), bool), "multiply by 255"),
        (np.zeros((4, 5), np.int64), "scale to 0..255"),
        (np.zeros((4, 5), complex), "pass uint8 or uint16"),
        (np.zeros((3, 40, 50), np.uint8), "move the channel axis last"),
        (np.zeros((40, 50, 5), np.uint8), "5 channels"),
        (np.zeros((2, 4, 5, 3), np.uint8), "4 axes"),
        (np.zeros(7, np.uint8), "1 axes"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        ([[1, 2], [3, 4]], "numpy.asarray"),
    ],
)
def test_other_arrays_are_refused_with_advice(array: object, advice: str) -> None:
    with pytest.raises(ImageError, match=r"^array: ") as caught:
        Picture.from_array(array)  # type: ignore[arg-type]
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)


def test_header_is_immutable() -> None:
    with pytest.raises(AttributeError):
        Header(1, 1, 1, 8, "png", "x").width = 2  # type: ignore[misc]


def test_importing_the_package_loads_neither_library() -> None:
    code = (
        "import sys, edge_liif.image, edge_liif.image.read, edge_liif.image.write, edge_liif.image.alpha;"
        "sys.exit(bool({'pyvips', 'cv2', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
