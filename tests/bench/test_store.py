"""What is measured again: what its numbers depend on has changed, and nothing else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_liif.bench import store as module
from edge_liif.bench.store import Store
from edge_liif.errors import OutputError, UsageError


def test_code_that_only_shows_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bench/quality.py", "bench/answers.py", "bench/peers/table.py", "engine/torch.py", "cli/bench.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first = 1\n")
    monkeypatch.setattr(module, "PACKAGE", tmp_path)

    def version() -> str:
        module.code_version.cache_clear()
        return module.code_version()

    try:
        before = version()
        for name in ("bench/answers.py", "cli/bench.py"):
            (tmp_path / name).write_text("second = 2\n")
            assert version() == before, name
        for name in ("bench/quality.py", "bench/peers/table.py", "engine/torch.py"):
            now = version()
            (tmp_path / name).write_text("second = 2\n")
            assert version() != now, name
    finally:
        module.code_version.cache_clear()


def test_code_that_a_timed_process_loads_counts() -> None:
    program = (
        "import sys, edge_liif.bench.timed, edge_liif.bench.run, edge_liif.upscaler, edge_liif.engine.openvino\n"
        "print('\\n'.join(m.__file__ for n, m in sys.modules.items() if n.startswith('edge_liif')))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = {str(Path(line).relative_to(module.PACKAGE)) for line in found.splitlines()}
    counted = {name for name in loaded if any(Path(name).is_relative_to(part) for part in module.NUMERIC)}
    # words for people, reading of settings, writing of files
    assert loaded - counted <= {"__init__.py", "errors.py", "toml_file.py", "image/__init__.py", "image/part_file.py"}


def test_every_file_that_only_shows_is_there() -> None:
    assert all((module.PACKAGE / "bench" / f"{name}.py").is_file() for name in module.SHOWN)


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)

    def full(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=rf"--work {tmp_path}: can't be written \(.*space"):
        store.put("a", 1)
    assert not list(tmp_path.iterdir())


def test_what_can_not_be_read_is_absent(tmp_path: Path) -> None:
    store = Store(tmp_path / "new")
    store.put("a", {"x": 1})
    assert store.get("a") == {"x": 1} and store.get("b") is None
    store.path("a", ".json").write_text("{")
    assert store.get("a") is None
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="no folder can be made"):
        Store(tmp_path / "file")
