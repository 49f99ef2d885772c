"""Timing side by side: every point is a process of its own, and they take turns, so that a machine that drifts favours
none.

A process loads its network, enlarges the picture once, so that it is compiled, and waits; then it enlarges the picture
each time it is its turn. Groups are small, so that memory holds them, and the reference is in every group: what counts
is the ratio to it.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ..errors import EngineError

GROUP = 5
CHILD = "edge_liif.bench.timed"


@dataclass(frozen=True)
class Runner:
    """What a process enlarges with: arguments of `timed.py`."""

    id: str
    arguments: tuple[str, ...]


def time_in_turns(
    runners: Sequence[Runner], reference: Runner, rounds: int, step: Callable[[], None]
) -> Iterator[tuple[dict[str, dict[str, Any]], dict[str, str]]]:
    """Group by group, as soon as it is timed: facts by id, and reasons by id for what failed.

    seconds: median of the rounds, low and high: least and most; ratio: median over the rounds of the reference's time
    in the same round by this one's, above 1 is faster; ratio_low, ratio_high; start_seconds: from the process's start
    to a 64 x 64 picture enlarged, compiled graphs cached; peak_bytes: of the process's resident memory. Of the
    reference every group has facts.
    """
    others = [r for r in runners if r.id != reference.id]
    for start in range(0, max(1, len(others)), GROUP - 1):
        group = [reference, *others[start : start + GROUP - 1]]
        yield _group(group, reference, rounds, step)


def _group(
    group: Sequence[Runner], reference: Runner, rounds: int, step: Callable[[], None]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    with ExitStack() as stack:
        children: dict[str, _Child] = {}
        failed = {}
        for runner in group:
            # twice: what the first compiles the second finds in the cache
            try:
                with _Child(runner):
                    pass
                children[runner.id] = stack.enter_context(_Child(runner))
            except EngineError as error:
                failed[runner.id] = str(error)
            step()
        times: dict[str, list[float]] = {name: [] for name in children}
        for _ in range(rounds):
            for name in list(times):
                try:
                    times[name].append(children[name].turn())
                except EngineError as error:
                    # killed for its memory, say; the others go on
                    failed[name] = str(error)
                    del times[name]
                step()
        if reference.id not in times:
            return {}, failed | dict.fromkeys(times, f"the reference failed: {failed[reference.id]}")
        facts = {}
        for name in times:
            child = children[name]
            ratios = [a / b for a, b in zip(times[reference.id], times[name], strict=True)]
            facts[name] = {
                "seconds": statistics.median(times[name]),
                "low": min(times[name]),
                "high": max(times[name]),
                "rounds": rounds,
                "ratio": statistics.median(ratios),
                "ratio_low": min(ratios),
                "ratio_high": max(ratios),
                "start_seconds": child.start_seconds,
                "peak_bytes": child.peak,
            }
        return facts, failed


class _Child:
    """One process that waits for its turn."""

    def __init__(self, runner: Runner) -> None:
        # a file: a pipe that nobody reads stops a process that has much to say
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed when the process ends)
        begin = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", CHILD, *runner.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.peak = 0
        self._read()
        self.start_seconds = time.perf_counter() - begin
        self._read()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError, ValueError):  # gone already, or closed already
            self._process.communicate()
        self._errors.close()

    def turn(self) -> float:
        assert self._process.stdin is not None
        # a process that has gone reads nothing; what it said last is reported
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        answer = self._read()
        self.peak = answer["peak"]
        return float(answer["seconds"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines() or [f"the timed process ended with status {status}"]
            self.__exit__()
            raise EngineError(lines[-1][:200])
        return json.loads(line)
