"""Every engine and precision against the literal reference, through the contract that tiling uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge_liif.engine.base import Engine, TileShape
from edge_liif.engine.registry import UNNAMED
from edge_liif.engine.select import TOLERANCE, candidates, known_answer_error, open_engine
from edge_liif.errors import EngineError
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network
from edge_liif.model.reference import literal_enlarge
from edge_liif.model.zoo import load_manifest
from edge_liif.upscaler import load

HERE = [way for engine in UNNAMED for way in candidates(engine, "cpu")]
COMPRESSED = [entry.name for entry in load_manifest().values() if entry.bundled and entry.name.endswith("-int8")]
BUNDLED = [("edsr-baseline-liif", *way) for way in HERE] + [(name, "openvino", "cpu", "int8") for name in COMPRESSED]


def block(engine, lr: np.ndarray, out: tuple[int, int], spare: int = 0) -> np.ndarray:
    height, width = lr.shape[2:]
    rows, columns = axis_queries(height, out[0], 0, out[0]), axis_queries(width, out[1], 0, out[1])
    engine.prepare(TileShape(height, width, rows.evaluations + spare, columns.evaluations + spare))
    return engine.decode(engine.encode(lr), Geometry(rows, columns, (2 * height / out[0], 2 * width / out[1])))


def test_both_engines_are_tried_here() -> None:
    assert {("openvino", "cpu", "fp32"), ("torch", "cpu", "fp32"), ("torch", "cpu", "bf16")} <= set(HERE)


@pytest.mark.parametrize("option", HERE, ids="-".join)
@pytest.mark.parametrize("name", ["edsr-baseline-liif", "rdn-liif-s"])
def test_known_answer(option: tuple[str, str, str], name: str) -> None:
    network = load(name).network
    error = known_answer_error(network, open_engine(network, option[0], option[2], option[1]))
    assert error <= TOLERANCE[option[2]]
    if option[2] == "fp32":
        assert error < 1e-5


@pytest.mark.parametrize("engine", [engine for engine, _, precision in HERE if precision == "fp32"])
@pytest.mark.parametrize("name", ["small_rdn", "small_edsr"])
@pytest.mark.parametrize("spare", [0, 5])
def test_unequal_widths_and_padded_blocks(engine: str, name: str, spare: int, request: pytest.FixtureRequest) -> None:
    """Pruned widths, fractional unequal scales, and blocks smaller than the shape that was prepared."""
    network: Network = request.getfixturevalue(name)
    lr = np.random.default_rng(0).random((1, 3, 11, 14)).astype(np.float32)
    out = (29, 45)
    expected = literal_enlarge(network, torch.from_numpy(lr), out, area_guard=0, offset_guard=1e-15).numpy()
    assert np.abs(block(open_engine(network, engine, "fp32", "cpu"), lr, out, spare) - expected).max() < 2e-5


@pytest.fixture(params=BUNDLED, ids="-".join)
def bundled(request: pytest.FixtureRequest) -> Engine:
    """A bundled model in each engine and precision that is here; compressed ones in integers."""
    name, engine, device, precision = request.param
    return open_engine(load(name).network, engine, precision, device)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_pages_keep_their_level(bundled: Engine, level: float) -> None:
    """A white page stays white, a black one black, whatever the precision."""
    page = np.full((1, 3, 40, 40), level, np.float32)
    inner = block(bundled, page, (120, 120))[15:-15, 15:-15]
    assert abs(float(inner.mean()) - level) < 1.5 / 255
    assert np.abs(inner - level).max() < 3 / 255


def test_a_ramp_stays_a_ramp(bundled: Engine) -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (1, 3, 24, 64)).copy()
    result = block(bundled, ramp, (48, 128))[12:-12, 12:-12].mean(axis=(0, 2))
    position = ((np.arange(128) + 0.5) / 2 - 0.5) / 63
    assert np.abs(result - position[12:-12]).max() < 2.5 / 255


def test_engines_can_be_prepared_again_and_again(small_edsr: Network) -> None:
    engine = open_engine(small_edsr, "openvino", "fp32", "cpu")
    generator = np.random.default_rng(5)
    for height, width in [(9, 9), (17, 8), (9, 9), (1, 30)]:
        lr = generator.random((1, 3, height, width)).astype(np.float32)
        fresh = open_engine(small_edsr, "openvino", "fp32", "cpu")
        out = (height * 2, width * 3)
        assert np.array_equal(block(engine, lr, out), block(fresh, lr, out))


def test_what_is_missing_is_said(small_edsr: Network) -> None:
    with pytest.raises(EngineError, match="no engine 'abacus'"):
        open_engine(small_edsr, "abacus", "fp32", "cpu")
    with pytest.raises(EngineError, match="no device 'npu'"):
        open_engine(small_edsr, "openvino", "fp32", "npu")
    with pytest.raises(EngineError, match="no precision int3"):
        open_engine(small_edsr, "openvino", "int3", "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(EngineError, match="no CUDA"):
            open_engine(small_edsr, "torch", "fp32", "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_known_answer_on_cuda(precision: str) -> None:
    network = load("edsr-baseline-liif").network
    engine = open_engine(network, "torch", precision, "cuda")
    assert known_answer_error(network, engine) <= TOLERANCE[precision]
    assert engine.peak_device_bytes()
