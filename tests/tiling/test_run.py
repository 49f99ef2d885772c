"""Any tiling gives the untiled picture; memory that runs out costs time and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_liif.engine.base import MemoryFacts, TileShape
from edge_liif.errors import EngineError, EngineFailure, OutOfMemory
from edge_liif.tiling.plan import Job, Plan, plan_for_core
from edge_liif.tiling.run import Plane, RunLog, render

from .fake_engine import FakeEngine


def picture(height: int, width: int, bands: int = 3) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).random((height, width, bands)).astype(np.float32)


def window_of(lr: np.ndarray):
    def window(row: int, column: int, height: int, width: int) -> np.ndarray:
        part = lr[row : row + height, column : column + width]
        assert part.shape[:2] == (height, width), "a window must lie inside the picture"
        return np.ascontiguousarray(np.broadcast_to(part, (height, width, 3)).transpose(2, 0, 1))[None]

    return window


def enlarge(
    engine: FakeEngine, lr: np.ndarray, out: tuple[int, int], core: tuple[int, int], halo: int | None = None
) -> tuple[np.ndarray, RunLog, list[int]]:
    height, width, _ = lr.shape
    plan = plan_for_core(Job(height, width, *out, 3, 4), engine.memory, engine.halo if halo is None else halo, core)
    log, steps = RunLog(), []
    plane = Plane(window_of(lr), lambda colour: colour, slice(0, 3))
    rows = render(plan, engine, [plane], np.float32, lambda done, total: steps.append((done, total)), log)
    result = np.concatenate([band.copy() for band in rows])
    assert steps[-1] == (out[0] * out[1],) * 2, "progress ends at all pixels"
    return result, log, [done for done, _ in steps]


sizes = st.one_of(st.integers(1, 40), st.sampled_from([1, 2, 3, 37, 53]))


@settings(deadline=None, max_examples=150)
@given(sizes, sizes, st.floats(1, 7), st.floats(1, 7), st.integers(1, 45), st.integers(1, 45), st.integers(0, 3))
def test_tiled_equals_untiled(h: int, w: int, sy: float, sx: float, ch: int, cw: int, blurs: int) -> None:
    out = (round(h * sy), round(w * sx))
    lr = picture(h, w)
    whole, _, _ = enlarge(FakeEngine(blurs), lr, out, (10**6, 10**6))
    tiled, _, steps = enlarge(FakeEngine(blurs), lr, out, (ch, cw))
    assert whole.shape == tiled.shape == (*out, 3)
    assert np.array_equal(whole, tiled)
    assert steps == sorted(steps)


def test_a_halo_too_small_is_seen() -> None:
    """The property above can fail."""
    lr = picture(40, 40)
    whole, _, _ = enlarge(FakeEngine(3), lr, (80, 80), (100, 100))
    tiled, _, _ = enlarge(FakeEngine(3), lr, (80, 80), (16, 16), halo=2)
    assert np.abs(whole - tiled).max() > 1e-4


def test_every_output_pixel_is_written_once() -> None:
    """A band starts as garbage; a plane that adds to it shows pixels written never or twice."""
    engine = FakeEngine()
    plan = plan_for_core(Job(23, 31, 60, 77, 1, 4), engine.memory, engine.halo, (7, 9))
    written = np.zeros((60, 77), int)
    band_start = 0
    store_calls = []
    plane = Plane(window_of(picture(23, 31)), lambda c: store_calls.append(c.shape) or c[..., :1], slice(0, 1))
    for rows in render(plan, engine, [plane], np.float32):
        written[band_start : band_start + len(rows)] += 1
        band_start += len(rows)
    assert (written == 1).all()
    assert sum(shape[0] * shape[1] for shape in store_calls) == written.size


@settings(deadline=None, max_examples=60)
@given(st.integers(60, 2000), st.sampled_from(["prepare", "encode", "decode"]), st.integers(5, 60), st.integers(5, 60))
def test_out_of_memory_halves_the_tile(limit: int, call: str, h: int, w: int) -> None:
    """Windows larger than `limit` pixels don't fit: the same picture comes out, from smaller tiles."""

    def fail(what: str, shape: TileShape) -> bool:
        return what == call and shape.height * shape.width > max(limit, 25)

    lr = picture(h, w)
    whole, _, _ = enlarge(FakeEngine(1), lr, (2 * h, 3 * w), (100, 100))
    engine = FakeEngine(1, fail)
    result, log, _ = enlarge(engine, lr, (2 * h, 3 * w), (100, 100))
    assert np.array_equal(result, whole)
    assert (log.splits > 0) == (h * w > max(limit, 25))
    assert len(log.warnings) == log.splits


