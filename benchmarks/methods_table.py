"""The methods of a bench report side by side: a table for each data set, settings down, methods across.

    edge-liif bench NAME --config benchmarks/sweeps/methods.toml --data DIR --json > methods.json    # or parts.toml
    python benchmarks/methods_table.py methods.json

A cell is PSNR-Y to the originals / to the uncompressed network's own output, in dB, of the report's first model at its
first scale. Needs torch, as compressing does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_liif.bench.recommend import reference
from edge_liif.compress.methods import METHODS

REAL = "lockstep, real pictures"
MEAN = "Mean of all pictures"


def quality(entry: Mapping[str, Any], data: str) -> Mapping[str, Any]:
    """Scores of a point, or of bicubic, on a data set or on all of them; empty where there are none."""
    return entry["mean"] if data == MEAN else entry["quality"].get(data, {})


def cell(point: Mapping[str, Any] | None, data: str) -> str:
    """`27.24 / 54.8`."""
    found = {} if point is None else quality(point, data)
    if found.get("fidelity") is None:
        return "–"
    return f"{found['psnr_y']:.2f} / {found['fidelity']:.1f}"


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def tables(report: Mapping[str, Any]) -> str:
    """Markdown."""
    scale = report["scales"][0]
    model = next(p["model"] for p in report["points"] if not p["peer"])
    base = reference(report["points"], model, scale)
    if base is None:
        raise SystemExit(f"the report has no uncompressed {model} in fp32 at x{scale:g} to compare with")
    bicubic = next(b for b in report["bicubic"] if b["scale"] == scale)
    settings: dict[str, dict[str, Mapping[str, Any]]] = {}
    for point in report["points"]:
        if point["peer"] or point["method"] is None or (point["model"], point["scale"]) != (model, scale):
            continue
        # "25 % + W8A8, magnitude, by energy, real pictures"
        parts = point["recipe"].split(", ")
        setting = ", ".join(part for part in parts if part not in (point["method"], "real pictures"))
        method = point["method"] if point["data_free"] else REAL
        if method in settings.setdefault(setting, {}):
            raise SystemExit(f"{point['recipe']} was measured in several ways; sweep one engine, and bf16 or fp32")
        settings[setting][method] = point
    columns = [c for c in (*METHODS, REAL) if any(c in points for points in settings.values())]
    lines = []
    for data in [*(d["name"] for d in report["datasets"]), MEAN]:
        own, plain = (quality(entry, data)["psnr_y"] for entry in (base, bicubic))
        lines += [f"### {data}: uncompressed {own:.2f}, bicubic {plain:.2f}", ""]
        lines += [row(["setting", *columns]), row(["---", *["---:"] * len(columns)])]
        lines += [row([name, *(cell(points.get(c), data) for c in columns)]) for name, points in settings.items()]
        lines.append("")
    lines += [row(["lockstep", "file, MB", "multiply-adds per output pixel"]), row(["---", "---:", "---:"])]
    kept = {"uncompressed, fp32": base} | {s: p["lockstep"] for s, p in settings.items() if "lockstep" in p}
    lines += [row([s, f"{p['bytes'] / 1e6:.2f}", f"{p['multiply_adds'] / 1e6:.3f} M"]) for s, p in kept.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    print(tables(json.loads(parser.parse_args().report.read_text())))


if __name__ == "__main__":
    main()
