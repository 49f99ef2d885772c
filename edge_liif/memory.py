"""What this process really took."""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path
from typing import Any

_M_ARENA_MAX = -8  # malloc.h of glibc


def use_one_heap() -> None:
    """Have glibc's malloc keep one heap for all threads of this process; elsewhere this does nothing.

    By default every thread gets heaps of its own, and graphs that are compiled, freed and compiled again for another
    picture or model leave each of them with holes: in a batch the resident memory climbed by 90 MiB, with one heap by
    15 MiB and no further. Threads that are there already keep theirs, so call it early.
    """
    if mallopt := _glibc("mallopt"):
        mallopt(_M_ARENA_MAX, 1)


def give_back_holes() -> None:
    """Have glibc's malloc give free pages back wherever they lie, not only at the heap's end; elsewhere this does
    nothing.

    Tensors below its mapping threshold (32 MiB at most) leave holes that the next window's tensors don't fit into:
    resident memory grew from tile to tile.
    """
    if malloc_trim := _glibc("malloc_trim"):
        malloc_trim(0)


def _glibc(name: str) -> Any:
    """A function of glibc's malloc; None where another C library is in use."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def resident_bytes() -> int | None:
    """Resident bytes of this process now; None where unknown."""
    try:
        match = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None


def peak_resident_bytes() -> int | None:
    """Peak resident bytes of this process since its start (VmHWM), libraries and everything; None where unknown.

    Read from /proc where there is one: `ru_maxrss` survives exec on Linux and may report the parent's peak.
    """
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if match:
            return int(match[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
