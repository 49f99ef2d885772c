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
    """One tile along one axis: its core start..stop in LR pixels, its output pixels out_start..out_stop."""

    start: int
    stop: int
    out_start: int
    out_stop: int


@dataclass(frozen=True)
class Axis:
    """One axis cut into tiles. window: LR pixels of every window; halo: of them, beyond each end of a core."""

    size: int
    out_size: int
    window: int
    halo: int
    segments: tuple[Segment, ...]

    def origin(self, segment: Segment) -> int:
        """First LR pixel of a segment's window, shifted inwards at the rims."""
        return min(max(segment.start - self.halo, 0), self.size - self.window)

    @property
    def longest_core(self) -> int:
        return max(s.stop - s.start for s in self.segments)

    @property
    def longest_output(self) -> int:
        return max(s.out_stop - s.out_start for s in self.segments)

    def piece(self, start: int, stop: int) -> Segment:
        """Part of a segment as one of its own."""
        return Segment(start, stop, *output_span(self.size, self.out_size, start, stop))


def cut_axis(size: int, out_size: int, core: int, halo: int) -> Axis:
    """Cut `size` LR pixels into the fewest nearly equal cores of at most `core`, each with `halo` around it."""
    if core < 1 or halo < 0:
        raise ValueError(f"core {core} and halo {halo} make no tile")
    bounds = balanced(size, core)
    segments = []
    for start, stop in bounds:
        out_start, out_stop = output_span(size, out_size, start, stop)
        if out_stop > out_start:
            segments.append(Segment(start, stop, out_start, out_stop))
    # at the rims a core needs its halo on one side only
    window = max(min(s.stop + halo, size) - max(s.start - halo, 0) for s in segments)
    return Axis(size, out_size, window, halo, tuple(segments))


def stepped(size: int, step: int) -> list[tuple[int, int]]:
    """0..size in pieces of `step`, the last perhaps shorter."""
    return [(start, min(start + step, size)) for start in range(0, size, step)]


def balanced(size: int, longest: int) -> list[tuple[int, int]]:
    """0..size in the fewest pieces of at most `longest`, whose lengths differ by at most one."""
    pieces = -(-size // longest)
    cuts = [size * i // pieces for i in range(pieces + 1)]
    return list(itertools.pairwise(cuts))
