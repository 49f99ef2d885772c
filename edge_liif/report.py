"""What was decided and done for one picture, for the log and for --json."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Report:
    """What was done to one picture, or what would be; `to_dict` is the object that --json prints.

    compare: the page of before and after, once it is there; predicted_seconds: of the stage "enlarge", at most so
    long where alpha may be the same everywhere; predicted_from: whose pace that is; model_why, jpeg_quality,
    blocking: as in `chooser.Chosen`.
    """

    input: str
    output: str | None = None
    compare: str | None = None
    status: str = "done"
    error: str | None = None
    input_size: tuple[int, int] | None = None
    output_size: tuple[int, int] | None = None
    bands: int | None = None
    depth: int | None = None
    format: str | None = None
    scale: tuple[float, float] | None = None
    model: str | None = None
    model_sha256: str | None = None
    model_why: str | None = None
    jpeg_quality: int | None = None
    blocking: float | None = None
    engine: str | None = None
    device: str | None = None
    precision: str | None = None
    why: str | None = None
    tile: tuple[int, int] | None = None
    window: tuple[int, int] | None = None
    halo: int | None = None
    exact_halo: int | None = None
    tiles: int | None = None
    memory_cap_bytes: int | None = None
    predicted_peak_bytes: int | None = None
    temporary_bytes: int | None = None
    predicted_parts: dict[str, int] | None = None
    predicted_seconds: float | None = None
    predicted_from: str | None = None
    peak_memory_bytes: int | None = None
    peak_device_bytes: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def fail(self, message: str) -> None:
        """What was decided so far stays; nothing was written."""
        self.status, self.error = "failed", message

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"seconds": {name: round(value, 4) for name, value in self.seconds.items()}}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the seconds of a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
