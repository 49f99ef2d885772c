"""The ONNX Runtime engine: executes the graphs that `edge-liif export` writes, from memory."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from ..errors import EngineError
from ..geometry import AxisQueries, Geometry
from ..model.checkpoint import Network
from .base import Engine, EngineErrors, MemoryFacts, TileShape
from .cores import usable_cpus
from .onnx_graphs import FloatGraphs
from .onnx_int8 import IntegerGraphs

PRECISIONS = ("fp32", "int8")
# In the order in which ONNX Runtime gives each part of a graph to the first that can execute it.
PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
# Optimizers that round biases to whole products of levels, because int8 convolutions take no others: with 4-bit weights
# that moved a thirtieth of the pixels by more than a grey level. Without them only the MLP is executed on integers.
INEXACT = ["WeightBiasQuantization", "GemmSumFusion"]
# Python, ONNX, ONNX Runtime, libvips and whatever else is there before the weights.
BASE_BYTES = 150 * 2**20
# Its exceptions share no base of their own, and which there are differs between versions.
_FAILURES = (
    *(kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    RuntimeError,
)
_engine_errors = EngineErrors("ONNX Runtime", _FAILURES)


class ONNXEngine(Engine):
    """Executes a network with ONNX Runtime."""

    name = "onnx"

    def __init__(
        self,
        network: Network,
        precision: str = "fp32",
        device: str = "cpu",
        threads: int | None = None,
        models: tuple[bytes, bytes] | None = None,
    ) -> None:
        """models: encoder and decoder to execute instead of the network's own, from the same inputs to the same
        outputs, and with all of ONNX Runtime's optimizers."""
        if precision not in PRECISIONS:
            raise EngineError(f"the onnx engine has no precision {precision}; it has {', '.join(PRECISIONS)}")
        if device not in devices():
            raise EngineError(f"ONNX Runtime has no device {device!r} here (it has: {', '.join(devices())})")
        self.precision, self.device = precision, device
        self._network = network
        self._memory_place = "cpu" if device == "cpu" else "cuda"
        self._options = session_options(threads)
        self._given, self._disabled = models, INEXACT if models is None else []
        self._encoder: Any = None
        self._decoder: Any = None
        self._open()

    def prepare(self, shape: TileShape) -> None:
        """The graphs take any shape; they are made again only after `release`."""
        if self._decoder is None:
            self._open()

    def release(self) -> None:
        """Close both sessions. On the CPU what they held stays in the pool that all sessions of the process share, for
        the next ones, until an encoder has run."""
        self._encoder, self._decoder = None, None

    def encode(self, lr: NDArray[np.float32]) -> ort.OrtValue:
        with _engine_errors:
            binding = self._encoder.io_binding()
            binding.bind_cpu_input("lr", np.ascontiguousarray(lr))
            binding.bind_output("hidden", self._memory_place)
            _run(self._encoder, binding, self._encoder_options())
            return binding.get_outputs()[0]

    def decode(self, hidden: Any, geometry: Geometry) -> NDArray[np.float32]:
        with _engine_errors:
            binding = self._decoder.io_binding()
            binding.bind_ortvalue_input("hidden", hidden)
            for name, value in geometry_inputs(geometry).items():
                binding.bind_cpu_input(name, value)
            binding.bind_output("colours", "cpu")
            self._decoder.run_with_iobinding(binding)
            colours = binding.get_outputs()[0].numpy()
            return geometry.columns.mix(geometry.rows.mix(colours, 0), 1)

    def _encoder_options(self) -> ort.RunOptions:
        # What an encoder took goes back whole when it is done, before the decoder's blocks settle in it: without this
        # the next window found the pool in pieces, and a run took half as much again from its second tile on.
        options = ort.RunOptions()
        if self.device == "cpu":
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return options

    @property
    def memory(self) -> MemoryFacts:
        # Fitted by benchmarks/memory_model.py --engines onnx --precisions fp32 int8. The hidden map is held twice while
        # it is transposed; a block of evaluations several times, by the sums and layers that follow each other.
        spec, hidden = self._network.spec, self._network.spec.decoder.hidden
        weights = sum(tensor.nbytes for tensor in self._network.tensors.values())
        features, copies = spec.encoder.features, 2 if self.precision == "int8" else 3
        values = 2 * hidden[0] + copies * spec.widest_input + 5 * features
        # of a wide concatenation one more
        widest = max((copies + 1) * spec.widest_input, spec.dense_block_channels(copies + 1))
        values = max(values, widest + 4 * features)
        return MemoryFacts(BASE_BYTES + 5 * weights, 4 * values, 20 * max(hidden), 4 * hidden[0] + 64)

    def _open(self) -> None:
        with _engine_errors:
            encoder, decoder = self._given or self._graphs()
            self._encoder = self._session(encoder, self._options)
            # last: where this fails, `prepare` makes both again
            self._decoder = self._session(decoder, self._options)

    def _graphs(self) -> tuple[bytes, bytes]:
        graphs = IntegerGraphs(self._network) if self.precision == "int8" else FloatGraphs(self._network)
        return graphs.encoder().SerializeToString(), graphs.decoder().SerializeToString()

    def _session(self, model: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        wanted = PROVIDERS[self.device]
        session = ort.InferenceSession(model, options, providers=list(wanted), disabled_optimizers=self._disabled)
        # it says nothing, and takes the CPU, where a device's own libraries are missing
        if session.get_providers()[0] != wanted[0]:
            raise EngineError(f"ONNX Runtime can't start its {wanted[0]} here; use --device cpu")
        return session


def _run(session: ort.InferenceSession, binding: ort.IOBinding, options: ort.RunOptions) -> None:
    """Run a session that may take a minute, such that Ctrl-C stops it between two layers: Python sees signals only
    between calls, and while it waits for another thread. The options are spent then."""
    with ThreadPoolExecutor(1) as thread:  # waited for at the end of the block
        try:
            # without a name of its own: a frame that holds the future would hold a failed run's tensors in a cycle
            thread.submit(session.run_with_iobinding, binding, options).result()
        except BaseException:
            options.terminate = True
            raise


def devices() -> list[str]:
    """Devices that this build of ONNX Runtime has code for."""
    available = ort.get_available_providers()
    return [device for device, providers in PROVIDERS.items() if providers[0] in available]


@functools.cache
def _share_memory() -> None:
    """One pool of memory for all graphs of this process, that grows by what is asked for and no further.

    By default each graph has its own, which doubles: that took 1.5 times the memory. No pool at all took a quarter more
    time.
    """
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    # by requested size, not by powers of two
    ort.create_and_register_allocator(place, ort.OrtArenaCfg({"arena_extend_strategy": 1}))


def session_options(threads: int | None = None) -> ort.SessionOptions:
    """How both graphs are executed on the CPU; threads: None for all processors."""
    _share_memory()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cpus()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 3  # errors; they come as exceptions as well
    # Without VNNI, kernels for uint8 times int8 add in 16 bits and saturate; this has them computed exactly.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def geometry_inputs(geometry: Geometry) -> dict[str, NDArray]:
    """The decoder's inputs beside the hidden map."""

    def axis(name: str, queries: AxisQueries) -> dict[str, NDArray]:
        return {f"{name}_cells": queries.index, f"{name}_offsets": queries.offset.astype(np.float32)}

    cell = np.array(geometry.cell, np.float32)
    return {**axis("row", geometry.rows), **axis("column", geometry.columns), "cell": cell}
