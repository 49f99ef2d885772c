"""Per-axis geometry against the definition, and the partition of the output into tiles."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_liif import geometry
from edge_liif.geometry import SCATTERED, CellPattern, axis_queries, cell_pattern, cells_read, output_span
from edge_liif.tiling.plan import evaluations_before

sizes = st.tuples(st.integers(1, 60), st.floats(1, 9)).map(lambda p: (p[0], max(1, round(p[0] * p[1]))))


@given(sizes)
def test_weights_are_bilinear(size: tuple[int, int]) -> None:
    """Between two cell centres the two weights fall linearly with the distance; at the rim one cell serves."""
    cells, out = size
    queries = axis_queries(cells, out, 0, out)
    position = (np.arange(out) + 0.5) * cells / out - 0.5
    mixed = (1 - queries.weight) * queries.index[queries.first] + queries.weight * queries.index[queries.second]
    # The tie shift of 1e-6 (of the half picture) may pick the pair on the other side of a centre that is that close.
    assert np.allclose(mixed, position.clip(0, cells - 1), atol=2e-6 * cells)


@given(sizes)
def test_offsets_point_from_cell_to_position(size: tuple[int, int]) -> None:
    cells, out = size
    queries = axis_queries(cells, out, 0, out)
    position = (np.arange(out) + 0.5) * cells / out - 0.5
    for which in (queries.first, queries.second):
        assert np.allclose(queries.index[which] + queries.offset[which] / 2, position, atol=1e-9)
    assert np.abs(queries.offset).max() <= 2 + 1e-9


@given(sizes, st.data())
def test_any_span_is_a_slice_of_the_whole(size: tuple[int, int], data: st.DataObject) -> None:
    """What a tile asks for is what the untiled picture has, bit for bit, whatever origin it counts from."""
    cells, out = size
    start = data.draw(st.integers(0, out - 1))
    stop = data.draw(st.integers(start + 1, out))
    whole, part = axis_queries(cells, out, 0, out), axis_queries(cells, out, start, stop, origin=3)
    for name in ("first", "second"):
        a, b = getattr(whole, name)[start:stop], getattr(part, name)
        assert np.array_equal(whole.index[a], part.index[b] + 3)
        assert np.array_equal(whole.offset[a], part.offset[b])
    assert np.array_equal(whole.weight[start:stop], part.weight)


@given(sizes, st.data())
def test_spans_partition_the_output(size: tuple[int, int], data: st.DataObject) -> None:
    cells, out = size
    cuts = sorted({0, cells, *data.draw(st.lists(st.integers(0, cells), max_size=5))})
    spans = [output_span(cells, out, a, b) for a, b in itertools.pairwise(cuts)]
    assert spans[0][0] == 0 and spans[-1][1] == out
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    for (start, stop), (a, b) in zip(spans, itertools.pairwise(cuts), strict=True):
        if stop > start:
            index = axis_queries(cells, out, start, stop).index
            assert index.min() >= a - 1 and index.max() <= b, "a core needs at most one cell beyond its rim"


@pytest.mark.parametrize(("scale", "per_cell"), [(1, 1), (2, 4), (3, 5), (4, 8), (5, 9)])
def test_zero_weights_are_skipped(scale: int, per_cell: int) -> None:
    """At odd scales the centre of each cell needs one neighbour: 5 evaluations instead of 6 at x3."""
    cells = 40
    inner = axis_queries(cells, cells * scale, scale, (cells - 1) * scale)
    assert inner.evaluations == per_cell * (cells - 2)


def test_large_pictures_are_exact() -> None:
    """Offsets come from integers: the last pixel of a 100,000 px row is as exact as the first."""
    queries = axis_queries(100_000, 300_000, 299_990, 300_000)
    assert set(np.round(queries.offset * 3, 6)) <= {-4.0, -2.0, 0.0, 2.0, 4.0}
    assert np.array_equal(queries.offset * 300_000, np.round(queries.offset * 300_000))


def test_padding_repeats_what_is_there() -> None:
    queries = axis_queries(7, 20, 3, 11)
    padded = queries.padded(queries.evaluations + 4, queries.positions + 2)
    assert padded.evaluations == queries.evaluations + 4 and padded.positions == queries.positions + 2
    assert set(padded.index) == set(queries.index)


@pytest.mark.parametrize("span", [(-1, 3), (3, 3), (0, 22)])
def test_positions_outside_are_refused(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="not inside"):
        axis_queries(7, 21, *span)


@pytest.mark.parametrize(("size", "out"), [(40, 120), (40, 80), (40, 160), (40, 60), (37, 53), (30, 31), (5, 500)])
def test_arranged_by_cell_the_queries_are_the_same(size: int, out: int) -> None:
    """Any part of an axis, any origin: each position mixes the same two evaluations with the same weight."""
    pattern = cell_pattern(size, out)
    if pattern.per_cell == 1 and out > size:
        # not worth arranging; it must be possible all the same
        most = int(np.bincount(axis_queries(size, out, 0, out).index).max())
        pattern = CellPattern(most, None)
    for start, stop, origin in [(0, out, 0), (out // 3, out // 2, 3), (out // 2, out, 0), (0, 1, 0)]:
        plain = axis_queries(size, out, start, stop, origin)
        cells = int(np.ptp(plain.index)) + 3
        arranged = plain.by_cell(pattern, cells)
        assert arranged.evaluations == cells * pattern.per_cell
        assert (np.ptp(arranged.index.reshape(cells, -1), axis=1) == 0).all()
        for side in ("first", "second"):
            mine, other = getattr(arranged, side), getattr(plain, side)
            assert np.array_equal(arranged.index[mine], plain.index[other])
            assert np.array_equal(arranged.offset[mine], plain.offset[other])
        assert np.array_equal(arranged.weight, plain.weight)
        if pattern.offsets:
            assert np.array_equal(arranged.offset.reshape(cells, -1), np.tile(pattern.offsets, (cells, 1)))


def test_integer_scales_have_the_same_offsets_in_every_cell() -> None:
    assert cell_pattern(40, 120) == CellPattern(5, (-4 / 3, -2 / 3, 0.0, 2 / 3, 4 / 3))
    assert cell_pattern(40, 80).per_cell == 4
    assert cell_pattern(40, 60).offsets is None, "offsets alternate"
    assert cell_pattern(100, 170) == SCATTERED, "too many places would be spare"


@pytest.mark.parametrize(("size", "out"), [(40, 120), (40, 68), (37, 53), (5, 500), (64, 64), (90, 31), (2, 7)])
def test_a_run_of_positions_reads_no_more_cells_than_promised(size: int, out: int) -> None:
    for positions in (1, 2, 3, 7, 16, out):
        if positions <= out:
            spans = [
                int(np.ptp(axis_queries(size, out, start, start + positions).index)) + 1
                for start in range(out - positions + 1)
            ]
            assert max(spans) <= cells_read(size, out, positions) <= max(spans) + 2


@pytest.mark.parametrize("size", [(1000, 3000), (1000, 2500), (1000, 1733), (640, 1000), (1, 900), (999, 999)])
def test_an_axis_in_pieces_is_the_whole_axis(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    whole = cell_pattern.__wrapped__(*size), evaluations_before.__wrapped__(*size)
    monkeypatch.setattr(geometry, "_PIECE", 37)
    assert cell_pattern.__wrapped__(*size) == whole[0]
    assert np.array_equal(evaluations_before.__wrapped__(*size), whole[1])
    queries = axis_queries(*size, 0, size[1])
    assert whole[1][-1] == queries.evaluations


def test_an_axis_of_millions_takes_no_more_than_its_counts() -> None:
    """What a plan holds for very long pictures is eight bytes for each of their positions."""
    size = (1_000_000, 3_000_000)
    tracemalloc.start()
    try:
        counts = evaluations_before.__wrapped__(*size)
        assert cell_pattern.__wrapped__(*size).per_cell == 5
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # at x3 a cell's middle position needs one evaluation, the two beside it two, the outermost two of all one
    assert counts[-1] == 5 * size[0] - 2
    assert peak < counts.nbytes + 24 * 2**20
