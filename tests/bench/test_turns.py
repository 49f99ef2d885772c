"""Timing in turns: real processes; what fails is named, and the others go on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edge_liif.bench.turns import Runner, time_in_turns


def one_group(*arguments) -> tuple[dict, dict]:
    ((facts, failed),) = time_in_turns(*arguments)
    return facts, failed


def _peer(name: str) -> Runner:
    return Runner(name, (f"peer:{name}", "", "", "3", "96", "64", "1"))


def test_peers_are_timed_against_the_reference() -> None:
    runners = [
        _peer("Lanczos (OpenCV)"),
        Runner("broken", ("nowhere.safetensors", "openvino", "fp32", "3", "9", "9", "0")),
    ]
    steps = []
    facts, failed = one_group(runners, _peer("bicubic (PIL)"), 3, lambda: steps.append(1))
    assert set(facts) == {"bicubic (PIL)", "Lanczos (OpenCV)"}
    assert "no model file" in failed["broken"]
    own = facts["bicubic (PIL)"]
    assert own["ratio"] == own["ratio_low"] == own["ratio_high"] == 1
    other = facts["Lanczos (OpenCV)"]
    assert other["low"] <= other["seconds"] <= other["high"] and other["rounds"] == 3
    assert other["ratio_low"] <= other["ratio"] <= other["ratio_high"]
    assert other["start_seconds"] > other["seconds"] and other["peak_bytes"] > 20 << 20
    assert len(steps) == 3 + 2 * 3


def test_what_a_library_prints_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "printing.py"
    program.write_text(
        "import sys\n"
        "from edge_liif.bench import enlargers, timed\n"
        "first = enlargers.enlarger\n"
        "timed.enlarger = lambda *a: (print('a peer says hello'), first(*a))[1]\n"
        "timed.main(sys.argv[1:])\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    monkeypatch.setattr("edge_liif.bench.turns.CHILD", "printing")
    facts, failed = one_group([], _peer("bicubic (PIL)"), 2, lambda: None)
    assert not failed and facts["bicubic (PIL)"]["rounds"] == 2
    broken = Runner("broken", ("nowhere.safetensors", "openvino", "fp32", "3", "9", "9", "0"))
    _, failed = one_group([broken], _peer("bicubic (PIL)"), 1, lambda: None)
    assert "no model file" in failed["broken"], "the reason, and not what was printed before it"


def test_a_process_that_dies_in_its_turn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_liif.bench import turns

    turn = turns._Child.turn

    def killed(child: turns._Child) -> float:
        if "peer:Lanczos (OpenCV)" in child._process.args:
            child._process.kill()
            child._process.wait()
        return turn(child)

    monkeypatch.setattr(turns._Child, "turn", killed)
    facts, failed = one_group([_peer("Lanczos (OpenCV)")], _peer("bicubic (PIL)"), 2, lambda: None)
    assert set(facts) == {"bicubic (PIL)"} and facts["bicubic (PIL)"]["rounds"] == 2
    assert failed == {"Lanczos (OpenCV)": "the timed process ended with status -9"}


def test_without_its_reference_nothing_is_timed() -> None:
    broken = Runner("reference", ("nowhere.safetensors", "openvino", "fp32", "3", "9", "9", "0"))
    facts, failed = one_group([_peer("Lanczos (OpenCV)")], broken, 1, lambda: None)
    assert not facts and set(failed) == {"reference", "Lanczos (OpenCV)"}


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_every_group_has_the_reference(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    from edge_liif.bench import turns

    groups = []

    def group(runners, reference, rounds, step):  # type: ignore[no-untyped-def]
        groups.append([r.id for r in runners])
        return {r.id: {"seconds": len(groups)} for r in runners}, {}

    monkeypatch.setattr(turns, "_group", group)
    runners = [Runner(str(i), ()) for i in range(count)]
    found = [facts for facts, _ in time_in_turns(runners, runners[0], 1, lambda: None)]
    assert all(g[0] == "0" and len(g) <= turns.GROUP for g in groups)
    assert sorted(i for g in groups for i in g[1:]) == [str(i) for i in range(1, count)]
    assert [f["0"]["seconds"] for f in found] == list(range(1, len(groups) + 1)), "as soon as it is timed"
