"""Quality of points one after the other, on the same pictures: by this process, or by several side by side.

Several processes share the pictures and not the points. So the reference's output for a picture is computed once, by
the process that compares every point with it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from ..engine.base import usable_cpus
from ..errors import EdgeLiifError, EngineError
from ..evaluate.lpips import open_lpips
from ..evaluate.protocol import Enlarger
from .enlargers import enlarger
from .quality import Pictures, measure, remembered

Words: TypeAlias = tuple[str, str, str]
"""Model, engine and precision, as `enlarger` takes them."""
Scores: TypeAlias = list[dict[str, Any]]
Measure: TypeAlias = Callable[[Words, Words | None, Callable[[], None]], Scores]
"""From a point, what it is compared with and what is called after each picture to the scores, picture by picture.
Raises EdgeLiifError."""
CORES_OF_A_PROCESS = 4
"""More gain little on pictures of this size."""


@contextlib.contextmanager
def measurer(pictures: Pictures, jobs: int | None, threads: int | None, perceptual: bool) -> Iterator[Measure]:
    """jobs: processes, None for one for every four cores; threads: of all of them together, None for all cores;
    perceptual: whether LPIPS is measured. The scores don't depend on jobs."""
    threads = threads or usable_cpus()
    jobs = min(jobs or max(1, threads // CORES_OF_A_PROCESS), max(1, pictures.count))
    if jobs == 1:
        yield _Measurer(pictures, threads, perceptual)
        return
    processes = _Processes(pictures, jobs, max(1, threads // jobs), perceptual)
    try:
        yield processes
    finally:
        processes.close()


class _Measurer:
    """Remembers what the last reference made of the pictures."""

    def __init__(self, pictures: Pictures, threads: int, perceptual: bool) -> None:
        self._pictures, self._threads = pictures, threads
        self._distance = open_lpips() if perceptual else None
        self._reference: tuple[Words, Enlarger] | None = None

    def __call__(self, point: Words, reference: Words | None, step: Callable[[], None]) -> Scores:
        if reference is not None and (self._reference is None or self._reference[0] != reference):
            self._reference = reference, remembered(enlarger(*reference, self._threads))
        own = None if reference is None or self._reference is None else self._reference[1]
        return measure(enlarger(*point, self._threads), own, self._pictures, step, self._distance)


class _Processes:
    """One measurer in each process, with its share of pictures and threads."""

    def __init__(self, pictures: Pictures, jobs: int, threads: int, perceptual: bool) -> None:
        self._arguments = [(replace(pictures, share=(k, jobs)), threads, perceptual) for k in range(jobs)]
        self._processes: list[tuple[BaseProcess, Connection]] = []

    def __call__(self, point: Words, reference: Words | None, step: Callable[[], None]) -> Scores:
        if not self._processes:  # not before: all may have been measured earlier
            self._processes = [self._started(k) for k in range(len(self._arguments))]
        for k, (_, connection) in enumerate(self._processes):
            try:
                connection.send((point, reference))
            except OSError:  # it died of the point before
                self._processes[k] = self._started(k)
                self._processes[k][1].send((point, reference))
        connections = {connection: k for k, (_, connection) in enumerate(self._processes)}
        shares: dict[int, Scores] = {}
        failure: Exception | None = None
        while connections:
            ready = wait(list(connections))
            for connection, k in list(connections.items()):
                if connection not in ready:
                    continue
                try:
                    answer = connection.recv()
                except (EOFError, OSError):
                    answer = EngineError("the process that measured it was ended, perhaps for lack of memory")
                    self._processes[k] = self._started(k)
                if answer is None:
                    step()
                    continue
                del connections[connection]
                if isinstance(answer, Exception):
                    failure = failure or answer
                else:
                    shares[k] = answer
        if failure is not None:
            raise failure
        jobs = len(shares)
        return [shares[i % jobs][i // jobs] for i in range(sum(map(len, shares.values())))]

    def close(self) -> None:
        for process, _ in self._processes:
            process.terminate()
        for process, connection in self._processes:
            process.join()
            connection.close()

    def _started(self, k: int) -> tuple[BaseProcess, Connection]:
        # spawned: a fork would inherit the engines' threads half-way
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, *self._arguments[k]), daemon=True)
        process.start()
        there.close()  # so that its end is seen here
        return process, here


def _serve(connection: Connection, pictures: Pictures, threads: int, perceptual: bool) -> None:
    """Measure what comes, until nothing can come any more; an answer is scores or an exception, None a picture done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has heard it too, and ends this
    measure_point = _Measurer(pictures, threads, perceptual)
    with contextlib.suppress(EOFError, OSError):
        while True:
            point, reference = connection.recv()
            try:
                answer: Any = measure_point(point, reference, lambda: connection.send(None))
            except EdgeLiifError as error:
                answer = error
            connection.send(answer)
