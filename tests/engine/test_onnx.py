"""The ONNX graphs in ONNX Runtime against OpenVINO, and what is in them."""

from __future__ import annotations

import importlib.util

import numpy as np
import onnx
import pytest

from edge_liif.compress.config import CompressConfig
from edge_liif.compress.pipeline import compress
from edge_liif.engine.base import Engine, TileShape
from edge_liif.engine.onnx import ONNXEngine
from edge_liif.engine.onnx_int8 import IntegerGraphs
from edge_liif.engine.openvino import OpenVINOEngine
from edge_liif.engine.select import candidates, open_engine
from edge_liif.errors import EngineError, EngineFailure, OutOfMemory
from edge_liif.export import onnx_models
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network

SIZE = (23, 30)
OUT = {"x3": (69, 90), "x1.7": (39, 51), "2x3": (69, 60)}
NAMES = ("small_rdn", "small_edsr")


def picture(height: int, width: int) -> np.ndarray:
    """Smooth waves and a step, (1, 3, height, width) in 0..1."""
    y, x = np.mgrid[:height, :width]
    lr = np.stack([0.5 + 0.4 * np.sin(x / (3 + c) + c) * np.cos(y / 4) for c in range(3)]).astype(np.float32)
    lr[:, 5:12, 8:20] = 0.9
    return lr[None]


def enlarged(engine: Engine, out: tuple[int, int], size: tuple[int, int] = SIZE) -> np.ndarray:
    rows, columns = (axis_queries(size[i], out[i], 0, out[i]) for i in (0, 1))
    engine.prepare(TileShape(*size, rows.evaluations, columns.evaluations))
    cell = (2 * size[0] / out[0], 2 * size[1] / out[1])
    return engine.decode(engine.encode(picture(*size)), Geometry(rows, columns, cell))


@pytest.fixture(scope="module")
def compressed(request: pytest.FixtureRequest):
    """compressed("small_rdn", (weight bits, activation bits)), each made once."""
    made: dict[tuple, Network] = {}

    def make(name: str, bits: tuple[int, int] = (8, 8)) -> Network:
        if (name, bits) not in made:
            pictures = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
            config = CompressConfig(queries=256, weight_bits=bits[0], activation_bits=bits[1])
            made[name, bits], _ = compress(request.getfixturevalue(name), config, pictures)
        return made[name, bits]

    return make


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("out", OUT.values(), ids=OUT)
def test_floats_are_those_of_openvino(name: str, out: tuple[int, int], request: pytest.FixtureRequest) -> None:
    network = request.getfixturevalue(name)
    theirs = enlarged(OpenVINOEngine(network, "fp32", cache=False), out)
    assert np.abs(enlarged(ONNXEngine(network), out) - theirs).max() < 1e-4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [(8, 8), (4, 8), (8, 7), (6, 6)], ids="W{0[0]}A{0[1]}".format)
def test_integers_are_those_of_openvino(name: str, bits: tuple[int, int], compressed, saturating: bool) -> None:
    """Scales per channel, both signs in one concatenation, fewer bits than int8 has."""
    network = compressed(name, bits)
    for out in OUT.values():
        integer = enlarged(ONNXEngine(network, "int8"), out)
        theirs = enlarged(OpenVINOEngine(network, "int8", cache=False), out)
        floats = enlarged(ONNXEngine(network, "fp32"), out)
        levels = np.abs(np.rint(integer * 255) - np.rint(theirs * 255))
        # The order of float additions and OpenVINO's hidden map in half precision tip a level here and there, and every
        # dense layer behind reads it again. Rounded biases (0.966) and mixed-up scales (0.35) stay out.
        # OpenVINO's sums may saturate; ONNX Runtime's are asked to be exact
        near = 0.85 if saturating else 0.999 if name == "small_edsr" else 0.99
        assert (levels <= 1).mean() >= near
        if not (saturating and bits[0] == 8):
            assert np.abs(integer - theirs).mean() < 0.6 * np.abs(floats - theirs).mean()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_one_engine_takes_any_window(precision: str, compressed) -> None:
    network = compressed("small_edsr")
    engine = ONNXEngine(network, precision)
    for size in [(23, 30), (12, 21), (23, 30)]:
        out = (2 * size[0], 3 * size[1])
        assert np.array_equal(enlarged(engine, out, size), enlarged(ONNXEngine(network, precision), out, size))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [None, (8, 8), (8, 7), (6, 6)])
