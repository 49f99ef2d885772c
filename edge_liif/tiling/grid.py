"""How an axis is cut into tiles: cores that partition it, windows that contain each core and its halo.

All windows of an axis have one length, so an engine compiles once. At the rims a window is shifted inwards rather than
padded: the picture's edge then coincides with the window's edge, and the network's own zero padding there is exactly
what the untiled picture would have had.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ..geometry import output_span


@dataclass(frozen=True)
class Segment:
    """One tile along one axis, in LR pixels: core start..stop, window origin; out_start..out_stop in output pixels."""

    start: int
    stop: int
    origin: int
    out_start: int
    out_stop: int


@dataclass(frozen=True)
class Axis:
    """One axis cut into tiles. window: LR pixels of every window."""

    size: int
    out_size: int
    window: int
    segments: tuple[Segment, ...]


def cut_axis(size: int, out_size: int, core: int, halo: int) -> Axis:
    """Cut `size` LR pixels into the fewest nearly equal cores of at most `core`, each with `halo` around it."""
    if core < 1 or halo < 0:
        raise ValueError(f"core {core} and halo {halo} make no tile")
    bounds = balanced(size, core)
    longest = max(b - a for a, b in bounds)
    window = size if len(bounds) == 1 else min(size, longest + 2 * halo)
    segments = []
    for start, stop in bounds:
        out_start, out_stop = output_span(size, out_size, start, stop)
        if out_stop > out_start:
            origin = min(max(start - halo, 0), size - window)
            segments.append(Segment(start, stop, origin, out_start, out_stop))
    return Axis(size, out_size, window, tuple(segments))


def balanced(size: int, longest: int) -> list[tuple[int, int]]:
    """0..size in the fewest pieces of at most `longest`, whose lengths differ by at most one."""
    pieces = -(-size // longest)
    cuts = [size * i // pieces for i in range(pieces + 1)]
    return list(itertools.pairwise(cuts))
