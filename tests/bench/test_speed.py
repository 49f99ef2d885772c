"""What becomes of timings: stored group by group, the first point's numbers once and for all, rates by ratio."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torchao")

from edge_liif.bench import report, run
from edge_liif.bench.peers.points import enlarging_point
from edge_liif.bench.peers.table import BICUBIC
from edge_liif.bench.recipe import UNCOMPRESSED
from edge_liif.bench.run import Measured
from edge_liif.bench.store import Store
from edge_liif.bench.sweep import Sweep


def point(name: str) -> SimpleNamespace:
    return SimpleNamespace(
        key=name, name=name, has=lambda scale: True, runner=lambda scale, sweep: SimpleNamespace(id=name)
    )


def timed(monkeypatch: pytest.MonkeyPatch, groups: list) -> list[list[str]]:
    """Instead of processes: these groups of facts, one after the other; an exception ends them."""
    asked = []

    def time_in_turns(runners, reference, rounds, step):
        asked.append([r.id for r in runners])
        for group in groups:
            if isinstance(group, Exception):
                raise group
            yield group, {}

    monkeypatch.setattr(run, "time_in_turns", time_in_turns)
    return asked


def speeds(points: list, store: Store) -> dict:
    measured = Measured(points, {}, {}, [], [], {}, [])
    sweep = Sweep(("m",), (Path("d"),))
    run._speed(sweep, store, 3.0, measured, lambda *_: None)
    return {name: facts for (name, _), facts in measured.speed.items()}


def facts(seconds: float, ratio: float) -> dict:
    return {"seconds": seconds, "ratio": ratio}


def test_a_stopped_timing_goes_on_and_rates_follow_the_ratios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, points = Store(tmp_path), [point(name) for name in "rab"]
    first = {"r": facts(4.0, 1.0), "a": facts(2.0, 2.0)}
    timed(monkeypatch, [first, RuntimeError("stopped")])
    with pytest.raises(RuntimeError, match="stopped"):
        speeds(points, store)
    # the machine is half as fast now: the ratio is what counts, and the reference stays as it was
    asked = timed(monkeypatch, [{"r": facts(8.0, 1.0), "b": facts(2.0, 4.0)}])
    found = speeds(points, store)
    assert asked == [["b"]]
    assert {name: f["level_seconds"] for name, f in found.items()} == {"r": 4.0, "a": 2.0, "b": 1.0}
    assert found["r"]["seconds"] == 4.0
    assert speeds(points, store) == found and asked == [["b"]]


def test_without_the_first_there_are_no_speeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, [{}])
    assert speeds([point("r"), point("a")], Store(tmp_path)) == {}


def test_a_point_fails_at_one_scale_only() -> None:
    bicubic = enlarging_point(BICUBIC)
    measured = Measured([bicubic], {}, {}, [], [], {}, [])
    measured.fail(bicubic, 4.0, "no memory")
    assert measured.at(4.0) == [] and measured.at(2.0) == [bicubic]
    assert measured.missing == [{"name": "bicubic (PIL) at x4", "reason": "no memory"}]


@pytest.mark.parametrize(("parent", "expected"), [(None, 400), ("ab" * 32, 50)])
def test_a_network_in_floats_counts_its_floats_and_a_compressed_one_its_file(parent: str | None, expected: int) -> None:
    file = SimpleNamespace(parent_sha256=parent, fp32_bytes=400, bytes=50)
    point = SimpleNamespace(peer=None, file=file, recipe=UNCOMPRESSED, precision="fp32")
    assert report._bytes(point, 3.0) == expected
