"""What a post-training quantizer is shown: what the fp32 network's two graphs are given for crops of real pictures.

The crops are made as those of `edge-liif compress --calibrate-on`, and the scale is its default; a peer sees nothing
but photographs, where our own recipe keeps its pages and mosaics beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...compress.config import CompressConfig
from ...geometry import Geometry, axis_queries
from ...upscaler import window_reader

SCALE = round(CompressConfig.scale)
# LR pixels at a crop's rim that are not decoded: their features miss what lies beside the crop.
MARGIN = 24
# LR rows of a block of evaluations. Each crop calibrates the decoder with one of its blocks; the crops take turns.
BLOCK = 12


def windows(pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """float32 (1, 3, H, W) in 0..1 of crops (N, H, W, 3): the encoder's inputs."""
    return [window_reader(picture, slice(0, 3))(0, 0, *picture.shape[:2]) for picture in pictures]


def blocks(side: int) -> list[Geometry]:
    """The decoder's blocks of a crop of side x side LR pixels, without its margin."""
    margin = min(MARGIN, side // 4)
    low, high = (SCALE * cell for cell in (margin, side - margin))
    columns = axis_queries(side, SCALE * side, low, high)
    cell = (2 / SCALE, 2 / SCALE)
    step = SCALE * BLOCK
    starts = range(low, high - step + 1, step)
    return [Geometry(axis_queries(side, SCALE * side, start, start + step), columns, cell) for start in starts]


def in_turns(crops: int, side: int) -> Iterator[tuple[int, Geometry]]:
    """Crop's number and block for each call of the decoder."""
    found = blocks(side)
    for crop in range(crops):
        yield crop, found[crop % len(found)]
