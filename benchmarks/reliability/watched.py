"""`edge-liif` in a process of its own, watched from outside: peak resident memory, and what lies on the disk."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

COMMAND = [sys.executable, "-m", "edge_liif"]


@dataclass(frozen=True)
class Watched:
    """status: exit status, negative for a signal; peak: VmHWM in bytes; seconds: wall time; errors: stderr."""

    status: int
    peak: int
    seconds: float
    stdout: str
    errors: str


def resident(pid: int, what: str = "VmHWM") -> int:
    """Bytes of a line of /proc/PID/status; 0 once the process is gone."""
    try:
        match = re.search(rf"{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


def watch(words: list[str], stop: Callable[[float], bool] = lambda seconds: False, every: float = 0.05) -> Watched:
    """Run `edge-liif WORDS` until it ends, or is interrupted when stop(seconds since its start) says so."""
    begin, peak = time.perf_counter(), 0
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        if stop(time.perf_counter() - begin):
            process.terminate()
            break
        time.sleep(every)
    stdout, errors = process.communicate()
    return Watched(process.returncode, peak, time.perf_counter() - begin, stdout, errors)
