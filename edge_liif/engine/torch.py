"""The torch engine: reference on the CPU (fp32, bf16), the engine for CUDA and Apple GPUs (fp32, fp16, bf16)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..errors import EngineError
from ..geometry import AxisQueries, Geometry
from ..memory import give_back_holes
from ..model.checkpoint import Network
from ..model.liif import first_layer, layer_names
from .base import Engine, EngineErrors, MemoryFacts, TileShape
from .cores import thread_limit

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "fp64": torch.float64}
# "int8" is the simulation of simulated.py, whose numbers are float32
_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "fp64": 8, "int8": 4}
# Evaluations of a block on a GPU: it starts a layer in some microseconds, however small, in which it could compute
# tens of thousands of them. Not measured.
_GPU_BLOCK = 262_144


@contextlib.contextmanager
def _full_convolutions() -> Iterator[None]:
    settings = getattr(torch.backends.cudnn, "conv", None)
    if settings is None:  # torch before 2.9
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
        return
    before, settings.fp32_precision = settings.fp32_precision, "ieee"
    try:
        yield
    finally:
        settings.fp32_precision = before


def _release() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


_engine_errors = EngineErrors(
    "torch", (RuntimeError, TypeError), (torch.OutOfMemoryError, MemoryError), release=_release
)


class TorchLayers:
    """`model.layers.Layers` executed eagerly."""

    def __init__(self, network: Network, dtype: torch.dtype, device: torch.device) -> None:
        self.tensors = {
            name: torch.from_numpy(np.ascontiguousarray(tensor)).to(device, dtype)
            for name, tensor in network.tensors.items()
            if name.startswith("encoder.")
        }
        for name, tensor in self.tensors.items():
            if tensor.ndim == 4:
                self.tensors[name] = tensor.contiguous(memory_format=torch.channels_last)

    def conv(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight = self.tensors[f"{name}.weight"]
        return F.conv2d(x, weight, self.tensors[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def relu(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x, inplace=not torch.is_grad_enabled())

    def add(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y

    def concat(self, xs: list[torch.Tensor]) -> torch.Tensor:
        return xs[0] if len(xs) == 1 else torch.cat(xs, dim=1)


class TorchEngine(Engine):
    """Executes a network with torch. Precision fp64 exists for the tests of exactness."""

    name = "torch"

    def __init__(
        self, network: Network, precision: str = "fp32", device: str = "cpu", threads: int | None = None
    ) -> None:
        if precision not in DTYPES:
            raise EngineError(f"the torch engine has no precision {precision}; it has {', '.join(DTYPES)}")
        if device not in {"cpu", "cuda", "mps"}:
            raise EngineError(f"the torch engine has no device {device}; it has cpu, cuda and mps")
        self.precision, self.device = precision, device
        self._spec = network.spec
        self._dtype, self._torch_device = DTYPES[precision], torch.device(device)
        if device == "cpu" and (limit := thread_limit(threads)):
            # a calling program may want fewer
            torch.set_num_threads(threads or min(limit, torch.get_num_threads()))
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineError("torch sees no CUDA device here; use --device cpu")
        if device == "mps" and not torch.backends.mps.is_available():
            raise EngineError("torch sees no Apple GPU here; use --device cpu")
        # the calling program's share of the GPU's memory while ours is in force
        self._own_fraction: float | None = None
        self._network = network
        self._first = first_layer(network.tensors)
        self._weights_bytes = sum(t.nbytes for t in network.tensors.values())
        self._layers: Any = None
        self._hidden_weight: Any = None
        self._mlp: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._place_weights()

    def prepare(self, shape: TileShape) -> None:
        """Eager torch takes any shape: the weights are placed again after `release`, and the peak counter starts
        anew."""
        if not self._mlp:
            self._place_weights()
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    @property
    def limits_device(self) -> bool:
        return self.device == "cuda"

    def limit(self, cap: int | None) -> None:
        if self.device != "cuda":
            return
        if self._own_fraction is not None:
            torch.cuda.set_per_process_memory_fraction(self._own_fraction)
            self._own_fraction = None
        if cap is not None:
            # torch before 2.8 can't tell
            told = getattr(torch.cuda, "get_per_process_memory_fraction", lambda: 1.0)
            self._own_fraction = told()
            # what was reserved for others counts, too
            torch.cuda.empty_cache()
            whole = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
            torch.cuda.set_per_process_memory_fraction(min(self._own_fraction, cap / whole))

    def release(self) -> None:
        """Let go of the weights on the device, and of memory that torch holds there for nobody; the network keeps its
        own."""
        self._layers, self._hidden_weight, self._mlp = None, None, []
        _release()

    def _place_weights(self) -> None:
        with _engine_errors:
            self._layers = TorchLayers(self._network, self._dtype, self._torch_device)
            self._hidden_weight = self._tensor(self._first.convolution).contiguous(memory_format=torch.channels_last)
            # last: where something fails, `prepare` places all of them again
            self._mlp = [
                (
                    self._tensor(self._network.tensors[f"{name}.weight"]),
                    self._tensor(self._network.tensors[f"{name}.bias"]),
                )
                for name in layer_names(self._spec.decoder)[1:]
            ]

    def encode(self, lr: NDArray[np.float32]) -> torch.Tensor:
        if self.device == "cpu":
            give_back_holes()
        with torch.inference_mode(), _engine_errors, self._full_precision():
            x = self._tensor(lr).contiguous(memory_format=torch.channels_last) * 2 - 1
            return self._hidden_map(x)[0].permute(1, 2, 0).contiguous()

    def _hidden_map(self, x: torch.Tensor) -> torch.Tensor:
        """(1, 3, H, W) in -1..1 to (1, H1, H, W)."""
        features = self._spec.encoder_module.forward(self._layers, self._spec.encoder, x)
        return F.conv2d(features, self._hidden_weight, padding=1)

    def _full_precision(self) -> contextlib.AbstractContextManager[None]:
        """On CUDA, float32 convolutions in full: by default torch has cuDNN round what they multiply to 10 bits."""
        if self.device == "cuda" and self.precision == "fp32":
            return _full_convolutions()
        return contextlib.nullcontext()

    def decode(self, hidden: Any, geometry: Geometry) -> NDArray[np.float32]:
        with torch.inference_mode(), _engine_errors:
            return self.decode_tensor(hidden, geometry).cpu().numpy()

    def decode_blocks(self, hidden: Any, geometries: Iterable[Geometry]) -> Iterator[NDArray[np.float32]]:
        """CUDA computes a block while the one before it is copied from it and used."""
        if self.device != "cuda":
            yield from super().decode_blocks(hidden, geometries)
            return
        before = None
        for geometry in geometries:
            with torch.inference_mode(), _engine_errors:
                started = self._sent_back(self.decode_tensor(hidden, geometry))
            if before is not None:
                yield self._arrived(*before)
            before = started
        if before is not None:
            yield self._arrived(*before)

    def _sent_back(self, colours: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """A copy for the host that may still be under way, and the event that says when it is there."""
        # page-locked memory: into any other the copy would wait for the GPU, and the host with it
        host = torch.empty(colours.shape, dtype=colours.dtype, pin_memory=True)
        host.copy_(colours, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        return host, event

    def _arrived(self, colours: torch.Tensor, event: Any) -> NDArray[np.float32]:
        with _engine_errors:
            event.synchronize()
        return colours.numpy()

    def decode_tensor(self, hidden: torch.Tensor, geometry: Geometry) -> torch.Tensor:
        """`decode` without the copy to numpy: (rows, columns, 3), fp64 when the engine is fp64, else fp32."""
        rows, columns = geometry.rows, geometry.columns
        # offsets are multiplied out in float64 on the host: they are never rounded to half precision by themselves
        along_rows = rows.offset[:, None] * self._first.offset[:, 0].astype(np.float64)
        along_columns = columns.offset[:, None] * self._first.offset[:, 1].astype(np.float64)
        along_columns = along_columns + self._first.bias_for(geometry.cell)
        colour = self._evaluated(
            hidden, self._index(rows), self._index(columns), self._tensor(along_rows), self._tensor(along_columns)
        )
        colour = self._mix(colour, rows, 0)
        colour = self._mix(colour, columns, 1)
        return colour * 0.5 + 0.5

    def _evaluated(
        self,
        hidden: torch.Tensor,
        rows: torch.Tensor,
        columns: torch.Tensor,
        along_rows: torch.Tensor,
        along_columns: torch.Tensor,
    ) -> torch.Tensor:
        """The MLP at every crossing of rows (R,) and columns (C,) of the hidden map (H, W, H1), with the terms of their
        offsets, (R, H1) and (C, H1), to colours (R, C, 3) in -1..1."""
        x = hidden[rows][:, columns].add_(along_rows[:, None]).add_(along_columns[None]).relu_()
        for weight, bias in self._mlp[:-1]:
            x = F.linear(x, weight, bias).relu_()
        weight, bias = self._mlp[-1]
        # Colours are mixed in full precision; the last layer comes before the ensemble because then three channels
        # are mixed instead of hundreds (both orders are exact).
        return F.linear(x, weight, bias).to(torch.float64 if self.precision == "fp64" else torch.float32)

    @property
    def memory(self) -> MemoryFacts:
        # Fitted by benchmarks/memory_model.py on the CPU; results/memory.md has the table. The peak is at the global
        # fusion (outputs, their concatenation, for some shapes a copy of that), or at the hidden map. A quarter
        # is for holes that tile after tile leaves where tensors are just too small to be mapped by themselves.
        each = _BYTES[self.precision]
        hidden = self._spec.decoder.hidden
        features = self._spec.encoder.features
        encoder = max(13 * self._spec.widest_input // 4, self._spec.dense_block_channels(3)) + 2 * features
        values = max(encoder, 2 * hidden[0] + 3 * features)
        facts = (330 * 2**20 + 4 * self._weights_bytes, each * values, 3 * each * max(hidden), 24 * hidden[0])
        return MemoryFacts(*facts) if self.device == "cpu" else MemoryFacts(*facts, _GPU_BLOCK)

    def peak_device_bytes(self) -> int | None:
        return torch.cuda.max_memory_reserved() if self.device == "cuda" else None

    def _tensor(self, array: NDArray) -> torch.Tensor:
        # cast before the move: Apple GPUs know no float64
        return self._placed(torch.from_numpy(np.ascontiguousarray(array)).to(self._dtype))

    def _index(self, queries: AxisQueries) -> torch.Tensor:
        return self._placed(torch.from_numpy(queries.index).to(torch.int64))

    def _placed(self, tensor: torch.Tensor) -> torch.Tensor:
        """On the device; of a GPU's work on what came before nothing is waited for."""
        if self.device == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self._torch_device, non_blocking=self.device == "cuda")

    def _mix(self, colour: torch.Tensor, queries: AxisQueries, axis: int) -> torch.Tensor:
        first, second = (self._placed(torch.from_numpy(a)) for a in (queries.first, queries.second))
        share = self._placed(torch.from_numpy(queries.weight).to(colour.dtype))
        shape = [1, 1, 1]
        shape[axis] = -1
        return torch.lerp(colour.index_select(axis, first), colour.index_select(axis, second), share.view(shape))
