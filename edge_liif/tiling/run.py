"""Walk the tiles of a plan and give out finished rows, top to bottom.

Memory that an engine could not get is answered by halving the tile and doing *that tile again*; nothing that a failed
call left behind is ever used. Every block is checked for finite numbers before it is stored; a tile that has others is
done again by a spare engine.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..engine.base import Engine
from ..errors import EngineError, EngineFailure, OutOfMemory
from ..geometry import Geometry, axis_queries
from .grid import Axis, Segment, balanced, stepped
from .plan import Plan, engine_parts, shrunk, usual_work

Progress = Callable[[int, int], None]
# Halvings in a row that a failing engine is given before its error is believed; what is left then is mostly halo.
MOST_FAILURES = 6
# Tiles that the spare engine does again before it is given the rest of the picture too.
MOST_REDONE = 3


@dataclass(frozen=True)
class Plane:
    """A part of the picture that goes through the network by itself: its colour, or its alpha.

    window(row, column, height, width) gives that window of the LR picture, float32 (1, 3, height, width) in 0..1.
    store(block) turns colours (rows, columns, 3) into output samples (rows, columns, n) for `bands` of the output.
    constant: a window of one single value is not computed but filled with it (opaque or empty alpha).
    """

    window: Callable[[int, int, int, int], NDArray[np.float32]]
    store: Callable[[NDArray[np.float32]], NDArray]
    bands: slice
    constant: bool = False


@dataclass
class RunLog:
    """What happened: tiles made, those split for lack of memory, those done again by the spare engine."""

    tiles: int = 0
    splits: int = 0
    redone: int = 0
    warnings: list[str] = field(default_factory=list)


def render(
    plan: Plan,
    engine: Engine,
    planes: list[Plane],
    dtype: type[np.generic],
    progress: Progress | None = None,
    log: RunLog | None = None,
    spare: Callable[[], Engine] | None = None,
) -> Iterator[NDArray]:
    """Finished output rows (n, out_width, bands) in order, as soon as they are: of tiles as wide as the picture block
    by block, so that they can be written while the next is computed. The array is reused: take what you need before the
    next.

    spare: opens the engine, of full precision, that does a tile again for which `engine` gave numbers that are not
    finite. Raises EngineError for a wrong result, OutOfMemory when even the smallest tile does not fit.
    """
    engine.limit(plan.memory_cap)
    try:
        walker = _Walker(plan, engine, planes, progress, log if log is not None else RunLog(), spare)
        yield from _rows(walker, plan, np.empty((plan.rows.longest_output, plan.job.out_width, plan.job.bands), dtype))
    finally:
        engine.limit(None)


def _rows(walker: _Walker, plan: Plan, band: NDArray) -> Iterator[NDArray]:
    for row in plan.rows.segments:
        target = band[: row.out_stop - row.out_start]
        given = 0
        for column in plan.columns.segments:
            for finished in walker.tile(row, column, target[:, column.out_start : column.out_stop]):
                # what was given out stays so where a tile that failed half-way is begun again
                if len(plan.columns.segments) == 1 and finished > given:
                    yield target[given:finished]
                    given = finished
        if given < len(target):
            yield target[given:]


def _pieces(axis: Axis, segment: Segment, longest: int) -> list[Segment]:
    cuts = balanced(segment.stop - segment.start, longest)
    return [axis.piece(segment.start + start, segment.start + stop) for start, stop in cuts]


def _smaller_blocks(plan: Plan) -> Plan:
    """For `shrunk`, which keeps the number of evaluations: blocks of half as many."""
    return replace(plan, shape=replace(plan.shape, rows=max(2, plan.shape.rows // 2)))


def _tile_bytes(plan: Plan, engine: Engine) -> int:
    return sum(engine_parts(plan.shape, engine.memory).values())


def _halved(core: tuple[int, int]) -> tuple[int, int]:
    """Its longer side halved."""
    height, width = core
    return (-(-height // 2), width) if height >= width else (height, -(-width // 2))


class _NotFinite(EngineError):
    """An engine gave numbers that are not finite."""


class _Walker:
    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        planes: list[Plane],
        progress: Progress | None,
        log: RunLog,
        spare: Callable[[], Engine] | None = None,
    ) -> None:
        self.plan, self.engine, self.planes, self.progress, self.log = plan, engine, planes, progress, log
        self.spare = spare
        self.core = (plan.rows.longest_core, plan.columns.longest_core)
        self.done = 0
        self.total = plan.job.out_height * plan.job.out_width * len(planes)
        self._prepared = False
        self._failures = 0

    def tile(self, row: Segment, column: Segment, target: NDArray) -> Iterator[int]:
        """Fill `target` (output rows and columns of this core), splitting the core as often as memory demands. Yields
        now and then how many of its rows, from the first, are finished."""
        height, width = row.stop - row.start, column.stop - column.start
        if height > self.core[0] or width > self.core[1]:
            self._in_parts(row, column, target)
            return
        done = self.done
        failure = spare = None
        try:
            failure = yield from self._attempt(row, column, target)
        except _NotFinite:
            if self.spare is None:
                raise
            spare = self.spare
        # Out here the failed attempt's exception is gone, and with it the tensors that its frames held.
        if spare is not None:
            self.done = done
            self._redo(spare, row, column, target)
        elif failure:
            self.done = done
            self._halve(failure)
            self._whole(row, column, target)

    def _whole(self, row: Segment, column: Segment, target: NDArray) -> None:
        for _ in self.tile(row, column, target):
            pass

    def _attempt(self, row: Segment, column: Segment, target: NDArray) -> Generator[int, None, str | None]:
        """Do a tile; returns what went wrong, if smaller tiles may help, else None."""
        try:
            if not self._prepared:
                self.engine.prepare(self.plan.shape)
                self._prepared = True
            for plane in self.planes:
                for finished in self._plane(plane, row, column, target):
                    if plane is self.planes[-1]:
                        yield finished
        except (OutOfMemory, EngineFailure) as error:
            # OpenVINO, and torch on the CPU, have no exception type of their own for memory that is not to be had. A
            # failure of the engine is taken for one a few times in a row; a failure that smaller tiles don't cure is
            # what it says.
            self._failures += 1
            if max(self.core) == 1 or (isinstance(error, EngineFailure) and self._failures > MOST_FAILURES):
                if self.log.splits == 0:
                    raise
                tried = f"smaller tiles, down to {self.core[1]}x{self.core[0]}, did not help"
                raise type(error)(f"{error}; {tried}: free some memory, or try another --engine") from error
            return "out of memory" if isinstance(error, OutOfMemory) else f"the engine failed ({error})"
        self.log.tiles += 1
        self._failures = 0
        return None

    def _halve(self, reason: str) -> None:
        # what it has for larger tiles, and keeps of other pictures, goes first
        self.engine.keep(None, 0)
        half = _halved(self.core)
        self.plan = shrunk(_smaller_blocks(self.plan), half)
        self.core = half
        self._prepared = False
        self.log.splits += 1
        self.log.warnings.append(f"{reason}: tiles cut to {half[1]}x{half[0]} and this one done again")

    def _redo(self, spare: Callable[[], Engine], row: Segment, column: Segment, target: NDArray) -> None:
        """Do a tile with the spare engine, in pieces that take no more memory than there is."""
        said = f"{self.engine.name} in {self.engine.precision} gave numbers that are not finite"
        cap = self.plan.memory_cap
        if cap is None:
            spare_bytes = usual_work(self.engine.memory, self.plan.halo) - self.plan.work_bytes
        else:
            spare_bytes = cap - self.plan.peak_bytes
        allowed = _tile_bytes(self.plan, self.engine) + max(0, spare_bytes)
        # one engine's tiles at a time: the plan counts the memory of one
        self.engine.release()
        self._prepared = False
        engine, core, plan = spare(), self.core, self.plan
        # Below this, pieces are nearly all halo: a thousand of them would take hours and save little.
        smallest = max(16, self.plan.halo)
        # full precision takes about twice the bytes for an evaluation, so blocks of half as many
        smaller = _smaller_blocks(self.plan)
        while _tile_bytes(plan, engine) > allowed and (plan is self.plan or max(core) > smallest):
            if plan is not self.plan:
                core = _halved(core)
            plan = shrunk(smaller, core)
        walker = _Walker(plan, engine, self.planes, self.progress, self.log)
        walker.core, walker.done, walker.total = core, self.done, self.total
        walker._whole(row, column, target)
        self.done = walker.done
        self.log.redone += 1
        place = f"tile at row {row.out_start}, column {column.out_start} of the result"
        if self.log.redone < MOST_REDONE:
            self.log.warnings.append(f"{place}: {said}; done again in {engine.precision}")
            engine.release()
            return
        self.log.warnings.append(f"{place}: {said}; it and the rest of the picture done in {engine.precision}")
        self.engine, self.plan, self.core, self.spare = engine, walker.plan, walker.core, None

    def _in_parts(self, row: Segment, column: Segment, target: NDArray) -> None:
        for r in _pieces(self.plan.rows, row, self.core[0]):
            for c in _pieces(self.plan.columns, column, self.core[1]):
                rows = slice(r.out_start - row.out_start, r.out_stop - row.out_start)
                columns = slice(c.out_start - column.out_start, c.out_stop - column.out_start)
                if target[rows, columns].size:
                    self._whole(r, c, target[rows, columns])

    def _plane(self, plane: Plane, row: Segment, column: Segment, target: NDArray) -> Iterator[int]:
        plan = self.plan
        shape, job = plan.shape, plan.job
        row_origin, column_origin = plan.rows.origin(row), plan.columns.origin(column)
        window = plane.window(row_origin, column_origin, shape.height, shape.width)
        if plane.constant and window.min() == window.max():
            target[..., plane.bands] = plane.store(np.full((1, 1, 3), window.flat[0], np.float32))
            self._advance(target.shape[0] * target.shape[1])
            yield len(target)
            return
        hidden = self.engine.encode(window)
        columns = axis_queries(job.width, job.out_width, column.out_start, column.out_stop, column_origin)
        cell = (2 * job.height / job.out_height, 2 * job.width / job.out_width)
        steps = stepped(row.out_stop - row.out_start, plan.block_rows)

        def block(start: int, stop: int) -> Geometry:
            rows = axis_queries(job.height, job.out_height, row.out_start + start, row.out_start + stop, row_origin)
            return Geometry(rows, columns, cell)

        colours = self.engine.decode_blocks(hidden, itertools.starmap(block, steps))
        for (start, stop), colour in zip(steps, colours, strict=True):
            if not np.isfinite(colour).all():
                raise _NotFinite(
                    f"the {self.engine.name} engine in {self.engine.precision} gave numbers that are not finite; "
                    + ("try " if self.engine.precision == "fp32" else "try --precision fp32 or ")
                    + "another --engine"
                )
            target[start:stop, :, plane.bands] = plane.store(colour)
            self._advance(colour.shape[0] * colour.shape[1])
            yield stop

    def _advance(self, pixels: int) -> None:
        self.done += pixels
        if self.progress is not None:
            self.progress(self.done, self.total)
