"""The torch engine with its network compiled by `torch.compile`: fused kernels, for what starting them takes.

Needs what TorchInductor needs: a C++ compiler for the CPU, Triton for CUDA. Compiling takes tens of seconds, so it is
for many pictures, and taken only where it is asked for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..geometry import Geometry, axis_queries
from ..model.checkpoint import Network
from .base import MemoryFacts, TileShape
from .torch import TorchEngine

# Output pixels, along both axes, of the block that the decoder is compiled with: two numbers that are neither equal nor
# those of a special case, because both are taken for arbitrary from then on.
_ROWS, _COLUMNS = 9, 14


class CompiledTorchEngine(TorchEngine):
    """`TorchEngine` by `torch.compile`. The encoder is compiled for a window's shape, the second shape for all others;
    the decoder for blocks of any shape. After some eight variants in one process torch compiles no more and executes
    what comes as `TorchEngine` does."""

    name = "torch-compiled"

    def __init__(
        self, network: Network, precision: str = "fp32", device: str = "cpu", threads: int | None = None
    ) -> None:
        super().__init__(network, precision, device, threads)
        self._encoder = torch.compile(super()._hidden_map)
        self._decoder = torch.compile(super()._evaluated, dynamic=True)
        self._window: tuple[int, int] | None = None

    def prepare(self, shape: TileShape) -> None:
        super().prepare(shape)
        window = (shape.height, shape.width)
        if window == self._window:
            return
        hidden = self.encode(np.zeros((1, 3, *window), np.float32))
        rows, columns = (axis_queries(s, 2 * n, 0, n) for s, n in zip(window, (_ROWS, _COLUMNS), strict=True))
        self.decode(hidden, Geometry(rows, columns, (1.0, 1.0)))
        self._window = window

    def release(self) -> None:
        super().release()
        self._window = None

    @property
    def memory(self) -> MemoryFacts:
        # Measured beside the eager engine in windows of 64, 256 and 448 pixels, fp32 and bf16, both bundled networks:
        # 120 to 180 MiB more for the compiler, and of an RDN 1.2 times as much for a pixel.
        facts = super().memory
        return replace(facts, base=facts.base + 180 * 2**20, lr_pixel=5 * facts.lr_pixel // 4)

    def _hidden_map(self, x: torch.Tensor) -> torch.Tensor:
        return self._encoder(x)

    def _evaluated(self, *terms: torch.Tensor) -> torch.Tensor:
        return self._decoder(*terms)
