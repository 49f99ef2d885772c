"""Measured points on disk, by the hash of all that they depend on, so that a sweep goes on where it stopped."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ..errors import OutputError, UsageError
from ..image.part_file import os_reason

PACKAGE = Path(__file__).parents[1]
# What numbers depend on, times and peak memory among them: everything but the command line and files of pictures
_FOLDERS = ("bench", "compress", "engine", "evaluate", "model", "tiling")
_FILES = ("geometry.py", "memory.py", "options.py", "scale.py", "upscaler.py", "work.py")
NUMERIC = (*_FOLDERS, *_FILES, "image/pixel_file.py", "image/source.py", "image/vips.py")
# and how they are shown: a better page must not cost hours of measuring
SHOWN = ("answers", "compare_page", "document", "page", "recommend", "report", "tables")


class Store:
    """JSON values and files in one folder. Writing is atomic; a value that can't be read counts as absent.

    Raises UsageError for a folder that can't be made or written to; `put` raises OutputError, of a full disk say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--work {folder}: no folder can be made there ({os_reason(error)})") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"--work {folder}: can't be written to")

    def path(self, key: str, suffix: str) -> Path:
        return self.folder / f"{key}{suffix}"

    def get(self, key: str) -> Any | None:
        try:
            return json.loads(self.path(key, ".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def put(self, key: str, value: Any) -> None:
        part = self.path(key, f".{os.getpid()}.part")
        try:
            part.write_text(json.dumps(value, allow_nan=False), encoding="utf-8")
            part.replace(self.path(key, ".json"))
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise OutputError(f"--work {self.folder}: can't be written ({os_reason(error)})") from error


def key_of(*facts: Any) -> str:
    """Hash of JSON-serialisable facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:24]


@functools.cache
def code_version() -> str:
    """Hash of the sources that numbers depend on."""
    digest = hashlib.sha256()
    places = [PACKAGE / part for part in NUMERIC]
    files = {path for place in places for path in ([place] if place.is_file() else place.rglob("*.py"))}
    for path in sorted(files - {PACKAGE / "bench" / f"{name}.py" for name in SHOWN}):
        digest.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]
