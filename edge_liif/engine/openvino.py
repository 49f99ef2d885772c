"""The OpenVINO engine: the fast one on CPUs, and on Intel GPUs. Needs neither torch nor ONNX nor a compiler."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from ..errors import EngineError
from ..geometry import AxisQueries, Geometry
from ..model.checkpoint import Network
from ..model.liif import OUTPUTS, first_layer, layer_names
from ..model.zoo import cache_home
from .base import Engine, EngineErrors, MemoryFacts, TileShape
from .cores import thread_limit
from .kept import Kept
from .openvino_core import core
from .openvino_graphs import FloatGraphs, term_shapes
from .openvino_int8 import IntegerGraphs
from .openvino_layers import ExecutedLayer, executed_layers

PRECISIONS = {"fp32": ov.Type.f32, "bf16": ov.Type.bf16, "fp16": ov.Type.f16, "int8": ov.Type.i8}
_DEVICES = {"cpu": "CPU", "gpu": "GPU"}


SMALLEST_INTEGER_SIDE = 8
"""LR pixels: a smaller window is mostly rim, whose features leave the ranges that quantizers were made for, and of one
single pixel OpenVINO's int8 convolutions make garbage. It is computed in floats, at no cost."""
# Python, OpenVINO, libvips and whatever else is there before the weights; the self-check of a first run included.
BASE_BYTES = 150 * 2**20
# Compiled graphs are kept per shape and version; the oldest go when there are more than this.
CACHE_BYTES = 256 * 2**20
# Graphs of shapes prepared before stay within this, and within what the memory plan leaves, whichever is less: three or
# four pairs of the default model. Compiling a pair takes longer than enlarging a picture of a thousand pixels with it.
KEPT_BYTES = 128 * 2**20
# A compiled graph's own copies of its weights, relative to them in fp32. Measured, encoder and decoder together: 2.6
# for EDSR in int8, 2.9 in fp32, 3.3 for RDN in int8, whose convolutions are split by sign.
COPIES = 3.5
SIGNAL_MILLISECONDS = 100
_engine_errors = EngineErrors("OpenVINO")


def _keys(shape: TileShape) -> tuple[Hashable, Hashable]:
    """What an encoder and a decoder are compiled for."""
    return (shape.height, shape.width), shape


def _infer(request: ov.InferRequest, lr: NDArray[np.float32]) -> None:
    """Run a request that may take a minute, such that Ctrl-C stops it between two layers: Python sees signals only
    between calls. The input is shared, so nothing leaves this function while the request runs."""
    try:
        request.start_async([lr], share_inputs=True)
        while not request.wait_for(SIGNAL_MILLISECONDS):
            pass
    except BaseException:
        with contextlib.suppress(RuntimeError):  # a device need not know how
            request.cancel()
        with contextlib.suppress(RuntimeError):  # "was canceled"
            request.wait()
        raise


