"""What this process really took."""

from __future__ import annotations

import re
import sys
from pathlib import Path


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
