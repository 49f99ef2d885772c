"""The command as a person meets it: what it prints, how it ends, and what lies in the folder afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .pictures import contents, gradient

COMMAND = [sys.executable, "-m", "edge_liif"]


@dataclass(frozen=True)
class Outcome:
    """How a call ended. stdout: bytes, because it may be a picture."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def errors(self) -> list[str]:
        """The lines of stderr that are errors, not log."""
        return [line for line in self.stderr.splitlines() if line.startswith("edge-liif: ")]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """stdout as JSON, one object a line; anything else on it fails here."""
        return [json.loads(line) for line in self.stdout.decode().splitlines()]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder that every test of this folder starts in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def command() -> Callable[..., Outcome]:
    """command("run", ..., stdin=b"", prefix=[...], **subprocess options): in a process of its own."""

    def call(*arguments: str, stdin: bytes = b"", prefix: Sequence[str] = (), **options: Any) -> Outcome:
        done = subprocess.run([*prefix, *COMMAND, *arguments], input=stdin, capture_output=True, timeout=120, **options)
        return Outcome(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    return call


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Outcome]:
    """cli("run", ...): in this process, which spares the start."""
    from edge_liif.cli import _status

    def call(*arguments: str) -> Outcome:
        capfdbinary.readouterr()
        status = _status(list(arguments))
        stdout, stderr = capfdbinary.readouterr()
        return Outcome(status, stdout, stderr.decode())

    return call


@pytest.fixture
def refused(cli: Callable[..., Outcome], here: Path) -> Callable[..., str]:
    """refused("run", ..., status=1): the one line of the error, after everything that holds for every error was
    checked: exit status, one short line, nothing on stdout, nothing made, changed or left behind."""

    def call(*arguments: str, status: int = 1, call: Callable[..., Outcome] = cli) -> str:
        before = contents(here)
        outcome = call(*arguments)
        assert outcome.status == status, outcome.stderr
        assert outcome.stdout == b""
        lines = outcome.stderr.splitlines()
        assert len(lines) == 1, outcome.stderr
        assert lines[0].startswith("edge-liif: ")
        assert "internal error" not in lines[0]
        assert len(lines[0]) < 400
        assert contents(here) == before
        return lines[0]

    return call


@pytest.fixture
def ordinary_user() -> list[str]:
    """A prefix that makes permissions count: root passes over them, so it is run without that right."""
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("permissions don't count for root, and setpriv can't change that here")
    return prefix


@pytest.fixture
def picture() -> Callable[..., Path]:
    """picture("a.png", width=16, height=12, mode="RGB", **save options): a file of a smooth picture."""

    def make(name: str, width: int = 16, height: int = 12, mode: str = "RGB", **options: Any) -> Path:
        bands = {"L": 1, "RGB": 3, "RGBA": 4}.get(mode, 3)
        array = gradient(width, height, bands)
        image = Image.fromarray(array[..., 0] if bands == 1 else array)
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.convert(mode, palette=Image.Palette.ADAPTIVE).save(path, **options)
        return path

    return make


@pytest.fixture
def small_disk(here: Path) -> Iterator[Callable[[str], Path]]:
    """small_disk("8k"): the folder `disk`, which holds no more than that."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = Path("disk")
        folder.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
        if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small disk can't be mounted here")
        mounted.append(here / folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)
