"""Sentences about a report: they say what the numbers say, and nothing where there are none."""

from __future__ import annotations

import copy

import pytest

from edge_liif.bench.answers import answers

from .reports import EDSR, made_up_report


@pytest.fixture(scope="module")
def report() -> dict:
    return made_up_report()


def answer(report: dict, part: str) -> str:
    return next(a["answer"] for a in answers(report) if part in a["question"])


def test_ahead_of_real_pictures(report: dict) -> None:
    said = answer(report, f"ahead of quantization that has seen real pictures, {EDSR} at x3")
    assert said.startswith("Yes: ")
    assert "others, real pictures, openvino int8 loses 0.05 dB" in said
    assert "W8A8, lockstep, openvino int8 without data 0.01" in said


def test_not_ahead_is_said_too(report: dict) -> None:
    behind = copy.deepcopy(report)
    peer = next(p for p in behind["points"] if p["peer"] and p["mean"] and p["scale"] == 3)
    peer["mean"]["psnr_y"] += 0.042
    assert answer(behind, f"ahead of quantization that has seen real pictures, {EDSR} at x3").startswith(
        "Ahead or level: "
    )
    peer["mean"]["psnr_y"] += 0.2
    assert answer(behind, f"ahead of quantization that has seen real pictures, {EDSR} at x3").startswith(
        "Not everywhere: "
    )


def test_a_larger_file_of_ours_does_not_count(report: dict) -> None:
    small = copy.deepcopy(report)
    peer = next(p for p in small["points"] if p["peer"] and p["mean"] and p["scale"] == 3)
    peer["bytes"] = 800_000
    assert "W4A8, lockstep, openvino int8 without data 0.10" in answer(
        small, f"ahead of quantization that has seen real pictures, {EDSR} at x3"
    )


def test_smaller_than_all_of_ours_is_not_passed_over(report: dict) -> None:
    small = copy.deepcopy(report)
    peer = next(p for p in small["points"] if p["peer"] and p["mean"] and p["scale"] == 3)
    peer["bytes"] = 1000
    said = answer(small, f"ahead of quantization that has seen real pictures, {EDSR} at x3")
    assert said.startswith("Not everywhere: ") and "nothing measured of ours is as small" in said


def test_what_collapsed_is_named(report: dict) -> None:
    said = answer(report, f"made of {EDSR} at x3")
    names = [p["name"] for p in report["points"] if p["scale"] == 3 and p["mean"] and p["mean"]["psnr_y"] < 29.7]
    assert len(names) > 3 and all(name.removeprefix(f"{EDSR}, ") in said for name in names)
    assert "W3A8" not in said, "0.3 dB is a loss, not a collapse"


def test_without_peers_nothing_is_said(report: dict) -> None:
    alone = {**report, "points": [p for p in report["points"] if not p["peer"]]}
    assert not [a for a in answers(alone) if "ahead" in a["question"]]
    assert answers({**report, "points": []}) == []
