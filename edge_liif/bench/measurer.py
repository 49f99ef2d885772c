"""Quality of points one after the other, on the same pictures: by this process, or by several side by side.

Several processes share the pictures and not the points. So a picture's reference is computed in one process only, which
compares every point with it.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from ..engine.cores import usable_cpus
from ..errors import EdgeLiifError, EngineError, OutOfMemory
from ..evaluate.lpips import Distance, open_lpips
from ..evaluate.protocol import Enlarger
from .enlargers import enlarger
from .quality import REMEMBERED_BYTES, Pictures, measure, remembered

Words: TypeAlias = tuple[str, str, str]
"""Model, engine and precision, as `enlarger` takes them."""
Scores: TypeAlias = list[dict[str, Any]]
Measure: TypeAlias = Callable[[Words, Words | None, Callable[[], None]], Scores]
"""From a point, what it is compared with and what is called after each picture to the scores, picture by picture.
Raises what opening and using the point raise."""
CORES_OF_A_PROCESS = 4
MOST_PROCESSES = 8
"""Where nothing else is asked for: each takes the memory of a run."""


@contextlib.contextmanager
def measurer(pictures: Pictures, jobs: int | None, threads: int | None, perceptual: bool) -> Iterator[Measure]:
    """jobs: processes, at most one for each thread and picture, None for one for every four threads; threads: of all of
    them together, None for all that may be used; perceptual: whether LPIPS is measured."""
    available = threads or usable_cpus()
    jobs = jobs or min(MOST_PROCESSES, available // CORES_OF_A_PROCESS)
    jobs = max(1, min(jobs, available, pictures.count))
    if jobs == 1:
        yield _Alone(pictures, threads, perceptual)
        return
    shares = [replace(pictures, share=(k, jobs)) for k in range(jobs)]
    side_by_side = _SideBySide(
        [_Alone(share, available // jobs, perceptual, REMEMBERED_BYTES // jobs) for share in shares]
    )
    try:
        yield side_by_side
    finally:
        side_by_side.close()


@dataclass
class _Alone:
    """Measures in this process. remembered_bytes: of what the last reference made of the pictures."""

    pictures: Pictures
    threads: int | None
    perceptual: bool
    remembered_bytes: int = REMEMBERED_BYTES
    reference: tuple[Words, Enlarger] | None = None

    def __call__(self, point: Words, reference: Words | None, step: Callable[[], None]) -> Scores:
        try:
            return self._measured(point, reference, step)
        except MemoryError as error:
            raise OutOfMemory("there was not enough memory to measure it") from error

    def _measured(self, point: Words, reference: Words | None, step: Callable[[], None]) -> Scores:
        own = None
        if reference is not None:
            if self.reference is None or self.reference[0] != reference:
                self.reference = None  # before the next one takes memory
                opened = enlarger(*reference, self.threads)
                self.reference = reference, remembered(opened, self.remembered_bytes)
            own = self.reference[1]
        distance = perceptual_distance() if self.perceptual else None
        return measure(enlarger(*point, self.threads), own, self.pictures, step, distance)


@functools.cache
def perceptual_distance() -> Distance:
    """LPIPS, opened once in a process. Raises EngineError."""
    return open_lpips()


class _SideBySide:
    """Processes, each of which measures alone."""

    def __init__(self, shares: list[_Alone]) -> None:
        self.shares = shares
        self.running: dict[int, tuple[BaseProcess, Connection]] = {}

    def __call__(self, point: Words, reference: Words | None, step: Callable[[], None]) -> Scores:
        try:
            answers = self._answers((point, reference), step)
        except BaseException:
            self.close()  # answers that nobody has taken would be taken for the next point's
            raise
        for _, answer in sorted(answers.items()):
            if isinstance(answer, Exception):
                raise answer
        jobs = len(self.shares)
        return [answers[i % jobs][i // jobs] for i in range(sum(map(len, answers.values())))]

    def _answers(self, task: tuple[Words, Words | None], step: Callable[[], None]) -> dict[int, Any]:
        for k in range(len(self.shares)):
            if k not in self.running:  # not before: all may have been measured earlier
                self._start(k)
            with contextlib.suppress(OSError):  # its end is seen below
                self.running[k][1].send(task)
        answers: dict[int, Any] = {}
        while len(answers) < len(self.shares):
            waiting = {connection: k for k, (_, connection) in self.running.items() if k not in answers}
            ready = wait(list(waiting))
            for connection, k in waiting.items():
                if connection not in ready:
                    continue
                try:
                    answer = connection.recv()
                except (EOFError, OSError):
                    answer = EngineError(self._why_ended(k))
                if answer is None:
                    step()
                else:
                    answers[k] = answer
        return answers

    def close(self) -> None:
        running, self.running = self.running, {}
        for process, connection in running.values():
            process.kill()
            connection.close()
        for process, _ in running.values():
            process.join()

    def _why_ended(self, k: int) -> str:
        process, connection = self.running.pop(k)
        connection.close()
        process.join(5)  # its pipe is closed, so it has ended or is about to
        status = process.exitcode
        process.kill()
        process.join()
        reason = " (killed, as for lack of memory)" if status == -signal.SIGKILL else ""
        return f"its process ended with status {status}{reason}"

    def _start(self, k: int) -> None:
        # spawned: a fork would inherit the engines' threads half-way
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, self.shares[k]), daemon=True)
        # Started with the first process otherwise; it would keep to that one's cores, and lets Ctrl-C through again.
        resource_tracker.ensure_running()
        with _on_cores(k, len(self.shares)), _without_interrupts():
            process.start()
        self.running[k] = process, here
        there.close()  # so that its end is seen here


class _NobodyListens(BaseException):
    """The parent has ended, or has no more use for this process."""


def _serve(connection: Connection, alone: _Alone) -> None:
    """Measure what comes until nothing can come any more. An answer is scores or an exception; None: a picture is
    done."""

    def say(answer: Scores | Exception | None) -> None:
        try:
            connection.send(answer)
        except OSError as error:
            raise _NobodyListens from error

    with contextlib.suppress(_NobodyListens, EOFError, ConnectionError):
        while True:
            point, reference = connection.recv()
            say(_answer(alone, point, reference, lambda: say(None)))


def _answer(alone: _Alone, point: Words, reference: Words | None, step: Callable[[], None]) -> Scores | Exception:
    try:
        return alone(point, reference, step)
    except EdgeLiifError as error:
        return error
    except Exception:
        # not one that others know how to take, and perhaps none that can be sent
        return RuntimeError(f"in a process that measures: {traceback.format_exc()}")


@contextlib.contextmanager
def _on_cores(k: int, n: int) -> Iterator[None]:
    """What starts here keeps to the k-th of n parts of the cores, where the system knows such a thing. OpenVINO binds
    its threads to cores: without this, every process would take the first ones."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = sorted(os.sched_getaffinity(0))
    part = len(cores) // n
    os.sched_setaffinity(0, cores[k * part : (k + 1) * part] or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """What starts here never hears Ctrl-C, which goes to all processes of a terminal: its parent does, and ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