@settings(deadline=None, max_examples=40)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(2, 30), st.integers(2, 30))
def test_memory_that_comes_and_goes_leaves_no_stale_tile(plan: list[bool], ch: int, cw: int) -> None:
    """Failures at arbitrary calls, after parts of a tile were stored already: never is a stale tile left."""
    calls = iter(plan)
    lr = picture(29, 41)
    whole, _, _ = enlarge(FakeEngine(2), lr, (61, 95), (100, 100))
    failures = {"left": 2}

    def fail(what: str, shape: TileShape) -> bool:
        if failures["left"] and next(calls, False):
            failures["left"] -= 1
            return True
        return False

    result, log, _ = enlarge(FakeEngine(2, fail), lr, (61, 95), (ch, cw))
    assert np.array_equal(result, whole)
    assert log.splits == 2 - failures["left"]


@settings(deadline=None, max_examples=80)
@given(st.integers(5, 14), st.integers(5, 14), st.integers(2, 5), st.integers(2, 5))
def test_tiles_beside_a_split_one_keep_their_halo(h: int, w: int, ch: int, cw: int) -> None:
    """Cores of unequal length, the longer of which must be split: the shorter ones get the new windows' origins too."""
    lr = picture(h, w)
    whole, _, _ = enlarge(FakeEngine(2), lr, (2 * h, 2 * w), (100, 100))
    plan = plan_for_core(Job(h, w, 2 * h, 2 * w, 3, 4), FakeEngine(2).memory, 3, (ch, cw))
    most = plan.shape.height * plan.shape.width - 1
    result, _, _ = enlarge(
        FakeEngine(2, lambda call, s: s.height * s.width > most and most > 49), lr, (2 * h, 2 * w), (ch, cw)
    )
    assert np.array_equal(result, whole)


def test_a_failing_engine_gets_smaller_tiles_and_is_then_believed() -> None:
    """OpenVINO, and torch on the CPU, say no more than RuntimeError when memory runs out."""

    class Failing(FakeEngine):
        def encode(self, lr: np.ndarray) -> np.ndarray:
            if lr.shape[2] * lr.shape[3] > self.most:
                raise EngineFailure("OpenVINO failed: failed to allocate")
            return super().encode(lr)

    lr = picture(40, 40)
    whole, _, _ = enlarge(FakeEngine(1), lr, (80, 80), (100, 100))
    engine = Failing(1)
    engine.most = 900
    result, log, _ = enlarge(engine, lr, (80, 80), (100, 100))
    assert np.array_equal(result, whole) and log.splits == 2 and "failed to allocate" in log.warnings[0]
    engine.most = 0
    with pytest.raises(EngineFailure, match=r"allocate; smaller tiles, down to \dx\d, did not help: free"):
        enlarge(engine, lr, (80, 80), (100, 100))


def test_blocks_shrink_with_their_tiles() -> None:
    """Small tiles with the blocks of large ones would run out of memory as before."""
    lr, least = picture(40, 40), []
    whole, _, _ = enlarge(FakeEngine(1), lr, (80, 80), (100, 100))

    def fail(call: str, shape: TileShape) -> bool:
        least.append(shape.rows * shape.columns)
        return call == "decode" and shape.rows * shape.columns > least[0] / 3

    result, log, _ = enlarge(FakeEngine(1, fail), lr, (80, 80), (100, 100))
    assert np.array_equal(result, whole) and log.splits == 2


def small_blocks(lr: np.ndarray, engine: FakeEngine, core: tuple[int, int]) -> Plan:
    height, width, _ = lr.shape
    return plan_for_core(
        Job(height, width, 2 * height, 2 * width, 3, 4), engine.memory, engine.halo, core, None, 16 * width
    )


