"""The report as a Markdown table and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = (
    "model",
    "recipe",
    "method",
    "data_free",
    "peer",
    "note",
    "engine",
    "precision",
    "scale",
    "bytes",
    "multiply_adds",
    "psnr_y",
    "ssim",
    "ms_ssim",
    "lpips",
    "fidelity",
    "seconds",
    "low",
    "high",
    "ratio",
    "ratio_low",
    "ratio_high",
    "lr_mp_s",
    "hr_mp_s",
    "start_seconds",
    "peak_bytes",
)
"""Of the CSV: units as in the report; quality is the mean of all pictures, then one column `psnr_y NAME` a data set."""


def to_csv(report: Mapping[str, Any]) -> str:
    """A line for each point, bicubic first; what was not measured is empty."""
    sets = [d["name"] for d in report["datasets"]]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"psnr_y {name}" for name in sets)])
    for point in [*(_bicubic(b) for b in report["bicubic"]), *report["points"]]:
        flat = {**point, **point["mean"], **(point["speed"] or {})}
        by_set = [point["quality"].get(name, {}).get("psnr_y") for name in sets]
        writer.writerow([*("" if flat.get(c) is None else flat[c] for c in COLUMNS), *by_set])
    return out.getvalue()


def to_markdown(report: Mapping[str, Any]) -> str:
    """A table for each scale, in the order of the sweep, bicubic first; then what is missing, protocol and command."""
    sets = report["datasets"]
    head = ["network", "MB", "k multiply-adds / px", *(f"{d['name']} ({d['n']})" for d in sets), "fidelity"]
    perceptual = any(point["mean"].get("lpips") is not None for point in report["points"])
    if perceptual:
        head.append("LPIPS")
    timed = any(point["speed"] for point in report["points"])
    if timed:
        head += ["seconds (spread)", "faster than the first (spread)", "start s", "peak MiB"]
    lines: list[str] = []
    for scale in report["scales"]:
        lines += [f"### x{scale:g}", "", _line(head), _line(["---", *["---:"] * (len(head) - 1)])]
        bicubic = [_bicubic(b) for b in report["bicubic"] if b["scale"] == scale]
        for point in [*bicubic, *(p for p in report["points"] if p["scale"] == scale)]:
            note = point.get("note") or ("not data-free" if point["data_free"] is False else "")
            name = point["name"] + (f" ({note})" if note else "")
            cells = [name, _number(point["bytes"], 1e6, 2), _number(point["multiply_adds"], 1e3, 0)]
            cells += [_number(point["quality"].get(d["name"], {}).get("psnr_y"), 1, 2) for d in sets]
            cells.append(_number(point["mean"].get("fidelity"), 1, 1))
            if perceptual:
                cells.append(_number(point["mean"].get("lpips"), 1, 3))
            if timed:
                cells += _speed(point)
            lines.append(_line(cells))
        lines.append("")
    lines += [f"Not measured: {m['name']}: {m['reason']}" for m in report["missing"]]
    lines += ["", report["protocol"], ""]
    facts = dict(report["environment"]) | ({"commit": report["commit"]} if report["commit"] else {})
    lines.append("Measured on: " + ", ".join(f"{name} {value}" for name, value in facts.items()) + ".")
    return "\n".join([*lines, "", f"    {report['command']}", ""])


def _bicubic(entry: Mapping[str, Any]) -> dict[str, Any]:
    nothing = dict.fromkeys(("bytes", "multiply_adds", "speed", "start_seconds", "peak_bytes"))
    return {**nothing, **entry, "name": "bicubic", "model": "bicubic", "data_free": True, "peer": True}


def _speed(point: Mapping[str, Any]) -> list[str]:
    speed = point["speed"]
    if speed is None:
        return ["–"] * 4
    return [
        f"{speed['seconds']:.2f} ({speed['low']:.2f}..{speed['high']:.2f})",
        f"{speed['ratio']:.2f}x ({speed['ratio_low']:.2f}..{speed['ratio_high']:.2f})",
        _number(point["start_seconds"], 1, 2),
        _number(point["peak_bytes"], 2**20, 0),
    ]


def _number(value: float | None, unit: float, digits: int) -> str:
    return "–" if value is None else f"{value / unit:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
