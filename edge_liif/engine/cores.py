"""How many processors this process may use: those that it is bound to, and no more than its container is given time of.

A container with a quota of two processors on a machine of 64 sees all 64. Threads on all of them use that quota up in a
fraction of each period and then wait, all of them, for the next.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path


def usable_cpus() -> int:
    """Processors that this process may use, at least one."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return bound if quota is None else max(1, min(bound, math.ceil(quota)))


def thread_limit(threads: int | None) -> int | None:
    """Threads that a framework is told to use: those asked for, or as many as there are processors for this process.
    None where those are all of the machine's: a framework's own choice does no harm then, and may be better."""
    usable = usable_cpus()
    return threads or (None if usable == (os.cpu_count() or 1) else usable)


def cpu_quota(membership: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Processors' worth of time that Linux's control groups allow this process, None where they don't limit it.

    membership: the groups that the process is in; mounted: where their folders are. The tightest limit from the
    process's own group up counts. In a container the folders above its own are not there, nor, with version 1, those of
    the path that it is told: what is at the top then is its own.
    """
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            limits += [_limit(*_words(folder / "cpu.max", 2)) for folder in _upwards(mounted, path)]
        elif "cpu" in controllers.split(","):
            for top in (mounted / controllers, mounted / "cpu"):
                for folder in _upwards(top, path):
                    quota, period = (_words(folder / f"cpu.cfs_{name}_us", 1)[0] for name in ("quota", "period"))
                    limits.append(_limit(quota, period))
    return min((limit for limit in limits if limit is not None), default=None)


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """The folder of a group and those of the groups that it is in."""
    parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
    for count in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:count])


def _words(file: Path, count: int) -> list[str]:
    with contextlib.suppress(OSError):
        words = file.read_text(encoding="ascii", errors="replace").split()
        if len(words) == count:
            return words
    return [""] * count


def _limit(quota: str, period: str) -> float | None:
    """None for "max", -1 and files that are not there."""
    try:
        time, each = int(quota), int(period)
    except ValueError:
        return None
    return time / each if time > 0 and each > 0 else None
