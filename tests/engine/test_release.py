"""An engine that was released holds no weights, and comes back with `prepare`: what the spare engine counts on."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from edge_liif.engine.base import Engine, TileShape
from edge_liif.engine.onnx import ONNXEngine
from edge_liif.engine.select import open_engine
from edge_liif.engine.torch import TorchEngine
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network
from edge_liif.tiling.plan import Job, plan_for_core
from edge_liif.tiling.run import Plane, RunLog, render
from edge_liif.upscaler import load, window_reader

OPTIONS = [("torch", "fp32"), ("torch", "bf16"), ("torch", "int8"), ("onnx", "fp32"), ("onnx", "int8")]
SIDE = 24


@pytest.fixture(scope="module")
def network() -> Network:
    return load("edsr-baseline-liif-int8").network


def held(engine: Engine) -> list[weakref.ref]:
    """What takes an engine's memory."""
    if isinstance(engine, ONNXEngine):
        return [weakref.ref(session) for session in (engine._encoder, engine._decoder)]
    assert isinstance(engine, TorchEngine)
    tensors = [*engine._layers.tensors.values(), engine._hidden_weight, *(t for pair in engine._mlp for t in pair)]
    return [weakref.ref(tensor) for tensor in tensors]


def alive(references: list[weakref.ref]) -> int:
    gc.collect()
    return sum(reference() is not None for reference in references)


def answer(engine: Engine) -> np.ndarray:
    axis = axis_queries(SIDE, 2 * SIDE, 0, 2 * SIDE)
    engine.prepare(TileShape(SIDE, SIDE, axis.evaluations, axis.evaluations))
    lr = np.random.default_rng(0).random((1, 3, SIDE, SIDE)).astype(np.float32)
    return engine.decode(engine.encode(lr), Geometry(axis, axis, (1.0, 1.0)))


@pytest.mark.parametrize("option", OPTIONS, ids="-".join)
def test_a_released_engine_holds_nothing_and_comes_back(option: tuple[str, str], network: Network) -> None:
    engine = open_engine(network, option[0], option[1], "cpu")
    before, references = answer(engine), held(engine)
    assert references and alive(references) == len(references)
    engine.release()
    assert alive(references) == 0
    assert np.array_equal(answer(engine), before)


@pytest.mark.parametrize("option", OPTIONS, ids="-".join)
def test_weights_are_not_there_twice_while_a_tile_is_done_again(
    option: tuple[str, str], network: Network, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of six tiles is not finite once: it comes from the spare engine, all others as they would."""
    picture = np.ascontiguousarray(photograph[:48, :36])
    engine, log, opened = open_engine(network, option[0], option[1], "cpu"), RunLog(), []
    plan = plan_for_core(Job(48, 36, 96, 72, 3, 4), engine.memory, 4, (16, 18))
    assert plan.tiles == 6

    def enlarged(engine: Engine, spare=None) -> np.ndarray:
        plane = Plane(window_reader(picture, slice(0, 3)), lambda colour: colour, slice(0, 3))
        bands = render(plan, engine, [plane], np.float32, None, log, spare)
        return np.concatenate([rows.copy() for rows in bands])

    def spare() -> Engine:
        assert alive(references) == 0, "two engines' weights at a time"
        other = open_engine(network, option[0], "fp32", "cpu")
        opened.append(held(other))
        return other

    expected, references = enlarged(engine), held(engine)
    again = enlarged(open_engine(network, option[0], "fp32", "cpu"))
    expected[:32, 36:] = again[:32, 36:]
    encode, windows = engine.encode, iter(range(100))
    decode, bad = engine.decode, []

    def counted(lr: np.ndarray):
        bad[:] = [next(windows) == 1]
        return encode(lr)

    monkeypatch.setattr(engine, "encode", counted)
    monkeypatch.setattr(engine, "decode", lambda *a: decode(*a) * (np.nan if bad[0] else 1))
    result = enlarged(engine, spare)
    assert log.redone == len(opened) == 1 and alive(opened[0]) == 0
    # blocks of the spare engine are half as tall, and matrix products of other sizes round otherwise
    assert np.abs(result - expected).max() < 1e-5