def _prune(folder: Path) -> None:
    """Delete the compiled graphs used longest ago until the rest fit into CACHE_BYTES."""
    blobs = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in folder.iterdir() if p.is_file()), reverse=True)
    total = 0
    for _, size, path in blobs:
        total += size
        if total > CACHE_BYTES:
            path.unlink(missing_ok=True)


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
        timed: bool = False,
        graphs: FloatGraphs | None = None,
    ) -> None:
        """graphs: to execute instead of the network's own, from the same inputs to the same outputs."""
        if precision not in PRECISIONS:
            raise EngineError(f"the openvino engine has no precision {precision}; it has {', '.join(PRECISIONS)}")
        self.precision, self.device = precision, device
        self._network = network
        target = _DEVICES.get(device)
        if target is None or target not in {d.split(".")[0] for d in core().available_devices}:
            found = ", ".join(d.lower() for d in core().available_devices)
            raise EngineError(f"OpenVINO sees no device {device!r} here (it sees: {found})")
        self._target = target
        # What is not int8 stays in full precision: bf16 beside int8 saves no time (measured), and its rounding tips
        # many levels.
        beside = ov.Type.f16 if device == "gpu" else ov.Type.f32
        self._floats = beside if precision == "int8" else PRECISIONS[precision]
        # A map of a whole tile goes from one graph to the next in the precision both compute in; before it becomes 8
        # bits, half precision holds enough of it.
        stored = {"int8": "fp16", "fp16": "fp16" if device == "gpu" else "fp32"}
        storage = PRECISIONS[stored.get(precision, precision)]
        self._graphs = graphs or (IntegerGraphs if precision == "int8" else FloatGraphs)(network, storage)
        self._float_graphs = FloatGraphs(network, storage)
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self._floats,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if timed:
            self._options["PERF_COUNT"] = True
        # OpenVINO knows which cores are fast ones and which are two halves of one, and by itself takes what a single
        # request is computed fastest on; of a container's quota it knows nothing.
        if target == "CPU" and (limit := thread_limit(threads)):
            self._options["INFERENCE_NUM_THREADS"] = limit
        if cache:
            folder = cache_home() / "openvino"
            # a read-only home costs start-up time, nothing else
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                _prune(folder)
                self._options["CACHE_DIR"] = str(folder)
        self._first = first_layer(network.tensors)
        mlp = tuple(f"{name}." for name in layer_names(network.spec.decoder)[1:])
        weights = {name: tensor.nbytes for name, tensor in network.tensors.items()}
        self._decoder_weights = sum(size for name, size in weights.items() if name.startswith(mlp))
        self._encoder_weights = sum(weights.values()) - self._decoder_weights
        self._kept: Kept[Any] = Kept()
        self._room = 0
        self._shape: TileShape | None = None
        self._encode: Any = None
        self._columns: tuple[AxisQueries, tuple[float, float], AxisQueries, NDArray[np.float32]] | None = None
        self._decode: Any = None

    def prepare(self, shape: TileShape) -> None:
        if shape == self._shape:
            return
        # old graphs that must go do so before new ones come, and a failure leaves none that look ready
        self._shape, self._encode, self._decode, self._columns = None, None, None, None
        encoder, decoder = _keys(shape)
        self._shrink((encoder, decoder))
        graphs = self._graphs if min(shape.height, shape.width) >= SMALLEST_INTEGER_SIDE else self._float_graphs
        facts = self.memory
        try:
            with _engine_errors:
                size = int(COPIES * self._encoder_weights) + facts.tile(shape)
                self._encode = self._kept.get(
                    encoder, size, lambda: self._compile(graphs.encoder(shape.height, shape.width))
                )
                size = int(COPIES * self._decoder_weights) + facts.block(shape)
                self._decode = self._kept.get(decoder, size, lambda: self._compile(graphs.decoder(shape)))
        except BaseException:
            # what failed for lack of memory is tried again with all of it
            self.release()
            raise
        self._shape = shape

    def keep(self, shape: TileShape | None, room: int | None) -> int:
        self._room = KEPT_BYTES if room is None else min(KEPT_BYTES, room)
        needed = () if shape is None else _keys(shape)
        if shape != self._shape:
            # the graphs in use may be among those that go; `prepare` finds those that stay
            self._shape, self._encode, self._decode, self._columns = None, None, None, None
        self._shrink(needed)
        return self._kept.size_beside(needed)

    def _shrink(self, needed: tuple[Hashable, ...]) -> None:
        """Let go of what there is no room for, and of decoders without their encoder: the request of a decoder holds
        on to the hidden map that it has read last, which is counted with the encoder."""
        self._kept.shrink(self._room, needed)
        self._kept.forget(lambda key: isinstance(key, TileShape) and _keys(key)[0] not in self._kept)

    def release(self) -> None:
        self._shape, self._encode, self._decode, self._columns = None, None, None, None
        self._kept.clear()

    def encode(self, lr: NDArray[np.float32]) -> ov.Tensor:
        with _engine_errors:
            _infer(self._encode, np.ascontiguousarray(lr))
            return self._encode.get_output_tensor()

    def decode(self, hidden: Any, geometry: Geometry) -> NDArray[np.float32]:
        shape = self._shape
        assert shape is not None, "prepare() comes first"
        rows = geometry.rows.padded(shape.rows, geometry.rows.positions)
        columns, along_columns = self._column_terms(geometry)
        cells = columns.index[:: shape.pattern.per_cell]
        top = min(int(rows.index.min()), shape.height - shape.read_rows)
        band = ov.Tensor(hidden, [top * shape.width, 0], [(top + shape.read_rows) * shape.width, hidden.shape[1]])
        numbers = ((rows.index[:, None] - np.int32(top)) * np.int32(shape.width) + cells).reshape(-1)
        along_rows = rows.offset.astype(np.float32)[:, None] * self._first.offset[:, 0]
        along_rows = along_rows.reshape(term_shapes(shape, along_rows.shape[1])[0])
        with _engine_errors:
            request = self._decode
            request.set_input_tensor(0, band)
            request.set_input_tensor(1, ov.Tensor(numbers, shared_memory=True))
            request.set_input_tensor(2, ov.Tensor(along_rows, shared_memory=True))
            request.set_input_tensor(3, ov.Tensor(along_columns, shared_memory=True))
            request.infer()
            colour = request.get_output_tensor().data.reshape(shape.rows, shape.columns, OUTPUTS)
            return columns.mix(geometry.rows.mix(colour, 0), 1)

    def _column_terms(self, geometry: Geometry) -> tuple[AxisQueries, NDArray[np.float32]]:
        """Column queries as the graph wants them, and their offset, cell and bias terms, made once for all blocks of a
        tile, which share one `geometry.columns`."""
        if self._columns is None or self._columns[0] is not geometry.columns or self._columns[1] != geometry.cell:
            shape = self._shape
            assert shape is not None
            columns = geometry.columns
            if shape.pattern.per_cell > 1:
                columns = columns.by_cell(shape.pattern, shape.cells)
            else:
                columns = columns.padded(shape.columns, columns.positions)
            offset = columns.offset[: shape.pattern.per_cell] if shape.pattern.offsets else columns.offset
            terms = offset.astype(np.float32)[:, None] * self._first.offset[:, 1]
            terms += self._first.bias_for(geometry.cell).astype(np.float32)
            terms = terms.reshape(term_shapes(shape, terms.shape[1])[1])
            self._columns = (geometry.columns, geometry.cell, columns, terms)
        return self._columns[2], self._columns[3]

    def executed(self) -> list[ExecutedLayer]:
        """The layers of both graphs, after `prepare`; with times if the engine is `timed` and has been used."""
        graphs = (("encoder", self._encode), ("decoder", self._decode))
        return [layer for name, request in graphs for layer in executed_layers(name, request.get_compiled_model())]

    @property
    def memory(self) -> MemoryFacts:
        # Fitted by benchmarks/memory_model.py; results/memory.md has the table. The encoder's peak is at its widest
        # concatenation, held twice beside the residual stream, or when the hidden map is there too. The decoder's
        # blocks take over memory that the encoder has freed; they are counted all the same.
        spec = self._network.spec
        hidden, each, features = spec.decoder.hidden, self._floats.size, spec.encoder.features
        weights = sum(tensor.nbytes for tensor in self._network.tensors.values())
        base, column = BASE_BYTES + 5 * weights, 4 * hidden[0] + 64
        if self.precision == "int8":
            # concatenations are levels of one byte; the residual stream is floats, the hidden map half of that; the
            # graphs have many more nodes
            pixel = 2 * hidden[0] + 5 * each * features + 2 * spec.widest_input
            # a wide hidden map, while its floats are made halves
            pixel = max(pixel, (2 + each) * hidden[0] + each * features)
            return MemoryFacts(base + 16 * 2**20, pixel, (each + 2) * max(hidden), column)
        block = spec.dense_block_channels(2) + 2 * features
        pixel = each * max(2 * spec.widest_input + 7 * features, block, hidden[0] + 6 * features)
        return MemoryFacts(base, pixel, 2 * each * max(hidden), column)

    def _compile(self, model: ov.Model) -> Any:
        return core().compile_model(model, self._target, self._options).create_infer_request()
