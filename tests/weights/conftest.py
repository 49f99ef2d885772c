"""Training runs small enough for a test: the card's own configuration, on the bundled photographs, at a reduced
size."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

TRAIN = REPOSITORY / "weights" / "train"
SMALL = {
    "shape.blocks": "2",
    "shape.convs": "3",
    "shape.growth": "8",
    "shape.heads": "{ tiny = [32, 32] }",
    "start.method": "random",
    "start.centre": "true",
    "shape.encoder": "rdn",
    "teacher.weight": "0.0",
    "teacher.keep": "0.0",
    "data.batch": "4",
    "data.patch": "20",
    "data.queries": "128",
    "schedule.rate": "2e-3",
    "schedule.warmup": "5",
    "report.log": "10",
    "report.checkpoint": "20",
    "report.validate": "100000",
}


class Train:
    """Runs weights/train/train.py on the photographs in `data`; settings override the configuration, with __ for the
    dot."""

    def __call__(
        self,
        config: str,
        out: Path,
        iterations: int,
        data: Path = REPOSITORY / "examples",
        validate: Path | None = None,
        extra: Sequence[str] = (),
        **settings: str,
    ) -> subprocess.CompletedProcess[str]:
        command = self._command(config, out, iterations, settings, data)
        command += [] if validate is None else ["--validate", str(validate)]
        command += extra
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def start(self, config: str, out: Path, iterations: int, **settings: str) -> subprocess.Popen:
        """The same in the background."""
        command = self._command(config, out, iterations, settings)
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _command(
        self,
        config: str,
        out: Path,
        iterations: int,
        settings: dict[str, str],
        data: Path = REPOSITORY / "examples",
    ) -> list[str]:
        overrides = {**SMALL, "schedule.iterations": str(iterations)}
        overrides |= {name.replace("__", "."): value for name, value in settings.items()}
        command = [sys.executable, str(TRAIN / "train.py"), str(TRAIN / config), "--data", str(data)]
        command += ["--out", str(out), "--threads", "2", "--device", "cpu"]
        for name, value in overrides.items():
            command += ["--set", f"{name}={value}"]
        return command


@pytest.fixture
def train() -> Train:
    return Train()