def test_rows_of_a_wide_tile_come_block_by_block() -> None:
    lr, engine = picture(40, 30), FakeEngine(1)
    plane = Plane(window_of(lr), lambda colour: colour, slice(0, 3))
    plan = small_blocks(lr, engine, (100, 100))
    steps: list[int] = []
    bands = render(plan, engine, [plane], np.float32, lambda done, total: steps.append(done))
    assert len(next(bands)) == plan.block_rows < 20 and len(steps) == 1, "only the first block is computed"
    # of two planes, rows are finished with the second; of two columns of tiles, with the last
    both = [
        replace(plane, bands=slice(0, 1), store=lambda colour: colour[..., :1]),
        replace(plane, bands=slice(1, 3), store=lambda colour: colour[..., 1:]),
    ]
    steps.clear()
    next(render(plan, engine, both, np.float32, lambda done, total: steps.append(done)))
    assert steps[-1] == 60 * 80 + 60 * plan.block_rows
    narrow = small_blocks(lr, engine, (100, 15))
    assert len(next(render(narrow, engine, [plane], np.float32))) == 80


def test_a_tile_that_fails_half_way_gives_no_row_twice() -> None:
    lr = picture(40, 30)
    whole, _, _ = enlarge(FakeEngine(1), lr, (80, 60), (100, 100))
    for failing in range(1, 8):
        calls: list[str] = []

        def fail(call: str, shape: TileShape, calls: list[str] = calls, failing: int = failing) -> bool:
            calls.append(call)
            return call == "decode" and calls.count("decode") == failing

        engine, log = FakeEngine(1, fail), RunLog()
        plane = Plane(window_of(lr), lambda colour: colour, slice(0, 3))
        plan = small_blocks(lr, engine, (100, 100))
        bands = [rows.copy() for rows in render(plan, engine, [plane], np.float32, None, log)]
        assert log.splits == 1 and np.array_equal(np.concatenate(bands), whole)
        assert len(bands[0]) == (80 if failing == 1 else plan.block_rows)


def test_memory_that_never_suffices_is_an_error() -> None:
    with pytest.raises(OutOfMemory):
        enlarge(FakeEngine(1, lambda call, shape: True), picture(20, 20), (40, 40), (16, 16))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_stop_the_run(bad: float) -> None:
    lr = picture(20, 20)
    lr[11, 13] = bad
    with np.errstate(invalid="ignore"), pytest.raises(EngineError, match="not finite"):
        enlarge(FakeEngine(), lr, (40, 40), (8, 8))


class Broken(FakeEngine):
    """Gives NaN for windows that `when` picks by their number."""

    precision = "bf16"

    def __init__(self, when, blurs: int = 2) -> None:
        super().__init__(blurs)
        self.when, self.released = when, 0

    def decode(self, hidden: np.ndarray, geometry) -> np.ndarray:
        colour = super().decode(hidden, geometry)
        return colour * np.nan if self.when(self.windows) else colour

    def release(self) -> None:
        self.released += 1
        self.shape = None


@pytest.mark.parametrize("bad", [{1}, {4, 9}, {25}])
def test_a_tile_that_is_not_finite_is_done_again_by_the_spare_engine(bad: set[int]) -> None:
    lr = picture(40, 40)
    whole, _, _ = enlarge(FakeEngine(), lr, (80, 80), (100, 100))
    engine, opened = Broken(lambda number: number in bad), []
    log, steps = RunLog(), []
    plan = plan_for_core(Job(40, 40, 80, 80, 3, 4), engine.memory, engine.halo, (8, 8))

    def spare() -> FakeEngine:
        assert engine.shape is None, "one engine's tiles at a time"
        opened.append(FakeEngine())
        return opened[-1]

    plane = Plane(window_of(lr), lambda colour: colour, slice(0, 3))
    rows = render(plan, engine, [plane], np.float32, lambda done, total: steps.append((done, total)), log, spare)
    assert np.array_equal(np.concatenate([band.copy() for band in rows]), whole)
    assert log.redone == len(opened) == engine.released == len(bad)
    assert all(spare.windows == 1 for spare in opened)
    assert len(log.warnings) == len(bad)
    assert "fake in bf16 gave numbers that are not finite; done again in fp32" in log.warnings[0]
    assert steps[-1] == (6400, 6400)


