"""The OpenVINO engine: the fast one on CPUs, and on Intel GPUs. Needs neither torch nor ONNX nor a compiler.

Two graphs are built directly with OpenVINO's opset: the encoder (LR window to hidden map) and the decoder (hidden map
and geometry of a block of output rows to one colour per evaluation). The ensemble, three channels wide, is mixed
outside the graph in fp32, because a half-precision graph would round its weights.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as op
from numpy.typing import NDArray

from ..errors import EngineError, EngineFailure, OutOfMemory
from ..geometry import AxisQueries, Geometry
from ..model.checkpoint import Network
from ..model.liif import OUTPUTS, first_layer, layer_names
from ..model.zoo import cache_home
from .base import Engine, MemoryFacts, TileShape, usable_cpus

PRECISIONS = {"fp32": ov.Type.f32, "bf16": ov.Type.bf16, "fp16": ov.Type.f16}
_DEVICES = {"cpu": "CPU", "gpu": "GPU"}


# Python, OpenVINO, libvips and whatever else is there before the weights; the self-check of a first run included.
BASE_BYTES = 150 * 2**20
# Compiled graphs are kept per shape and version; the oldest go when there are more than this.
CACHE_BYTES = 256 * 2**20


def _prune(folder: Path) -> None:
    """Delete the compiled graphs used longest ago until the rest fit into CACHE_BYTES."""
    blobs = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in folder.iterdir() if p.is_file()), reverse=True)
    total = 0
    for _, size, path in blobs:
        total += size
        if total > CACHE_BYTES:
            path.unlink(missing_ok=True)


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
            self._options["INFERENCE_NUM_THREADS"] = threads or usable_cpus()
        if cache:
            folder = cache_home() / "openvino"
            # a read-only home costs start-up time, nothing else
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                _prune(folder)
                self._options["CACHE_DIR"] = str(folder)
        self._first = first_layer(network.tensors)
        self._shape: TileShape | None = None
        self._encode: Any = None
        self._columns: tuple[AxisQueries, tuple[float, float], AxisQueries, NDArray[np.float32]] | None = None
        self._decode: Any = None

    def prepare(self, shape: TileShape) -> None:
        if shape == self._shape:
            return
        before, self._shape = self._shape, None
        # the old graphs go before the new ones come, and a failure leaves none that look ready
        self._decode, self._columns = None, None
        with _engine_errors():
            if before is None or (shape.height, shape.width) != (before.height, before.width) or self._encode is None:
                self._encode = None
                self._encode = self._compile(encoder_graph(self._network, shape.height, shape.width), outputs=True)
            self._decode = self._compile(decoder_graph(self._network, shape), outputs=False)
        self._shape = shape

    def encode(self, lr: NDArray[np.float32]) -> ov.Tensor:
        with _engine_errors():
            self._encode.infer([np.ascontiguousarray(lr)], share_inputs=True)
            return self._encode.get_output_tensor()

    def decode(self, hidden: Any, geometry: Geometry) -> NDArray[np.float32]:
        shape = self._shape
        assert shape is not None, "prepare() comes first"
        rows = geometry.rows.padded(shape.rows, geometry.rows.positions)
        columns, along_columns = self._column_terms(geometry)
        cells = (rows.index[:, None] * np.int32(shape.width) + columns.index).reshape(-1)
        along_rows = rows.offset.astype(np.float32)[:, None, None] * self._first.offset[:, 0]
        with _engine_errors():
            request = self._decode
            request.set_input_tensor(0, hidden)
            request.set_input_tensor(1, ov.Tensor(cells, shared_memory=True))
            request.set_input_tensor(2, ov.Tensor(along_rows, shared_memory=True))
            request.set_input_tensor(3, ov.Tensor(along_columns, shared_memory=True))
            request.infer()
            colour = request.get_output_tensor().data.reshape(shape.rows, shape.columns, OUTPUTS)
            return geometry.columns.mix(geometry.rows.mix(colour, 0), 1)

    def _column_terms(self, geometry: Geometry) -> tuple[AxisQueries, NDArray[np.float32]]:
        """Padded column queries and their offset, cell and bias terms (1, columns, H1), made once for all blocks of a
        tile, which share one `geometry.columns`."""
        if self._columns is None or self._columns[0] is not geometry.columns or self._columns[1] != geometry.cell:
            assert self._shape is not None
            columns = geometry.columns.padded(self._shape.columns, geometry.columns.positions)
            terms = columns.offset.astype(np.float32)[None, :, None] * self._first.offset[:, 1]
            terms += self._first.bias_for(geometry.cell).astype(np.float32)
            self._columns = (geometry.columns, geometry.cell, columns, terms)
        return self._columns[2], self._columns[3]

    @property
    def memory(self) -> MemoryFacts:
        # Fitted by benchmarks/memory_model.py; results/memory.md has the table. The encoder's peak is at its widest
        # concatenation, held twice, beside the hidden map, held twice while it is transposed. The decoder's blocks
        # take over memory that the encoder has freed; they are counted all the same.
        spec = self._network.spec
        each = PRECISIONS[self.precision].size
        values = 2 * spec.decoder.hidden[0] + 2 * spec.widest_input + 7 * spec.encoder.features
        weights = sum(tensor.nbytes for tensor in self._network.tensors.values())
        hidden = spec.decoder.hidden
        return MemoryFacts(BASE_BYTES + 5 * weights, each * values, 2 * each * max(hidden), 4 * hidden[0] + 64)

    def _compile(self, model: ov.Model, outputs: bool) -> Any:
        if self._storage != ov.Type.f32:
            convert = ov.preprocess.PrePostProcessor(model)
            tensor = convert.output().tensor() if outputs else convert.input("hidden").tensor()
            tensor.set_element_type(self._storage)
            model = convert.build()
        return self._core.compile_model(model, self._target, self._options).create_infer_request()


class _engine_errors:
    """Turns the exceptions of OpenVINO into ours, by their type."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MemoryError):
            raise OutOfMemory(f"OpenVINO ran out of memory ({error})") from error
        if isinstance(error, RuntimeError):
            raise EngineFailure(f"OpenVINO failed: {' '.join(str(error).split())[:200]}") from error
