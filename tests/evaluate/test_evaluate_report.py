"""Tables never come without baseline, protocol and command; JSON is strict JSON; facts about the machine are there."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from edge_liif.errors import UsageError
from edge_liif.evaluate import BICUBIC, ImageScore, Row, environment_facts, protocol_line, to_json, to_markdown
from edge_liif.evaluate.environment import cpu_features, cpu_model

COMMAND = "edge-liif eval --scale 2 --scale 8 data/Set5"


def row(method: str, scale: float = 2, downsample: str = "matlab", shave: int = 2, psnr: float = 30.0) -> Row:
    images = (ImageScore("a.png", psnr - 1, 0.9, 0.5), ImageScore("b.png", psnr + 1, 0.8, 1.5))
    return Row("Set5", scale, method, downsample, shave, images)  # type: ignore[arg-type]


ROWS = [row(BICUBIC), row("rdn", psnr=34.126), row(BICUBIC, 8, "pil", 8, 24.0)]


def test_markdown_is_table_protocol_and_command() -> None:
    lines = to_markdown(ROWS, COMMAND).splitlines()
    assert lines[:4] == [
        "| data set | scale | LR | n | bicubic PSNR / SSIM | rdn PSNR / SSIM |",
        "| --- | --- | --- | ---: | ---: | ---: |",
        "| Set5 | x2 | MATLAB | 2 | 30.00 / 0.8500 | 34.13 / 0.8500 |",
        "| Set5 | x8 | PIL | 2 | 24.00 / 0.8500 | – |",
    ]
    assert protocol_line(ROWS) in lines
    assert lines[-1] == f"    {COMMAND}"
    assert "**" not in "\n".join(lines)


def test_protocol_names_lr_border_and_weights() -> None:
    line = protocol_line(ROWS)
    assert "LR by MATLAB bicubic at x2" in line
    assert "LR by PIL bicubic at x8" in line
    assert "ceil(scale)" in line
    assert "65.738, 129.057, 25.064" in line
    assert "\n" not in line
    assert "a border of 10 px at x2, x2.7 left out" in protocol_line([row(BICUBIC, s, "pil", 10) for s in (2.7, 2)])


def test_coded_lr_is_said_everywhere() -> None:
    rows = [replace(r, jpeg=quality) for quality in (None, 40, 10) for r in ROWS[:2]]
    lines = to_markdown(rows, COMMAND).splitlines()
    assert [line.split(" | ")[2] for line in lines[2:5]] == ["MATLAB", "MATLAB, JPEG 40", "MATLAB, JPEG 10"]
    assert "; LR uncoded and JPEG-coded at quality 10, 40, 4:2:0, by OpenCV; every method" in protocol_line(rows)
    assert "; LR JPEG-coded at quality 10, 40, 4:2:0, by OpenCV; every method" in protocol_line(rows[2:])
    assert "JPEG" not in protocol_line(ROWS)
    assert [r["jpeg_quality"] for r in json.loads(to_json(rows, COMMAND))["rows"]] == [None, None, 40, 40, 10, 10]
    with pytest.raises(UsageError, match="bicubic"):
        to_markdown([rows[0], rows[1], rows[3]], COMMAND)


def test_environment_is_printed_when_given() -> None:
    text = to_markdown(ROWS, COMMAND, {"cpu": "Some CPU", "numpy": "2.0"})
    assert "Measured on: cpu Some CPU, numpy 2.0." in text


def test_names_and_commands_cannot_break_the_table() -> None:
    text = to_markdown([row(BICUBIC), row("a|b\nc")], "first \\\n  second ```")
    assert r"| a\|b c PSNR / SSIM |" in text
    assert text.endswith("    first \\\n      second ```\n")


def test_report_without_baseline_command_or_rows_is_refused() -> None:
    for write in (to_markdown, to_json):
        with pytest.raises(UsageError, match="bicubic"):
            write([row("rdn")], COMMAND)
        with pytest.raises(UsageError, match="same protocol"):
            write([row(BICUBIC), row("rdn", downsample="pil")], COMMAND)
        with pytest.raises(UsageError, match="no measurements"):
            write([], COMMAND)
        with pytest.raises(UsageError, match="command"):
            write(ROWS, "  ")
        with pytest.raises(UsageError, match="twice"):
            write([row(BICUBIC), row(BICUBIC)], COMMAND)


def test_json_holds_everything_and_survives_infinity() -> None:
    document = json.loads(to_json([*ROWS[:2], row(BICUBIC, 3, psnr=math.inf)], COMMAND, {"cpu": "Some CPU"}))
    assert document["command"] == COMMAND
    assert document["protocol"].startswith("Protocol: ")
    assert document["environment"] == {"cpu": "Some CPU"}
    first, second, third = document["rows"]
    assert first["method"] == BICUBIC
    assert second["psnr_y"] == pytest.approx(34.126)
    assert second["n"] == len(second["images"]) == 2
    assert second["seconds"] == 2.0
    assert third["psnr_y"] == third["images"][0]["psnr_y"] == "inf"


def test_infinite_psnr_in_the_table() -> None:
    assert "| inf / 0.8500 |" in to_markdown([row(BICUBIC, psnr=math.inf)], COMMAND)


def test_environment_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = environment_facts()
    assert facts["python"] == platform.python_version()
    assert facts["numpy"] == importlib.metadata.version("numpy")
    assert facts["cpu"]
    assert {"openvino", "torch", "pillow", "scikit-image"} <= facts.keys()

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert environment_facts()["torch"] == "not installed"


def test_cpu_model_on_other_kernels(tmp_path: Path) -> None:
    arm = tmp_path / "cpuinfo"
    arm.write_text("processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n")
    assert cpu_model(arm) == "Raspberry Pi 5 Model B Rev 1.0"
    arm.write_text("processor\t: 0\nmodel\t\t: 68\nmodel name\t: AMD Ryzen 7\n")
    assert cpu_model(arm) == "AMD Ryzen 7"
    arm.write_text("flags\t\t: fpu avx avx2 avx512_vnni\nflags : avx2\n")
    assert cpu_features(arm) == ["avx2", "avx512_vnni"]
    arm.write_text("Features\t: fp asimd i8mm\n")
    assert cpu_features(arm) == ["asimd", "i8mm"] and cpu_features(tmp_path / "none") == []
    assert cpu_model(tmp_path / "missing")
