"""What this processor's int8 kernels do that another's do differently."""

from __future__ import annotations

import functools
import os
from pathlib import Path


@functools.cache
def shifts_signed_levels(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether OpenVINO's kernels here read signed levels as unsigned ones, 128 more, which rounds once more: AMX's
    read them as they are, those of AVX-512 VNNI do not. Seen on these two (and with ONEDNN_MAX_CPU_ISA set to less on
    the first); others are taken for the second."""
    ceiling = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    if ceiling not in ("", "ALL", "DEFAULT") and "AMX" not in ceiling:
        return True
    try:
        return "amx_int8" not in cpuinfo.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return True
