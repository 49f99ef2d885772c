"""Plans: tiles that partition, caps that are kept, errors that state a cap that works."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_liif.engine.base import MemoryFacts
from edge_liif.errors import MemoryCapError
from edge_liif.tiling.grid import balanced, cut_axis
from edge_liif.tiling.plan import MIB, MOST_WORK, USUAL_WORK, Job, evaluations_before, make_plan, plan_for_core, shrunk

FACTS = MemoryFacts(150 * MIB, 3000, 1200)


@given(st.integers(1, 500), st.integers(1, 500))
def test_balanced_pieces(size: int, longest: int) -> None:
    pieces = balanced(size, longest)
    lengths = [b - a for a, b in pieces]
    assert pieces[0][0] == 0 and pieces[-1][1] == size
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
    assert max(lengths) <= longest and max(lengths) - min(lengths) <= 1
    assert len(pieces) == -(-size // longest)


@given(st.integers(1, 300), st.floats(1, 8), st.integers(1, 300), st.integers(0, 140))
def test_windows_contain_core_and_halo(size: int, scale: float, core: int, halo: int) -> None:
    axis = cut_axis(size, round(size * scale), core, halo)
    for segment in axis.segments:
        origin = axis.origin(segment)
        assert origin >= 0 and origin + axis.window <= size, "windows lie inside the picture"
        assert origin <= max(0, segment.start - halo)
        assert origin + axis.window >= min(size, segment.stop + halo)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(1, 4), st.integers(160, 2000), st.integers(0, 60))
def test_the_cap_is_kept_or_refused_with_one_that_works(h: int, w: int, s: float, mib: int, halo: int) -> None:
    job = Job(h, w, round(h * s), round(w * s), 3, 1, 3 * h * w)
    cap = mib * MIB
    try:
        plan = make_plan(job, FACTS, halo, cap)
        assert plan.peak_bytes <= cap
    except MemoryCapError as error:
        match = re.search(r"--memory (\d+)MiB$", str(error))
        assert match
        needed = int(match[1])
        assert needed > mib
        assert make_plan(job, FACTS, halo, needed * MIB).peak_bytes <= needed * MIB
        with pytest.raises(MemoryCapError):
            make_plan(job, FACTS, halo, (needed - 1) * MIB - 1)


@pytest.mark.parametrize(
    ("per_evaluation", "expected"), [(1200, 262_144), (3072, 65_536), (16_000, 16_384), (60_000, 8_192)]
)
def test_large_blocks_shrink_step_by_step(per_evaluation: int, expected: int) -> None:
    """A GPU likes blocks of a quarter of a million; where they don't fit, the next smaller ones are taken."""
    facts = MemoryFacts(330 * MIB, 3000, per_evaluation, 0, 262_144)
    plan = make_plan(Job(192, 256, 576, 768, 3, 1), facts, 24, None)
    assert 0.5 * expected <= plan.shape.rows * plan.shape.columns <= 1.05 * expected
    assert plan.work_bytes <= USUAL_WORK


def test_more_memory_never_means_more_work() -> None:
    job = Job(3000, 4000, 9000, 12000, 3, 1, 36_000_000)
    work = [make_plan(job, FACTS, 24, mib * MIB).window_pixels for mib in (300, 400, 600, 1000, 2000)]
    assert all(a >= 0.99 * b for a, b in itertools.pairwise(work))
    assert work[0] > work[-1]


def test_parts_add_up() -> None:
    plan = make_plan(Job(300, 400, 900, 1200, 3, 2, 720_000, 5_000_000, 1_000_000), FACTS, 20, None)
    assert plan.peak_bytes == sum(plan.parts.values())
    assert plan.parts["engine"] == FACTS.base
    assert plan.parts["tile"] == FACTS.lr_pixel * plan.shape.height * plan.shape.width
    assert plan.tiles == len(plan.rows.segments) * len(plan.columns.segments)


