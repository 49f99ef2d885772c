"""The OpenVINO engine: the fast one on CPUs, and on Intel GPUs. Needs neither torch nor ONNX nor a compiler.

Two graphs are built directly with OpenVINO's opset: the encoder (LR window to hidden map) and the decoder (hidden map
and geometry of a block of output rows to one colour per evaluation). The ensemble, three channels wide, is mixed
outside the graph in fp32, because a half-precision graph would round its weights.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as op
from numpy.typing import NDArray

from ..errors import EngineError, OutOfMemory
from ..geometry import Geometry
from ..model.checkpoint import Network
from ..model.liif import OUTPUTS, first_layer, layer_names
from ..model.zoo import cache_home
from .base import Engine, MemoryFacts, TileShape

PRECISIONS = {"fp32": ov.Type.f32, "bf16": ov.Type.bf16, "fp16": ov.Type.f16}
_DEVICES = {"cpu": "CPU", "gpu": "GPU"}


class GraphLayers:
    """`model.layers.Layers` recorded as an OpenVINO graph."""

    def __init__(self, tensors: Any) -> None:
        self._tensors = tensors

    def conv(self, x: Any, name: str) -> Any:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return convolution(x, weight, bias)

    def relu(self, x: Any) -> Any:
        return op.relu(x)

    def add(self, x: Any, y: Any) -> Any:
        return op.add(x, y)

    def concat(self, xs: list[Any]) -> Any:
        return xs[0] if len(xs) == 1 else op.concat(xs, 1)


def convolution(x: Any, weight: NDArray[np.float32], bias: NDArray[np.float32] | None) -> Any:
    """Convolution with zero padding k // 2 and an optional bias."""
    pad = [weight.shape[-1] // 2] * 2
    y = op.convolution(x, op.constant(weight), [1, 1], pad, pad, [1, 1])
    return y if bias is None else op.add(y, op.constant(bias.reshape(1, -1, 1, 1)))


def encoder_graph(network: Network, height: int, width: int) -> ov.Model:
    """(1, 3, height, width) in 0..1 to the hidden map (height * width, H1), the first layer of the MLP included."""
    spec = network.spec
    lr = op.parameter([1, 3, height, width], ov.Type.f32, name="lr")
    x = op.subtract(op.multiply(lr, op.constant(np.float32(2))), op.constant(np.float32(1)))
    features = spec.encoder_module.forward(GraphLayers(network.tensors), spec.encoder, x)
    hidden = convolution(features, first_layer(network.tensors).convolution, None)
    hidden = op.transpose(hidden, op.constant(np.array([0, 2, 3, 1])))
    hidden = op.reshape(hidden, op.constant(np.array([height * width, spec.decoder.hidden[0]])), False)
    return ov.Model([op.result(hidden)], [lr], f"{spec.name}-encoder")


def decoder_graph(network: Network, shape: TileShape) -> ov.Model:
    """Hidden map, cell numbers and offset terms of a block to colours (rows, columns, 3) per evaluation, in 0..1."""
    width = network.spec.decoder.hidden[0]
    hidden = op.parameter([shape.height * shape.width, width], ov.Type.f32, name="hidden")
    cells = op.parameter([shape.rows * shape.columns], ov.Type.i32, name="cells")
    along_rows = op.parameter([shape.rows, 1, width], ov.Type.f32, name="along_rows")
    along_columns = op.parameter([1, shape.columns, width], ov.Type.f32, name="along_columns")
    x = op.gather(hidden, cells, op.constant(np.int64(0)))
    x = op.reshape(x, op.constant(np.array([shape.rows, shape.columns, width])), False)
    x = op.relu(op.add(op.add(x, along_rows), along_columns))
    names = layer_names(network.spec.decoder)[1:]
    for name in names:
        weight, bias = network.tensors[f"{name}.weight"], network.tensors[f"{name}.bias"]
        if name == names[-1]:
            # -1..1 to 0..1, folded into the last layer
            weight, bias = weight * np.float32(0.5), bias * np.float32(0.5) + np.float32(0.5)
        x = op.matmul(x, op.constant(weight), False, True)
        x = op.add(x, op.constant(bias.reshape(1, 1, -1)))
        if name != names[-1]:
            x = op.relu(x)
    return ov.Model([op.result(x)], [hidden, cells, along_rows, along_columns], f"{network.spec.name}-decoder")


class OpenVINOEngine(Engine):
    """Executes a network with OpenVINO."""

    name = "openvino"

    def __init__(
        self,
        network: Network,
        precision: str = "fp32",
        device: str = "cpu",
        threads: int | None = None,
        cache: bool = True,
    ) -> None:
        if precision not in PRECISIONS:
            raise EngineError(f"the openvino engine has no precision {precision}; it has {', '.join(PRECISIONS)}")
        self.precision, self.device = precision, device
        self._network = network
        self._core = ov.Core()
        target = _DEVICES.get(device)
        if target is None or target not in {d.split(".")[0] for d in self._core.available_devices}:
            found = ", ".join(d.lower() for d in self._core.available_devices)
            raise EngineError(f"OpenVINO sees no device {device!r} here (it sees: {found})")
        self._target = target
        # A map of a whole tile goes from one graph to the next in the precision both compute in.
        self._storage = PRECISIONS[precision] if precision != "fp16" or device == "gpu" else ov.Type.f32
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if target == "CPU":
            self._options["INFERENCE_NUM_THREADS"] = threads or len(os.sched_getaffinity(0))
        if cache:
            folder = cache_home() / "openvino"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._options["CACHE_DIR"] = str(folder)
            except OSError:
                pass  # a read-only home costs start-up time, nothing else
        self._first = first_layer(network.tensors)
        self._shape: TileShape | None = None
        self._encode: Any = None
        self._decode: Any = None

    def prepare(self, shape: TileShape) -> None:
        if shape == self._shape:
            return
        with _memory_errors():
            if self._shape is None or (shape.height, shape.width) != (self._shape.height, self._shape.width):
                self._encode = None
                self._encode = self._compile(encoder_graph(self._network, shape.height, shape.width), outputs=True)
            self._decode = self._compile(decoder_graph(self._network, shape), outputs=False)
        self._shape = shape

    def encode(self, lr: NDArray[np.float32]) -> ov.Tensor:
        with _memory_errors():
            self._encode.infer([np.ascontiguousarray(lr)], share_inputs=True)
            return self._encode.get_output_tensor()

    def decode(self, hidden: Any, geometry: Geometry) -> NDArray[np.float32]:
        shape = self._shape
        assert shape is not None, "prepare() comes first"
        rows = geometry.rows.padded(shape.rows, geometry.rows.positions)
        columns = geometry.columns.padded(shape.columns, geometry.columns.positions)
        cells = (rows.index[:, None] * np.int32(shape.width) + columns.index).reshape(-1)
        along_rows = rows.offset[:, None] * self._first.offset[:, 0].astype(np.float64)
        along_columns = columns.offset[:, None] * self._first.offset[:, 1].astype(np.float64)
        along_columns = along_columns + self._first.bias_for(geometry.cell)
        with _memory_errors():
            request = self._decode
            request.set_input_tensor(0, hidden)
            request.set_input_tensor(1, ov.Tensor(np.ascontiguousarray(cells)))
            request.set_input_tensor(2, ov.Tensor(along_rows.astype(np.float32)[:, None]))
            request.set_input_tensor(3, ov.Tensor(along_columns.astype(np.float32)[None]))
            request.infer()
            colour = request.get_output_tensor().data.reshape(shape.rows, shape.columns, OUTPUTS)
            return geometry.columns.mix(geometry.rows.mix(colour, 0), 1)

    @property
    def memory(self) -> MemoryFacts:
        # Fitted by benchmarks/memory_model.py; results/memory.md has the table. The encoder's peak is at its widest
        # concatenation, held twice, beside the hidden map, held twice while it is transposed. The decoder's blocks
        # take over memory that the encoder has freed; they are counted all the same.
        spec = self._network.spec
        each = PRECISIONS[self.precision].size
        values = 2 * spec.decoder.hidden[0] + 2 * spec.widest_input + 7 * spec.encoder.features
        weights = sum(tensor.nbytes for tensor in self._network.tensors.values())
        return MemoryFacts(150 * 2**20 + 5 * weights, each * values, 2 * each * max(spec.decoder.hidden))

    def _compile(self, model: ov.Model, outputs: bool) -> Any:
        if self._storage != ov.Type.f32:
            convert = ov.preprocess.PrePostProcessor(model)
            tensor = convert.output().tensor() if outputs else convert.input("hidden").tensor()
            tensor.set_element_type(self._storage)
            model = convert.build()
        return self._core.compile_model(model, self._target, self._options).create_infer_request()


class _memory_errors:
    """Turns the exceptions of OpenVINO into ours, by their type."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MemoryError):
            raise OutOfMemory(f"OpenVINO ran out of memory ({error})") from error
        if isinstance(error, RuntimeError):
            raise EngineError(f"OpenVINO failed: {str(error).strip().splitlines()[0][:200]}") from error
