"""From a memory cap to a tile: which tile, which blocks, and the peak they should reach.

The peak is predicted from the engine's own facts (bytes per LR pixel of a window, per evaluation of a decoded block)
and from what the pictures take. Among the tiles that fit, the one that computes the fewest window pixels wins, because
the halo is computed again by every tile.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..engine.base import MemoryFacts, TileShape
from ..errors import MemoryCapError
from ..geometry import CellPattern, axis_pieces, cell_pattern, cells_read
from .grid import Axis, cut_axis, stepped

# Of a decoded block where memory is short.
SMALL_BLOCK_EVALUATIONS = 8_192
# What a call of the decoder costs beside its evaluations, in evaluations.
CALL_EVALUATIONS = 2_000
# Larger windows save little halo, even of networks that see far: with a halo of 133 a core of 1024 computes 1.6 times
# itself. This also bounds the time between two steps of the progress bar.
LARGEST_CORE = 1024
MIB = 2**20
# For tiles, blocks and bands where no cap is given: large enough to be fast, on a machine where others work too. A
# network that sees far may take more, up to MOST_WORK, rather than compute little but halo.
USUAL_WORK = 768 * MIB
MOST_WORK = 4 * USUAL_WORK


@dataclass(frozen=True)
class Job:
    """What is to be done, in numbers: picture sizes in pixels, output bands and bytes per sample; bytes that the input
    and the writer hold all the time, and bytes that only opening the picture takes, before the first tile."""

    height: int
    width: int
    out_height: int
    out_width: int
    bands: int
    sample_bytes: int
    input_bytes: int = 0
    opening_bytes: int = 0
    writer_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """Tiles, blocks and predicted peak of one job. `parts` explains the prediction, in bytes."""

    job: Job
    halo: int
    rows: Axis
    columns: Axis
    shape: TileShape
    block_rows: int
    parts: dict[str, int]
    memory_cap: int | None

    @property
    def tiles(self) -> int:
        return len(self.rows.segments) * len(self.columns.segments)

    @property
    def peak_bytes(self) -> int:
        return sum(self.parts.values())

    @property
    def work_bytes(self) -> int:
        """The part of the peak that the choice of the tile decides."""
        return self.parts["tile"] + self.parts["block"] + self.parts["band"]

    @property
    def room_bytes(self) -> int | None:
        """What the cap leaves beside the peak, None without a cap."""
        return None if self.memory_cap is None else max(0, self.memory_cap - self.peak_bytes)

    @property
    def waits_beside_opening(self) -> bool:
        """Whether what the engine has for a tile of this shape may be there already while the picture is opened."""
        return self.job.opening_bytes <= self.parts["band"] + self.parts["writer"]

    @property
    def window_pixels(self) -> int:
        """LR pixels that the encoder computes in all, halos included."""
        return self.tiles * self.rows.window * self.columns.window

    @property
    def halo_overhead(self) -> float:
        """Encoder work relative to the untiled picture, 1.0 = none."""
        return self.window_pixels / (self.job.height * self.job.width)

    @property
    def evaluations(self) -> int:
        """Decoder evaluations of the whole job, zero-weight ones skipped."""
        job = self.job
        return int(
            evaluations_before(job.height, job.out_height)[-1] * evaluations_before(job.width, job.out_width)[-1]
        )


def make_plan(job: Job, facts: MemoryFacts, halo: int, memory_cap: int | None) -> Plan:
    """The best plan within the cap (bytes). Raises MemoryCapError that states the cap needed.

    Without a cap the tiles keep within `usual_work` if they can, and take as little as possible if they can't.
    """
    usual = usual_work(facts, halo)
    best: Plan | None = None
    smallest: Plan | None = None
    best_area = 0

    def fits(plan: Plan) -> bool:
        return plan.work_bytes <= usual if memory_cap is None else plan.peak_bytes <= memory_cap

    for core in _core_candidates(job):
        # Much smaller tiles than the best so far only compute more halo.
        if best is not None and 4 * core[0] * core[1] < best_area:
            break
        for evaluations in _block_sizes(facts):
            plan = plan_for_core(job, facts, halo, core, memory_cap, evaluations)
            if fits(plan):
                break
        if smallest is None or plan.peak_bytes < smallest.peak_bytes:
            smallest = plan
        if not fits(plan):
            continue
        # one per cent of halo is not worth a larger footprint
        if best is None or plan.window_pixels < 0.99 * best.window_pixels:
            best, best_area = plan, core[0] * core[1]
    if best is None:
        assert smallest is not None
        if memory_cap is None:
            return smallest
        needed = -(-smallest.peak_bytes // MIB)
        raise MemoryCapError(
            f"{job.width}x{job.height} to {job.out_width}x{job.out_height} does not fit into --memory "
            f"{memory_cap // MIB}MiB; the smallest that does is --memory {needed}MiB"
        )
    return best


def _block_sizes(facts: MemoryFacts) -> Iterator[int]:
    """Evaluations of a block to try: what the engine likes, then less, down to what there is for little memory."""
    size = facts.block_evaluations
    while size > SMALL_BLOCK_EVALUATIONS:
        yield size
        size //= 4
    yield SMALL_BLOCK_EVALUATIONS


def usual_work(facts: MemoryFacts, halo: int) -> int:
    """Bytes for tiles, blocks and bands where no cap is given.

    With a core of twice the halo, a window is four times its core; smaller ones are mostly halo.
    """
    window = facts.lr_pixel * (4 * halo) ** 2
    return min(MOST_WORK, max(USUAL_WORK, window + USUAL_WORK // 4))


def plan_for_core(
    job: Job,
    facts: MemoryFacts,
    halo: int,
    core: tuple[int, int],
    memory_cap: int | None = None,
    block_evaluations: int | None = None,
) -> Plan:
    """The plan for tiles of at most core = (rows, columns) LR pixels and blocks of about so many evaluations (None: as
    many as the engine likes), whatever it takes."""
    rows = cut_axis(job.height, job.out_height, core[0], halo)
    columns = cut_axis(job.width, job.out_width, core[1], halo)
    row_counts = evaluations_before(job.height, job.out_height)
    column_counts = evaluations_before(job.width, job.out_width)
    pattern = cell_pattern(job.width, job.out_width)
    if pattern.per_cell > 1:
        widest = _places(job, pattern, columns.longest_core)
    else:
        widest = max(int(column_counts[s.out_stop] - column_counts[s.out_start]) for s in columns.segments)
    block_rows, tallest = _block(rows, row_counts, widest, block_evaluations or facts.block_evaluations)
    reach = cells_read(job.height, job.out_height, block_rows)
    shape = TileShape(rows.window, columns.window, tallest, widest, pattern, reach)
    pixel_bytes = job.bands * job.sample_bytes
    parts = {
        "engine": facts.base,
        **engine_parts(shape, facts),
        "input": job.input_bytes,
        # where blocks begin along both axes
        "axes": row_counts.nbytes + column_counts.nbytes,
        # the band being filled, and the pieces of it that wait for the encoder
        "band": rows.longest_output * job.out_width * pixel_bytes + 4 * MIB,
        "writer": job.writer_bytes,
    }
    working = parts["tile"] + parts["block"] + parts["band"] + parts["writer"]
    parts["opening"] = max(0, job.opening_bytes - working)
    return Plan(job, halo, rows, columns, shape, block_rows, parts, memory_cap)


def engine_parts(shape: TileShape, facts: MemoryFacts) -> dict[str, int]:
    """What an engine's window and its block of evaluations take, in bytes."""
    return {
        "tile": facts.tile(shape),
        "block": facts.block(shape),
    }


