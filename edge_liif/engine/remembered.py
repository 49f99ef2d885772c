"""What was found out about an engine on this machine and is worth keeping: answers by model, versions and processor, in
a small JSON file of the cache folder. A file that is damaged or can't be written costs time at the next start, no more.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

from ..model.checkpoint import Network
from ..model.zoo import cache_home
from .cores import usable_cpus
from .registry import ENGINES

FOUND_OUT = "2"
"""How: another word whenever answers are found in another way, so that older ones are not believed."""


def key_of(network: Network, engine: str, device: str, precision: str, threads: int | None) -> str | None:
    """What an answer depends on: the model, the engine and its version, the processor. None for a network that is not
    from a file: nothing is kept for it."""
    if not network.sha256:
        return None
    facts = (FOUND_OUT, network.sha256, engine, device, precision, str(threads), _versions(engine), _machine())
    return "|".join(facts)


def recall(file: str, key: str | None) -> Any:
    """What is kept in `file` (such as "selfcheck.json") under a key; None if there is nothing."""
    return None if key is None else _read(cache_home() / file).get(key)


def remember(file: str, key: str | None, value: Any) -> None:
    """Keep a value that JSON has."""
    if key is not None:
        path = cache_home() / file
        _write(path, {**_read(path), key: value})


def _versions(engine: str) -> str:
    try:
        return importlib.metadata.version(ENGINES[engine].version_of)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _machine() -> str:
    """What decides speed and kernels: processor, its instruction sets, how many and how many of
    them for us, and oneDNN's ceiling."""
    return f"{_processor()} x{usable_cpus()} of {os.cpu_count()} {os.environ.get('ONEDNN_MAX_CPU_ISA', '')}"


@functools.cache
def _processor() -> str:
    text = platform.processor() + platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        text = "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU"))}))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
        return data if isinstance(data, dict) else {}
    except (OSError, ValueError, RecursionError):
        return {}


def _write(path: Path, data: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        part.write_text(json.dumps(data))
        part.replace(path)
