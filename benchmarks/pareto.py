"""The fronts of a bench report as one picture: PSNR-Y against size and against speed.

    edge-liif bench ... --json > bench.json
    python benchmarks/pareto.py bench.json -o bench.png [--model NAME] [--scale 3] [--below 1]

Points that lose more than --below dB are counted in a corner, not drawn: they would press the others together. Needs
matplotlib (`pip install 'edge-liif[train]'`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from edge_liif.bench.recommend import pareto, psnr, reference, size

Point = dict[str, Any]
NEAR_DB = 0.008
FRONT, OTHERS = "#0b6e99", "#c0392b"


def ratio(point: Point) -> float | None:
    return (point.get("speed") or {}).get("ratio")


def label(point: Point) -> str:
    """Recipe and precision: `W8A8`, `original fp32`; a peer's own name."""
    if point["peer"] and point["recipe"] is None:
        return point["name"]
    # all quantizers make W8A8
    recipe = point["recipe"].rpartition("W8A8 by ")[2].replace("floats as in edge-liif", "our floats")
    return recipe if point["precision"] == "int8" else f"{recipe} {point['precision']}"


def draw(axes: Any, points: list[Point], cost: Any, unit: str, less_is_better: bool) -> None:
    axes.set_xlabel(unit)
    if not points:
        return
    front = pareto(points, cost if less_is_better else lambda p: -cost(p), psnr)
    named: list[tuple[float, float, list[str], str]] = []
    for point in points:
        mine = not point["peer"] and point["data_free"]
        colour = FRONT if point in front else "#555555" if mine else OTHERS
        x, y = cost(point), psnr(point)
        axes.plot(x, y, "o" if mine else "x", color=colour, markersize=6 if point in front else 4)
        # points that lie on each other share a label
        near = next((n for n in named if n[3] == colour and abs(n[0] / x - 1) < 0.03 and abs(n[1] - y) < NEAR_DB), None)
        if near is None:
            named.append((x, y, [label(point)], colour))
        else:
            near[2].append(label(point))
    for x, y, words, colour in named:
        place = (5, -9) if colour == OTHERS else (4, 4)
        axes.annotate(" / ".join(words), (x, y), place, textcoords="offset points", fontsize=7, color=colour)
    line = sorted((cost(p), psnr(p)) for p in front)
    axes.plot(*zip(*line, strict=True), "-", color=FRONT, linewidth=1, alpha=0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axes.tick_params(axis="x", which="minor", labelsize=7)
    axes.margins(x=0.15, y=0.1)
    axes.grid(alpha=0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", help="The first of the report if not given.")
    parser.add_argument("--scale", type=float, help="The first of the report if not given.")
    parser.add_argument("--below", type=float, default=1.0, help="dB below fp32 that are drawn.")
    options = parser.parse_args()
    report = json.loads(options.report.read_text())
    model = options.model or next(p["model"] for p in report["points"] if not p["peer"])
    scale = options.scale or report["scales"][0]
    base = reference(report["points"], model, scale)
    if base is None:
        raise SystemExit(f"{options.report}: nothing to compare {model} with at x{scale:g}")
    # and networks of others, which are no model's
    all_points = [
        p
        for p in report["points"]
        if p["scale"] == scale and psnr(p) is not None and (p["model"] == model or (p["peer"] and p["recipe"] is None))
    ]
    for point in all_points:
        mine, own = ratio(point), ratio(base)
        point["faster"] = mine / own if mine and own else None
    points = [p for p in all_points if psnr(p) >= psnr(base) - options.below]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    draw(left, [p for p in points if size(p)], size_mb, "MB", True)
    draw(right, [p for p in points if p["faster"]], lambda p: p["faster"], f"times as fast as {base['name']}", False)
    left.set_ylabel("PSNR-Y, dB")
    sets = ", ".join(f"{d['name']} ({d['n']})" for d in report["datasets"])
    bicubic = next(b["mean"]["psnr_y"] for b in report["bicubic"] if b["scale"] == scale)
    gone = f"; {len(all_points) - len(points)} worse points not drawn" if len(points) < len(all_points) else ""
    cpu = f"{report['environment']['cpu']} {report['environment'].get('cpu features', '')}".strip()
    figure.suptitle(f"{model}, x{scale:g}, {sets}; bicubic {bicubic:.2f} dB{gone}; {cpu}", fontsize=9)
    figure.savefig(options.output, dpi=130)


def size_mb(point: Point) -> float:
    return (size(point) or 0) / 1e6


if __name__ == "__main__":
    main()
