"""Where each output pixel looks in the feature map, per axis.

LIIF (arXiv 2012.09161, section 3) predicts an output pixel from its four nearest feature cells, each prediction
weighted by the area of the rectangle opposite to it. Everything about that choice is separable by axis: along each axis
an output position has two neighbours with a cell index, a relative offset and a weight, and the four area weights are
the outer product of the two pairs. So no per-pixel coordinate grid is ever made.

Offsets are ratios of integers built from *global* pixel numbers, so they are exact at any size, the same for every
tiling, and an evaluation whose weight is zero (the centre row and column of each cell at odd integer scales) is known
to be zero and is skipped.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The reference moves every query by this much (in the image's -1..1) before it looks for the nearest cell, which
# breaks ties towards the larger index, and keeps the moved query this far inside the image.
TIE_SHIFT = 1e-6


@dataclass(frozen=True)
class AxisQueries:
    """The evaluations that a run of N output positions needs along one axis (N <= E <= 2 N).

    index:  int32[E], feature cell of each evaluation, relative to the origin asked for
    offset: float64[E], (position - cell centre) in units where a cell is 2 wide (LIIF's rel_coord)
    first, second: int32[N], the two evaluations mixed into each output position (equal where one is enough)
    weight: float64[N], share of `second`; `first` has 1 - weight
    """

    index: NDArray[np.int32]
    offset: NDArray[np.float64]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    weight: NDArray[np.float64]

    @property
    def evaluations(self) -> int:
        return len(self.index)

    @property
    def positions(self) -> int:
        return len(self.first)

    def padded(self, evaluations: int, positions: int) -> AxisQueries:
        """The same queries with repeats of the last ones appended, for engines compiled for a fixed shape."""

        def pad(values: NDArray, size: int) -> NDArray:
            return values if size == len(values) else np.pad(values, (0, size - len(values)), mode="edge")

        return AxisQueries(
            pad(self.index, evaluations),
            pad(self.offset, evaluations),
            pad(self.first, positions),
            pad(self.second, positions),
            pad(self.weight, positions),
        )

    def by_cell(self, pattern: CellPattern, cells: int) -> AxisQueries:
        """The same queries with the evaluations arranged by cell: `pattern.per_cell` places for each of `cells` cells
        in a row, from the first that is read. Places that no query needs repeat an offset.

        `cells` is at least the number of cells from the first read to the last.
        """
        per_cell, start = pattern.per_cell, int(self.index.min())
        if pattern.offsets is not None:
            place = np.searchsorted(pattern.offsets, self.offset)
            offset = np.tile(pattern.offsets, cells)
        else:
            # rank among the evaluations of the same cell
            order = np.argsort(self.index, kind="stable")
            ordered = self.index[order]
            place = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
            offset = np.zeros(cells * per_cell)
        place += (self.index - start) * per_cell
        offset[place] = self.offset
        last = int(self.index.max())
        index = np.repeat(np.minimum(np.arange(start, start + cells), last).astype(np.int32), per_cell)
        first, second = (place[each].astype(np.int32) for each in (self.first, self.second))
        return AxisQueries(index, offset, first, second, self.weight)

    def mix(self, values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        """Ensemble along one axis: E evaluations of `values` on `axis` become N positions."""
        shape = [1] * values.ndim
        shape[axis] = self.positions
        share = self.weight.astype(values.dtype).reshape(shape)
        first = np.take(values, self.first, axis=axis)
        mixed = np.take(values, self.second, axis=axis)
        mixed -= first
        mixed *= share
        mixed += first
        return mixed


@dataclass(frozen=True)
class CellPattern:
    """How evaluations along a whole axis fall into cells: at most `per_cell` in each. offsets: so many, ascending, if
    no others occur in any cell, as at integer scales; else None."""

    per_cell: int
    offsets: tuple[float, ...] | None


@dataclass(frozen=True)
class Geometry:
    """Everything a decoder needs to know about a block of output pixels.

    cell: (rows, columns), size of an output pixel where a feature cell is 2 wide, i.e. 2 / scale per axis
    """

    rows: AxisQueries
    columns: AxisQueries
    cell: tuple[float, float]


def axis_queries(in_size: int, out_size: int, start: int, stop: int, origin: int = 0) -> AxisQueries:
    """Neighbours, offsets and weights of output positions start..stop-1 along an axis of in_size cells.

    `origin` is subtracted from the cell indices (the first cell of the tile's window).
    """
    if not 0 <= start < stop <= out_size or in_size < 1:
        raise ValueError(f"positions {start}..{stop} are not inside an axis of {out_size}")
    # Units: half a cell divided by out_size, so that positions and cell centres are integers:
    # position Y lies at in_size * (2 Y + 1), the centre of cell i at out_size * (2 i + 1).
    position = in_size * (2 * np.arange(start, stop, dtype=np.int64) + 1)
    index = [_nearest_cell(position / (in_size * out_size) - 1.0, in_size, side) for side in (-1, 1)]
    numerator = [position - out_size * (2 * i + 1) for i in index]
    distance = [np.abs(n) for n in numerator]
    total = distance[0] + distance[1]
    # The area weight of a neighbour is the distance to the *other* one. At the rim both are the same cell: one
    # evaluation serves, whatever the split.
    share_second = np.where(total > 0, distance[0] / np.maximum(total, 1), 0.0)
    share_second[index[0] == index[1]] = 0.0
    need_first = share_second < 1.0
    need_second = share_second > 0.0
    needed = np.stack([need_first, need_second], axis=1)
    slot = (np.cumsum(needed.ravel()) - 1).reshape(needed.shape)
    first = np.where(need_first, slot[:, 0], slot[:, 1])
    second = np.where(need_second, slot[:, 1], slot[:, 0])
    pick = needed.ravel()
    return AxisQueries(
        index=(np.stack(index, axis=1).ravel()[pick] - origin).astype(np.int32),
        offset=np.stack(numerator, axis=1).ravel()[pick] / out_size,
        first=first.astype(np.int32),
        second=second.astype(np.int32),
        weight=share_second,
    )


_PIECE = 1 << 16


def axis_pieces(in_size: int, out_size: int) -> Iterator[tuple[int, AxisQueries]]:
    """(first position, queries) of a whole axis, piece by piece: an axis of millions would take gigabytes at once."""
    for start in range(0, out_size, _PIECE):
        yield start, axis_queries(in_size, out_size, start, min(start + _PIECE, out_size))


def cells_read(in_size: int, out_size: int, positions: int) -> int:
    """Most cells, from the first to the last, that so many neighbouring output positions read along an axis."""
    # their centres lie (positions - 1) / scale cells apart, and each reads the cells before and behind it
    return min(in_size, (positions - 1) * in_size // out_size + 3)


# Places for evaluations that nobody needs, as a share of those needed, that arranging them by cell may cost. What it
# saves is a fifth of the decoder's time.
MOST_SPARE_PLACES = 0.12


@functools.lru_cache(maxsize=8)
def cell_pattern(in_size: int, out_size: int) -> CellPattern:
    """The pattern of an axis by which evaluations are worth arranging by cell, or one evaluation per place."""
    in_cell = np.zeros(in_size, np.int32)
    for _, queries in axis_pieces(in_size, out_size):
        first = queries.index.min()
        counts = np.bincount(queries.index - first)
        in_cell[first : first + len(counts)] += counts.astype(np.int32)
    per_cell = int(in_cell.max())
    if per_cell * in_size > (1 + MOST_SPARE_PLACES) * int(in_cell.sum(dtype=np.int64)):
        return SCATTERED
    offsets: set[float] = set()
    for _, queries in axis_pieces(in_size, out_size):
        offsets.update(np.unique(queries.offset).tolist())
        if len(offsets) > per_cell:
            return CellPattern(per_cell, None)
    return CellPattern(per_cell, tuple(sorted(offsets)) if len(offsets) == per_cell else None)


SCATTERED = CellPattern(1, None)
"""No arrangement: every evaluation names its cell."""


def _nearest_cell(query: NDArray[np.float64], cells: int, side: int) -> NDArray[np.int64]:
    """Cell under a query in -1..1 moved half a cell to one side, as the reference's nearest sampling finds it."""
    moved = np.clip(query + side / cells + TIE_SHIFT, -1 + TIE_SHIFT, 1 - TIE_SHIFT)
    nearest = np.rint(((moved + 1) * cells - 1) / 2).astype(np.int64)
    return np.clip(nearest, 0, cells - 1)


def output_span(in_size: int, out_size: int, start: int, stop: int) -> tuple[int, int]:
    """Output positions whose centre lies in cells start..stop-1: a partition of the output, whatever the cuts."""

    def first_at_or_after(cell: int) -> int:
        # smallest Y with in_size * (2 Y + 1) >= 2 * cell * out_size, in integers
        return max(0, -((in_size - 2 * cell * out_size) // (2 * in_size)))

    return first_at_or_after(start), out_size if stop == in_size else first_at_or_after(stop)
