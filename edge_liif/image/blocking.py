"""The grid of 8x8 blocks that JPEG leaves in pixels, found without knowing where it starts.

Between two blocks a step remains. It is looked for by a vote: a boundary between two pixels gets one if the third
difference across it is larger than at the three boundaries to either side. Pictures vote for all eight positions of
the grid alike, block edges for one. A vote counts the same in strong texture and in faint, so texture does not drown
the edges, and texture of another period spreads over all positions. Both axes must agree. Taken for JPEG, wrongly, are
faint tiles of 8 pixels under noise and, sometimes, bicubic enlargements by exactly 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST_SIDE = 64
"""Pixels. With less than 8 blocks a side, chance decides; callers should not ask."""
FEWEST_VOTES = 32

# Luma is held in sixteenths of a level: whole levels would make ties of the faint differences that tell.
_UNIT = 16
# Steps above 20 levels (40 in the third difference, times _UNIT) are edges of things drawn: half of the coarsest luma
# step at quality 10 is 8 levels (T.81, K.1), and screenshots have their own grids.
_LARGEST = 40 * _UNIT
# Flat beside the step: pixel art enlarged 8 times. JPEG leaves something in most blocks, and its flat ones are spared.
_FLAT = _UNIT // 2
# A boundary is compared with this many on either side.
_REACH = 3

# Calibrated on Set14, Kodak, B100, Urban100 and the training pictures, reduced by 2 and 3 so that no JPEG is left in
# them: none of 194, and none of 2,520 crops of 64 to 192 pixels, exceeded these two.
DETECTED = 0.06
_CHANCE = 1.5
# Medians of the score after coding those pictures at the libjpeg qualities given, 4:2:0.
_QUALITIES = (10, 20, 30, 40, 60, 80, 90, 95)
_SCORES = (0.77, 0.64, 0.53, 0.45, 0.36, 0.2, 0.075, 0.02)


@dataclass(frozen=True)
class Blocking:
    """How much of a grid there is. score: 0 (none) to 1, by how large a share of the votes the best position leads the
    next, in the axis where it leads less; detected: whether chance and clean pictures don't explain that."""

    score: float
    detected: bool

    @property
    def quality(self) -> int | None:
        """The libjpeg quality 1..100 that usually leaves this score: rough (often off by 20), falling as the score
        rises; None where nothing was detected."""
        if not self.detected:
            return None
        return round(float(np.interp(self.score, _SCORES[::-1], _QUALITIES[::-1])))


def luma16(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.int16]:
    """BT.601 luma, which JPEG codes, in sixteenths of an 8-bit level, 0..4080: (H, W) of pixels (H, W, 1..4)."""
    wide = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]
    eight = (wide >> 8).astype(np.uint16) if pixels.dtype == np.uint16 else wide.astype(np.uint16)
    if eight.shape[2] == 1:
        return (eight[..., 0] * _UNIT).astype(np.int16)
    # The weights add up to 256, so the sum just fits 16 bits.
    return ((77 * eight[..., 0] + 150 * eight[..., 1] + 29 * eight[..., 2]) >> 4).astype(np.int16)


def grid_votes(luma: NDArray[np.int16]) -> NDArray[np.int64]:
    """Votes (2, 8) of `luma16`'s luma: for horizontal and vertical grids, by the position 0..7 (mod 8) of the first
    pixel behind the boundary."""
    return np.stack([_votes_between_rows(luma), _votes_between_rows(np.ascontiguousarray(luma.T))])


def blocking(votes: NDArray[np.int64], without: int | None = None) -> Blocking | None:
    """What `grid_votes` say; None (unknown) if there are too few, as in flat and drawn pictures.

    without: a position that is left out: the grid of the file itself, where an older one is looked for.
    """
    if without is not None:
        votes = np.delete(votes, without, axis=1)
    totals = votes.sum(axis=1)
    fewest = int(totals.min())
    if fewest < FEWEST_VOTES:
        return None
    ordered = np.sort(votes, axis=1)
    # Twice and four times enlarged pictures prefer several positions, and then the lead is small.
    score = float(((ordered[:, -1] - ordered[:, -2]) / totals).min())
    return Blocking(round(score, 4), score >= max(DETECTED, _CHANCE / math.sqrt(fewest)))


def _votes_between_rows(luma: NDArray[np.int16]) -> NDArray[np.int64]:
    """Votes (8,) for horizontal grid lines, by the row below the line, mod 8."""
    if luma.shape[0] < 4 + 2 * _REACH:
        return np.zeros(8, np.int64)
    step = np.abs(luma[:-3] - luma[3:] + 3 * (luma[2:-1] - luma[1:-2]))  # at most 4 * 4080: fits
    middle = step[_REACH:-_REACH]
    rows = len(middle)

    def beside(distance: int) -> NDArray[np.int16]:
        above = step[_REACH - distance : _REACH - distance + rows]
        below = step[_REACH + distance : _REACH + distance + rows]
        return np.maximum(above, below)

    # A bare step shows in the third differences at distance 1 too; what lies within the blocks starts at 2.
    within = np.maximum(beside(2), beside(3))
    vote = (middle > beside(1)) & (middle > within) & (within >= _FLAT) & (middle < _LARGEST)
    by_line = np.count_nonzero(vote, axis=1)
    # The line between rows i + 1 and i + 2 belongs to the third difference number i.
    first = _REACH + 2
    lines = rows // 8  # the same number for every position
    by_position = np.sort(by_line[: 8 * lines].reshape(lines, 8), axis=0)
    # Without the strongest eighth of each position: a frame or a horizon is one line with votes along all of it.
    kept = by_position[: lines - -(-lines // 8)]
    return np.roll(kept.sum(axis=0), first).astype(np.int64)
