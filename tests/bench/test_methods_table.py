"""The script that makes the tables of compression.md from a report."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("torchao")

from tests.bench.reports import EDSR, made_up_report
from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))
from methods_table import tables


def test_methods_stand_side_by_side() -> None:
    report = made_up_report()
    report["points"] = [p for p in report["points"] if p["engine"] != "onnx"]
    for point in report["points"]:
        if point["method"] == "lockstep, real pictures":
            point |= {"method": "lockstep", "recipe": "W8A8, real pictures"}
    text = tables(report).splitlines()
    assert "### Kodak: uncompressed 31.58, bicubic 29.01" in text
    kodak = text[text.index("### Kodak: uncompressed 31.58, bicubic 29.01") :]
    assert kodak[2] == "| setting | magnitude | dfq | udfc | lockstep | lockstep, real pictures |"
    assert kodak[4] == "| W8A8 | – | – | – | 31.57 / 54.8 | 31.57 / 57.7 |"
    assert "| W8A8 | 1.60 | 0.692 M |" in text


def test_other_settings_of_a_method_have_rows_of_their_own() -> None:
    report = made_up_report()
    report["points"] = [p for p in report["points"] if p["engine"] != "onnx" and p["recipe"] != "W8A8"]
    for point in report["points"]:
        if point["recipe"] in ("25 %", "W4A8"):
            point["recipe"] += f", {point['method']}, by energy, equalised"
    rows = [line.split(" | ")[0] for line in tables(report).splitlines()]
    assert "| 25 %, by energy, equalised" in rows and "| W4A8, by energy, equalised" in rows and "| 25 %" not in rows


def test_one_way_to_run_is_not_taken_for_another() -> None:
    with pytest.raises(SystemExit, match="W8A8 was measured in several ways"):
        tables(made_up_report())


def test_without_its_reference_there_is_no_table() -> None:
    report = made_up_report()
    report["points"] = [p for p in report["points"] if p["precision"] != "fp32"]
    with pytest.raises(SystemExit, match=f"no uncompressed {EDSR} in fp32 at x3"):
        tables(report)
