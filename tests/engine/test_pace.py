"""How long a picture will take: told from the self-check's tile, then from the last long run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_liif.engine import pace
from edge_liif.engine.base import MemoryFacts
from edge_liif.engine.pace import LONG, learn_pace, pace_of
from edge_liif.engine.select import Choice, open_engine
from edge_liif.model.checkpoint import Network
from edge_liif.tiling.plan import Job, plan_for_core
from edge_liif.upscaler import load
from edge_liif.work import work_of_plan


@pytest.fixture(scope="module")
def network() -> Network:
    return load("edsr-baseline-liif").network


@pytest.fixture
def choice(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Choice:
    """One whose tile took two seconds, on a machine that remembers nothing."""
    monkeypatch.setenv("EDGE_LIIF_HOME", str(tmp_path))
    return Choice(open_engine(network, "openvino", "fp32", "cpu"), "", 2.0)


def test_time_is_told_from_the_timed_tile(network: Network, choice: Choice) -> None:
    def seconds(job: Job, halo: int, alpha: bool = False) -> float:
        plan = plan_for_core(job, MemoryFacts(0, 1, 1), halo, (64, 64))
        return work_of_plan(network.spec, plan, alpha).total / found.multiply_adds

    found = pace_of(network, choice, None)
    assert found is not None and found.source == "the self-check's tile"
    tile, four = Job(64, 64, 192, 192, 3, 1), Job(128, 128, 384, 384, 3, 1)
    # the timed tile's blocks are all like its first, which has a rim
    assert seconds(tile, 0) == pytest.approx(2.0, rel=0.05)
    assert seconds(tile, 0, alpha=True) == pytest.approx(2 * seconds(tile, 0))
    assert seconds(four, 0) == pytest.approx(8.0, rel=0.07) and seconds(four, 8) > 1.03 * seconds(four, 0)
    assert pace_of(network, replace(choice, seconds=None), None) is None


def test_an_earlier_run_knows_better(network: Network, choice: Choice) -> None:
    def learned(multiply_adds: float, seconds: float) -> float:
        learn_pace(network, choice, None, multiply_adds, seconds)
        found = pace_of(network, choice, None)
        assert found is not None and found.source == "an earlier run"
        return found.multiply_adds

    assert learned(3e12, LONG * 1.5) == pytest.approx(3e12 / (LONG * 1.5))
    # beside another program
    slow = learned(1e12, LONG)
    assert slow == pytest.approx(1e12 / LONG)
    # short and slower still: it may have been compilation
    assert learned(0.5, 1.0) == slow
    assert learned(2e12, LONG / 2) == pytest.approx(2e12 / (LONG / 2))


def test_short_runs_correct_a_tile_that_was_timed_too_slow(network: Network, choice: Choice) -> None:
    tile = pace_of(network, choice, None)
    assert tile is not None
    learn_pace(network, choice, None, 2 * tile.multiply_adds, 4.0)
    assert pace_of(network, choice, None) == tile
    learn_pace(network, choice, None, 2 * tile.multiply_adds, 0.0)
    learn_pace(network, choice, None, 2 * tile.multiply_adds, 0.5)
    found = pace_of(network, choice, None)
    assert found is not None and found.multiply_adds == pytest.approx(4 * tile.multiply_adds)


def test_what_was_seen_holds_for_that_model_and_those_threads_only(network: Network, choice: Choice) -> None:
    learn_pace(network, choice, None, 3e12, LONG)
    for other, threads in ((network, 1), (replace(network, sha256="another file"), None)):
        found = pace_of(other, choice, threads)
        assert found is not None and found.source == "the self-check's tile"
    # one that is not from a file is told from its tile, always
    unsaved = replace(network, sha256=None)
    learn_pace(unsaved, choice, None, 3e12, LONG)
    found = pace_of(unsaved, choice, None)
    assert found is not None and found.source == "the self-check's tile"


@pytest.mark.parametrize("value", [None, 0.0, -1.0, float("nan"), float("inf"), "fast", [1.0], True, "deep"])
def test_a_damaged_file_is_ignored(network: Network, choice: Choice, tmp_path: Path, value: object) -> None:
    learn_pace(network, choice, None, 3e12, LONG)
    (path,) = tmp_path.rglob(pace.FILE)
    damaged = json.dumps(dict.fromkeys(json.loads(path.read_text()), value))
    path.write_text("[" * 100_000 if value == "deep" else damaged)
    found = pace_of(network, choice, None)
    assert found is not None and found.source == "the self-check's tile"
