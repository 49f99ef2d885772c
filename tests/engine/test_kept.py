"""Graphs of earlier shapes are used again, within a bound, and never after a failure."""

from __future__ import annotations

import numpy as np
import pytest

from edge_liif.engine.base import TileShape
from edge_liif.engine.kept import Kept
from edge_liif.engine.openvino import COPIES, KEPT_BYTES, OpenVINOEngine
from edge_liif.errors import EngineFailure
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network
from edge_liif.tiling.plan import Job, Plan
from edge_liif.upscaler import Upscaler, load

A, B, C, D = (9, 12), (12, 9), (10, 10), (14, 8)


class Counting(OpenVINOEngine):
    """Notes what it compiles, and what it held then; fails to compile graphs whose name ends in `failing`."""

    def __init__(self, network: Network) -> None:
        super().__init__(network, cache=False)
        self.compiled: list[str] = []
        self.held: list[int] = []
        self.failing: str | None = None

    def _compile(self, model):
        if self.failing is not None and model.get_friendly_name().endswith(self.failing):
            raise RuntimeError("no memory for it")
        self.compiled.append(model.get_friendly_name().rpartition("-")[2])
        self.held.append(self._kept.size_beside(()))
        return super()._compile(model)


def shape_of(size: tuple[int, int]) -> TileShape:
    rows, columns = (axis_queries(side, 2 * side, 0, 2 * side) for side in size)
    return TileShape(*size, rows.evaluations, columns.evaluations)


def answer(engine: OpenVINOEngine, size: tuple[int, int]) -> np.ndarray:
    engine.prepare(shape_of(size))
    lr = np.random.default_rng(size[0]).random((1, 3, *size)).astype(np.float32)
    rows, columns = (axis_queries(side, 2 * side, 0, 2 * side) for side in size)
    return engine.decode(engine.encode(lr), Geometry(rows, columns, (1.0, 1.0)))


def pair_bytes(engine: OpenVINOEngine, size: tuple[int, int]) -> int:
    facts, shape = engine.memory, shape_of(size)
    weights = sum(tensor.nbytes for tensor in engine._network.tensors.values())
    return int(COPIES * weights) + facts.tile(shape) + facts.block(shape)


def test_alternating_shapes_are_compiled_once(small_edsr: Network) -> None:
    engine, fresh = Counting(small_edsr), {size: answer(Counting(small_edsr), size) for size in (A, B, C)}
    for size in (A, B, A, B, C, A, B, C, C):
        engine.keep(shape_of(size), None)
        assert np.array_equal(answer(engine, size), fresh[size])
    assert engine.compiled == ["encoder", "decoder"] * 3
    engine.release()
    answer(engine, A)
    assert len(engine.compiled) == 8


def test_nothing_is_kept_unasked(small_edsr: Network) -> None:
    """Who calls `prepare` alone, as the self-check does, has one shape in memory."""
    engine = Counting(small_edsr)
    for size in (A, B, A):
        answer(engine, size)
    assert engine.compiled == ["encoder", "decoder"] * 3 and engine.held[::2] == [0, 0, 0]


def test_an_encoder_serves_decoders_of_several_shapes(small_edsr: Network) -> None:
    engine = Counting(small_edsr)
    engine.prepare(TileShape(9, 9, 8, 18))
    engine.prepare(TileShape(9, 9, 6, 18))
    assert engine.compiled == ["encoder", "decoder", "decoder"]


def test_the_least_recently_used_goes_and_the_bound_holds(small_edsr: Network) -> None:
    engine = Counting(small_edsr)
    # two other pairs, but not three
    room = max(pair_bytes(engine, size) for size in (A, B, C, D)) * 5 // 2
    for size in (A, B, C, A, D):
        kept = engine.keep(shape_of(size), room)
        answer(engine, size)
        assert kept <= room
        assert engine.keep(shape_of(size), room) <= room
        # a decoder's request holds the hidden map that it read last: it must not outlive the encoder that counts it
        keys = set(engine._kept._things)
        assert all((key.height, key.width) in keys for key in keys if isinstance(key, TileShape))
    assert len(engine.compiled) == 8
    for size in (C, A):  # B, used longest ago, made room for D
        answer(engine, size)
    assert len(engine.compiled) == 8
    answer(engine, B)
    assert len(engine.compiled) > 8


def test_small_ones_go_before_a_big_one_comes(small_edsr: Network) -> None:
    engine = Counting(small_edsr)
    for size in (A, B, C):
        engine.keep(shape_of(size), None)
        answer(engine, size)
    big, room = (60, 70), pair_bytes(engine, C) + 1000
    kept = engine.keep(shape_of(big), room)
    assert 0 < kept <= room
    answer(engine, big)
    assert engine.held[-2] == kept
    assert engine.keep(shape_of(A), 0) == 0


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_failure_leaves_nothing_that_looks_ready(small_edsr: Network, part: str) -> None:
    engine = Counting(small_edsr)
    expected = answer(engine, A)
    engine.keep(shape_of(B), None)
    engine.failing = part
    with pytest.raises(EngineFailure, match="no memory for it"):
        engine.prepare(shape_of(B))
    assert engine._encode is None and engine._decode is None
    assert engine.keep(shape_of(B), None) == 0, "kept graphs take the memory that was missing"
    engine.failing = None
    assert np.array_equal(answer(engine, A), expected)
    assert engine.compiled.count("decoder") == 2


def plan_of(upscaler: Upscaler, picture: np.ndarray) -> Plan:
    height, width, _ = picture.shape
    return upscaler.plan(Job(height, width, 2 * height, 2 * width, 3, 1, picture.nbytes))


def test_the_plan_counts_what_is_kept_and_a_cap_leaves_no_more() -> None:
    pictures = [np.zeros((side, 30, 3), np.uint8) for side in (20, 24, 28, 32)]
    free = load(engine="openvino", precision="fp32")
    first = plan_of(free, pictures[0])
    assert "kept" not in first.parts
    for picture in pictures:
        free(picture, scale=2)
    later = plan_of(free, pictures[0])
    assert 0 < later.parts["kept"] <= KEPT_BYTES
    assert later.peak_bytes == first.peak_bytes + later.parts["kept"]
    cap = first.peak_bytes + 2 * later.parts["kept"] // 3
    capped = load(engine="openvino", precision="fp32", memory=cap)
    for picture in pictures:
        list(capped.rows(picture, plan_of(capped, picture)))
    kept = plan_of(capped, pictures[0])
    assert 0 < kept.parts["kept"] < later.parts["kept"] and kept.peak_bytes <= cap


def test_kept_things_are_made_once_and_forgotten_in_order() -> None:
    kept, made = Kept[str](), []

    def thing(key: str) -> str:
        return kept.get(key, 10, lambda: made.append(key) or key.upper())

    assert [thing(key) for key in "abcab"] == list("ABCAB") and made == list("abc")
    kept.shrink(20)
    thing("c")
    assert made == list("abcc")
    kept.shrink(0, beside=("a",))
    assert kept.size_beside(()) == 10 and kept.size_beside(("a",)) == 0
    thing("a")
    assert made == list("abcc")
