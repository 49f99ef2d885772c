"""An engine made of numpy: box blurs for an encoder, so that its receptive field is known, and bilinear mixing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_liif.engine.base import Engine, MemoryFacts, TileShape
from edge_liif.errors import OutOfMemory
from edge_liif.geometry import Geometry


class FakeEngine(Engine):
    """`blurs` 3x3 blurs with zero padding and a bias, as a network's layers have; exact halo blurs + 1.

    fail(call, shape) may raise or return True to run out of memory; `calls` records every successful window.
    """

    name, precision, device = "fake", "fp32", "cpu"

    def __init__(self, blurs: int = 2, fail: Callable[[str, TileShape], bool] | None = None) -> None:
        self.blurs, self.fail = blurs, fail
        self.shape: TileShape | None = None
        self.shapes: list[TileShape] = []
        self.windows = 0

    @property
    def halo(self) -> int:
        return self.blurs + 1

    def _maybe_fail(self, call: str) -> None:
        assert self.shape is not None
        if self.fail is not None and self.fail(call, self.shape):
            raise OutOfMemory(f"no memory to {call}")

    def prepare(self, shape: TileShape) -> None:
        self.shape = shape
        self._maybe_fail("prepare")
        self.shapes.append(shape)

    def encode(self, lr: np.ndarray) -> np.ndarray:
        assert self.shape is not None and lr.shape == (1, 3, self.shape.height, self.shape.width)
        assert lr.dtype == np.float32
        self._maybe_fail("encode")
        x = lr[0].astype(np.float64)
        for _ in range(self.blurs):
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
            height, width = x.shape[1:]
            taps = [padded[:, i : i + height, j : j + width] * (1 + i + 2 * j) for i in range(3) for j in range(3)]
            x = sum(taps) / 36 + 0.01
        self.windows += 1
        return x.transpose(1, 2, 0)

    def decode(self, hidden: np.ndarray, geometry: Geometry) -> np.ndarray:
        rows, columns = geometry.rows, geometry.columns
        assert self.shape is not None
        assert rows.evaluations <= self.shape.rows and columns.evaluations <= self.shape.columns
        assert rows.index.min() >= 0 and rows.index.max() < self.shape.height
        self._maybe_fail("decode")
        values = hidden[rows.index][:, columns.index]
        values = values + 0.01 * rows.offset[:, None, None] + 0.02 * columns.offset[None, :, None] * geometry.cell[1]
        return columns.mix(rows.mix(values, 0), 1).astype(np.float32)

    @property
    def memory(self) -> MemoryFacts:
        return MemoryFacts(10_000_000, 1000, 500)
