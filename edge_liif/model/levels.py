"""A weight tensor as whole levels and one scale per output channel, and back, without losing a bit.

Networks in memory hold float32 only, so that every engine runs a compressed one unchanged. A file needs the levels:
they are found again from the floats, exactly, or the tensor is refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .quantization import WeightQuantization

_ONE = np.ones(1, np.float32)
# The true scale is at most two float32 numbers from peak / level: the peak was rounded twice, the quotient once. The
# third is margin.
_NEIGHBOURS = (0, 1, -1, 2, -2, 3, -3)
# In units of the scale: far above what rounding makes of 127 levels (3e-5), far below half a level.
_NEAR_A_LEVEL = 2.0**-12
_LARGEST_FLOAT = np.int32(0x7F7FFFFF)  # its bits


def from_levels(
    levels: NDArray[np.int8], scale: NDArray[np.float32], factors: NDArray[np.float32] = _ONE
) -> NDArray[np.float32]:
    """float32 of the shape of `levels` (O, ...): each times the scale (O) of its output channel, rounded, over the
    factors (broadcast over levels), rounded."""
    with np.errstate(over="ignore"):  # a network refuses numbers that are not finite, and says which
        return levels.astype(np.float32) * scale.reshape(-1, *[1] * (levels.ndim - 1)) / factors


def to_levels(
    weight: NDArray[np.float32], quantization: WeightQuantization, factors: NDArray[np.float32] = _ONE
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Levels int8 (O, ...) and scales float32 (O) from which, with the factors, `from_levels` makes `weight` (O, ...)
    exactly. Factors are above 0, at most 1, and the same for every output channel; with others than powers of two that
    needs scales of 2^-126 or more.

    Where several pairs do it (levels 2 and 4 are also 1 and 2 at twice the scale) the one with the largest levels is
    taken, so the answer depends on the floats alone. A channel of zeros gets scale 1.
    Raises ModelError if there is no such pair: `weight` was not made of levels of these bits and a float32 scale.
    """
    rows = weight.reshape(weight.shape[0], -1)
    over = np.broadcast_to(factors, (1, *weight.shape[1:])).reshape(1, -1)
    grown = rows * over.astype(np.float64)
    peak = np.abs(grown).max(axis=1)
    levels = np.zeros(rows.shape, np.int8)
    scale = np.ones(len(rows), np.float32)
    unsolved = np.flatnonzero(peak)
    # The largest weight of a channel is some level times the scale: try them all, from the one quantizers aim at.
    for top in range(quantization.largest, 0, -1):
        if not unsolved.size:
            break
        solved = np.zeros(len(rows), bool)
        ratio = grown[unsolved] * (top / peak[unsolved])[:, None]
        nearest = np.rint(ratio)
        likely = (np.abs(ratio - nearest) < _NEAR_A_LEVEL).all(axis=1)
        channels, trial = unsolved[likely], nearest[likely].astype(np.int8)
        middle = (peak[channels] / top).astype(np.float32)
        for step in _NEIGHBOURS:
            if not channels.size:
                break
            # neighbours in float32 are neighbours as integers, for numbers above zero
            candidate = np.clip(middle.view(np.int32) + np.int32(step), 1, _LARGEST_FLOAT).view(np.float32)
            fits = (from_levels(trial, candidate, over) == rows[channels]).all(axis=1)
            levels[channels[fits]] = trial[fits]
            scale[channels[fits]] = candidate[fits]
            solved[channels[fits]] = True
            channels, trial, middle = channels[~fits], trial[~fits], middle[~fits]
        unsolved = unsolved[~solved[unsolved]]
    if unsolved.size:
        raise ModelError(
            f"output channel {unsolved[0]} is not made of whole levels -{quantization.largest}.."
            f"{quantization.largest} times one float32 scale over its inputs' factors"
        )
    return levels.reshape(weight.shape), scale