@pytest.mark.parametrize("tile", [None, (16, 24)])
def test_models_are_valid_and_describe_themselves(name, bits, tile, compressed, request) -> None:
    network = request.getfixturevalue(name) if bits is None else compressed(name, bits)
    for model in onnx_models(network, "fp32" if bits is None else "int8", tile):
        onnx.checker.check_model(model, full_check=True)
        facts = {entry.key: entry.value for entry in model.metadata_props}
        assert facts["edge_liif.model"] == network.spec.name
        assert all(facts[f"edge_liif.input.{port.name}"] for port in model.graph.input)
        sides = [dim.dim_value or dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim]
        assert set(tile or ("height", "width")) <= set(sides)


def test_every_layer_but_the_first_reads_levels(compressed) -> None:
    for name in NAMES:
        network = compressed(name)
        graphs = IntegerGraphs(network)
        for model, floats in ((graphs.encoder(), 1), (graphs.decoder(), 0)):
            made_by = {output: node for node in model.graph.node for output in node.output}
            readers = [node for node in model.graph.node if node.op_type in {"Conv", "Gemm"}]
            kinds = [{made_by[i].op_type if i in made_by else "constant" for i in node.input[:2]} for node in readers]
            assert kinds.count({"DequantizeLinear"}) == len(readers) - floats


def test_seven_bits_need_no_unsigned_type(compressed) -> None:
    """TensorRT takes int8 with zero point 0 only."""
    zeros = {
        bits: {
            constant.data_type
            for model in onnx_models(compressed("small_rdn", (8, bits)), "int8", None)
            for constant in model.graph.initializer
        }
        for bits in (7, 8)
    }
    assert onnx.TensorProto.UINT8 in zeros[8]
    assert onnx.TensorProto.UINT8 not in zeros[7]


def test_factors_are_folded_behind_a_relu(compressed) -> None:
    """The hidden convolutions of EDSR carry them in their weights: no node multiplies behind a ReLU."""
    network = compressed("small_edsr")
    activations = network.spec.compression.activations
    assert any(any(a.steps) for name, a in activations.items() if name.endswith(".relu"))
    nodes = IntegerGraphs(network).encoder().graph.node
    made_by = {output: node.op_type for node in nodes for output in node.output}
    multiplied = [made_by[node.input[0]] for node in nodes if node.op_type == "Mul" and node.input[0] in made_by]
    assert "Relu" not in multiplied


def test_candidates(compressed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert candidates("onnx", "cpu") == [("onnx", "cpu", "fp32")]
    assert candidates("onnx", "cpu", integer=True) == [("onnx", "cpu", "int8"), ("onnx", "cpu", "fp32")]
    assert not [c for c in candidates("auto", "cpu", integer=True) if c[0] == "onnx"]
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in {"openvino", "torch"} else there(name)
    )
    assert ("onnx", "cpu", "int8") in candidates("auto", "cpu", integer=True)


def test_what_is_missing_is_said(small_edsr: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="no precision bf16"):
        open_engine(small_edsr, "onnx", "bf16", "cpu")
    with pytest.raises(EngineError, match="no device 'mps'"):
        open_engine(small_edsr, "onnx", "fp32", "mps")
    with pytest.raises(EngineError, match="edge-liif compress"):
        open_engine(small_edsr, "onnx", "int8", "cpu")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"pip install 'edge-liif\[onnx\]'"):
        open_engine(small_edsr, "onnx", "fp32", "cpu")


def test_failures_become_ours(small_edsr: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ONNXEngine(small_edsr)
    with pytest.raises(EngineFailure, match="ONNX Runtime failed"):
        engine.encode(np.zeros((1, 2, 8, 8), np.float32))

    def exhausted() -> None:
        raise MemoryError

    monkeypatch.setattr(engine, "_encoder", type("Session", (), {"io_binding": staticmethod(exhausted)}))
    with pytest.raises(OutOfMemory):
        engine.encode(picture(8, 24))