def test_evaluation_count_is_what_the_paper_needs_less_the_zeros() -> None:
    assert evaluations_before(100, 300)[-1] == 5 * 100 - 2, "the rims need one neighbour fewer"
    assert evaluations_before(100, 200)[-1] == 4 * 100 - 2


def test_a_shrunk_plan_keeps_its_cuts() -> None:
    plan = make_plan(Job(300, 400, 900, 1200, 3, 1), FACTS, 20, None)
    smaller = shrunk(plan, (50, 60))
    assert smaller.rows.segments == plan.rows.segments
    assert (smaller.shape.height, smaller.shape.width) == (90, 100)


def test_a_shrunk_plan_never_has_larger_windows() -> None:
    plan = plan_for_core(Job(256, 256, 768, 768, 3, 1), FACTS, 100, (128, 128))
    assert plan.rows.window == 228, "halo on one side"
    smaller = shrunk(plan, (64, 128))
    assert smaller.rows.window <= plan.rows.window and smaller.columns.window <= plan.columns.window


def test_blocks_cut_the_cells_the_same_way() -> None:
    """At x3 every three output rows need five evaluations; other blocks would leave places empty."""
    plan = make_plan(Job(768, 1024, 2304, 3072, 3, 1), FACTS, 36, None)
    assert plan.block_rows % 3 == 0 and plan.shape.rows == plan.block_rows // 3 * 5


def test_blocks_become_small_before_a_cap_is_refused() -> None:
    job = Job(300, 300, 900, 900, 3, 1)
    large = make_plan(job, FACTS, 20, None)
    tight = make_plan(job, FACTS, 20, 190 * MIB)
    assert tight.parts["block"] < large.parts["block"] / 2


def test_huge_scales_are_planned_in_blocks_of_few_rows() -> None:
    plan = make_plan(Job(40, 40, 40 * 500, 40 * 500, 3, 1), FACTS, 10, 600 * MIB)
    assert plan.block_rows == 1 and plan.peak_bytes <= 600 * MIB


def test_without_a_cap_tiles_are_large_whatever_else_is_held() -> None:
    """A notebook that holds gigabytes must not get the smallest tiles there are."""
    plain = make_plan(Job(512, 768, 1536, 2304, 3, 1), FACTS, 24, None)
    crowded = make_plan(Job(512, 768, 1536, 2304, 3, 1, input_bytes=8 * 2**30), FACTS, 24, None)
    assert crowded.shape == plain.shape and plain.tiles <= 6
    enormous = make_plan(Job(512, 768, 512 * 30, 768 * 30, 3, 1), FACTS, 24, None)
    assert enormous.work_bytes < USUAL_WORK


def test_without_a_cap_networks_that_see_far_are_not_given_the_smallest_tiles() -> None:
    """Configuration B in OpenVINO, in floats: its smallest window alone takes more than the usual amount."""
    far = MemoryFacts(576 * MIB, 12_000, 2_000)
    job = Job(3000, 4000, 9000, 12000, 3, 1)
    plan = make_plan(job, far, 133, None)
    assert USUAL_WORK < plan.work_bytes <= MOST_WORK and plan.halo_overhead < 6
    # networks that see less far don't need more
    assert make_plan(job, FACTS, 36, None).work_bytes <= USUAL_WORK
    # nor may they have more for what only large scales take
    assert make_plan(Job(64, 64, 64 * 100, 64 * 100, 3, 1), FACTS, 36, None).work_bytes <= USUAL_WORK


def test_networks_that_see_far_compute_less_than_twice_the_picture() -> None:
    """Where the cap allows it: with the exact halo of configuration B, cores of 512 would compute 2.3 times as much."""
    job = Job(6000, 6000, 12000, 12000, 3, 1)
    far = make_plan(job, FACTS, 133, 32768 * MIB)
    assert 512 < far.columns.longest_core <= 1024 and far.halo_overhead < 1.65
    tight = make_plan(job, FACTS, 133, 2048 * MIB)
    assert tight.peak_bytes <= 2048 * MIB and tight.columns.longest_core < far.columns.longest_core