def _block(rows: Axis, row_counts: np.ndarray, widest: int, evaluations: int) -> tuple[int, int]:
    """Output rows of a block and the most evaluations along its rows. All blocks have one shape, so rows that cut the
    cells the same way every time (3 or 6 of them at x3) leave no places empty."""
    most = max(1, int(evaluations * len(row_counts) / (widest * row_counts[-1])))
    best = (0.0, 1, 1)
    for block_rows in range(most, max(most // 2, most - 24), -1):
        tallest, calls = 0, 0
        for segment in rows.segments:
            cuts = [0, *(stop for _, stop in stepped(segment.out_stop - segment.out_start, block_rows))]
            tallest = max(tallest, int(np.diff(row_counts[segment.out_start + np.array(cuts)]).max()))
            calls += len(cuts) - 1
        cost = calls * (tallest * widest + CALL_EVALUATIONS)
        if not best[0] or cost < best[0]:
            best = (cost, block_rows, tallest)
    return best[1:]


@functools.lru_cache(maxsize=2)  # as many as a plan counts
def evaluations_before(size: int, out_size: int) -> np.ndarray:
    """int64[out_size + 1]: evaluations along an axis before each output position."""
    before = np.zeros(out_size + 1, np.int64)
    for start, queries in axis_pieces(size, out_size):
        before[start + 1 : start + 1 + queries.positions] = 1 + (queries.first != queries.second)
    return np.cumsum(before, out=before)


def shrunk(plan: Plan, core: tuple[int, int]) -> Plan:
    """The same cuts, with window and block shapes for pieces of at most `core` (rows, columns) LR pixels of them."""
    job = plan.job
    # at the rims the plan's own windows may be smaller than a core with halo on both sides, and pieces lie in them
    rows = replace(plan.rows, window=min(plan.rows.window, core[0] + 2 * plan.halo))
    columns = replace(plan.columns, window=min(plan.columns.window, core[1] + 2 * plan.halo))
    # a piece of n cells holds at most ceil(n * scale) positions of two evaluations each
    pattern = cell_pattern(job.width, job.out_width)
    if pattern.per_cell > 1:
        widest = _places(job, pattern, core[1])
    else:
        widest = 2 * -(-core[1] * job.out_width // job.width)
    block_rows = max(1, plan.shape.rows * plan.shape.columns // (2 * widest))
    reach = cells_read(job.height, job.out_height, block_rows)
    shape = TileShape(rows.window, columns.window, 2 * block_rows, widest, pattern, reach)
    return replace(plan, rows=rows, columns=columns, shape=shape, block_rows=block_rows)


def _places(job: Job, pattern: CellPattern, core: int) -> int:
    """Places along a row of a core: its cells, and those beside it that its outer positions are mixed from."""
    return pattern.per_cell * min(job.width, core + 2)


def _core_candidates(job: Job) -> list[tuple[int, int]]:
    """Square and flat cores, largest first: a flat tile needs a shorter band of finished rows."""
    # Cores below 16 are nearly all halo; they are for enormous scales, where an LR row becomes hundreds of output rows.
    scale = max(job.out_height / job.height, job.out_width / job.width)
    smallest = min(16, max(1, int(128 / scale)))
    sides = [
        s
        for s in (LARGEST_CORE, 768, 512, 448, 384, 320, 256, 192, 160, 128, 96, 64, 48, 32, 24, 16, 8, 4, 2, 1)
        if s >= smallest
    ]
    candidates = []
    for width in sides:
        # the picture's whole height if that is not much: nothing above and below it is computed twice
        heights = {width, max(smallest, width // 2), max(smallest, width // 4), min(job.height, 3 * width // 2)}
        for height in heights:
            candidates.append((min(height, job.height), min(width, job.width)))
    return sorted(set(candidates), key=lambda c: -c[0] * c[1])