def test_an_engine_that_breaks_often_is_given_up() -> None:
    lr = picture(40, 40)
    whole, _, _ = enlarge(FakeEngine(), lr, (80, 80), (100, 100))
    engine, opened, log = Broken(lambda number: number > 2), [], RunLog()
    plan = plan_for_core(Job(40, 40, 80, 80, 3, 4), engine.memory, engine.halo, (8, 8))
    plane = Plane(window_of(lr), lambda colour: colour, slice(0, 3))
    rows = render(plan, engine, [plane], np.float32, None, log, lambda: opened.append(FakeEngine()) or opened[-1])
    assert np.array_equal(np.concatenate([band.copy() for band in rows]), whole)
    assert len(opened) == log.redone == 3 and opened[-1].windows == 21
    assert "it and the rest of the picture done in fp32" in log.warnings[-1]


def test_a_spare_engine_that_needs_more_gets_smaller_tiles() -> None:
    class Hungry(FakeEngine):
        @property
        def memory(self) -> MemoryFacts:
            return MemoryFacts(10_000_000, 4000, 2000)

    lr = picture(80, 80)
    whole, _, _ = enlarge(FakeEngine(), lr, (160, 160), (100, 100))
    engine, hungry = Broken(lambda number: number == 1), Hungry()
    plan = plan_for_core(Job(80, 80, 160, 160, 3, 4), engine.memory, engine.halo, (40, 40))
    plan = replace(plan, memory_cap=plan.peak_bytes + 1000)
    plane = Plane(window_of(lr), lambda colour: colour, slice(0, 3))
    result = np.concatenate([band.copy() for band in render(plan, engine, [plane], np.float32, spare=lambda: hungry)])
    assert np.array_equal(result, whole)
    shape = hungry.shapes[0]
    assert 3 * shape.height * shape.width <= plan.shape.height * plan.shape.width
    assert hungry.windows > 1


def test_a_spare_engine_that_fails_too_is_believed() -> None:
    lr = picture(20, 20)
    lr[11, 13] = np.nan
    engine = Broken(lambda number: False)
    plan = plan_for_core(Job(20, 20, 40, 40, 3, 4), engine.memory, engine.halo, (8, 8))
    plane = Plane(window_of(lr), lambda colour: colour, slice(0, 3))
    with np.errstate(invalid="ignore"), pytest.raises(EngineError, match="fake engine in fp32 gave numbers"):
        list(render(plan, engine, [plane], np.float32, spare=FakeEngine))


def test_constant_planes_are_filled_not_computed() -> None:
    """Opaque alpha costs nothing, and stays exactly opaque; where it varies it goes through the network."""
    colour, alpha = picture(40, 40), np.ones((40, 40, 1), np.float32)
    alpha[:6, :6] = 0.25
    engine = FakeEngine(2)
    plan = plan_for_core(Job(40, 40, 80, 80, 4, 4), engine.memory, engine.halo, (10, 10))
    planes = [
        Plane(window_of(colour), lambda c: c, slice(0, 3)),
        Plane(window_of(alpha), lambda c: c.mean(axis=2, keepdims=True), slice(3, 4), constant=True),
    ]
    result = np.concatenate([rows.copy() for rows in render(plan, engine, planes, np.float32)])
    assert engine.windows == 16 + 1
    assert (result[30:, 30:, 3] == 1).all() and (result[:8, :8, 3] < 0.9).all()


def test_unequal_tiles_split_along_their_longer_side() -> None:
    shapes: list[tuple[int, int]] = []

    def fail(call: str, shape: TileShape) -> bool:
        if call == "prepare":
            shapes.append((shape.height, shape.width))
        return shape.height * shape.width > 200

    enlarge(FakeEngine(0, fail), picture(16, 64), (32, 128), (16, 64))
    assert shapes[:3] == [(16, 64), (16, 34), (16, 18)]
