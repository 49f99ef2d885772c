"""The one contract between tiling and a framework.

An engine turns a window of the LR picture into a hidden map, and a hidden map plus geometry into colours. It never sees
a file, an option or a whole picture. Window and block shapes are fixed between calls of `prepare`, so that an engine
may compile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineFailure, OutOfMemory
from ..geometry import SCATTERED, CellPattern, Geometry


@dataclass(frozen=True)
class TileShape:
    """Shapes of every call until the next `prepare`.

    height, width: LR pixels of the window; rows: most evaluations of a decoded block along its rows; columns: places
    for evaluations along its columns, arranged by `pattern`, of which they are a multiple; reach: most LR rows that a
    block reads, if it is known to be fewer than the window's.
    """

    height: int
    width: int
    rows: int
    columns: int
    pattern: CellPattern = SCATTERED
    reach: int | None = None

    @property
    def read_rows(self) -> int:
        """LR rows of the hidden map that one call of a decoder is given."""
        return self.height if self.reach is None else min(self.height, self.reach)

    @property
    def cells(self) -> int:
        """LR pixels that a row of a block reads."""
        return self.columns // self.pattern.per_cell


@dataclass(frozen=True)
class MemoryFacts:
    """An engine's resident bytes, for the memory plan. Measured by `benchmarks/memory_model.py`.

    base: process, libraries, weights and compiled code before the first tile; lr_pixel: per LR pixel of the window;
    evaluation: per evaluation of a decoded block; column: per evaluation along a row, for the offset terms.
    block_evaluations: what a decoded block should have, where there is memory for it.
    """

    base: int
    lr_pixel: int
    evaluation: int
    column: int = 0
    # keeps a block's activations near a processor's caches, and the progress bar moving
    block_evaluations: int = 32_768

    def tile(self, shape: TileShape) -> int:
        """Bytes of a window."""
        return self.lr_pixel * shape.height * shape.width

    def block(self, shape: TileShape) -> int:
        """Bytes of a block of evaluations."""
        return self.evaluation * shape.rows * shape.columns + self.column * shape.columns


class EngineErrors:
    """Turns the exceptions of a framework into ours, by their type, around every call of it.

    failures: what it raises; out_of_memory: which of them say that memory is not to be had; release: called then.
    """

    def __init__(
        self,
        framework: str,
        failures: tuple[type[BaseException], ...] = (RuntimeError,),
        out_of_memory: tuple[type[BaseException], ...] = (MemoryError,),
        release: Callable[[], None] | None = None,
    ) -> None:
        self._framework, self._failures = framework, failures
        self._out_of_memory, self._release = out_of_memory, release

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._out_of_memory):
            if self._release is not None:
                self._release()
            raise OutOfMemory(f"{self._framework} ran out of memory ({error})") from error
        if isinstance(error, self._failures):
            raise EngineFailure(f"{self._framework} failed: {' '.join(str(error).split())[:200]}") from error


class Engine(ABC):
    """Executes one network in one precision on one device."""

    name: str
    precision: str
    device: str

    @abstractmethod
    def prepare(self, shape: TileShape) -> None:
        """Fix shapes (compile, allocate). Raises OutOfMemory, EngineError."""

    @abstractmethod
    def encode(self, lr: NDArray[np.float32]) -> Any:
        """Hidden map of a window (1, 3, height, width) in 0..1. Opaque; valid until the next call of `encode`."""

    @abstractmethod
    def decode(self, hidden: Any, geometry: Geometry) -> NDArray[np.float32]:
        """Colours (rows.positions, columns.positions, 3), nominally 0..1, not clamped.

        Cell indices in `geometry` are relative to the window. Raises OutOfMemory, EngineError.
        """

    def decode_blocks(self, hidden: Any, geometries: Iterable[Geometry]) -> Iterator[NDArray[np.float32]]:
        """`decode` of one block after the other; each array is the caller's. An engine with a device of its own may
        begin one before it gives out the one before, so that neither side waits. Raises OutOfMemory, EngineError."""
        for geometry in geometries:
            yield self.decode(hidden, geometry)

    @property
    def limits_device(self) -> bool:
        """Whether `limit` is kept by the allocator of the device's memory."""
        return False

    def limit(self, cap: int | None) -> None:  # noqa: B027 (the process's own memory is the plan's to keep within)
        """Take at most `cap` bytes of an accelerator's own memory from now on; what needs more raises OutOfMemory.
        None: as many as before the first."""

    def keep(self, shape: TileShape | None, room: int | None) -> int:
        """Let go of what was made for other shapes than this one, until it holds at most `room` bytes (None: the engine
        has a bound of its own), and hold no more of it until the next call. Engines keep nothing before the first.

        Returns what is still held, in bytes: `memory` does not count it.
        """
        return 0

    def release(self) -> None:  # noqa: B027 (an engine that holds nothing has nothing to do)
        """Let go of what `prepare` made; `prepare` comes first again."""

    @property
    @abstractmethod
    def memory(self) -> MemoryFacts:
        """What the memory plan needs to know."""

    def peak_device_bytes(self) -> int | None:
        """Peak memory on an accelerator, or None where the process's resident memory is all there is."""
        return None
