"""The methods of a bench report side by side: a table for each data set, settings down, methods across.

    edge-liif bench ... --config benchmarks/sweeps/methods.toml --json > methods.json
    python benchmarks/methods_table.py methods.json [more.json ...]

Several reports of one model, as of a sweep with and one without real pictures, count as one; where both have a
number the later one's is shown. A cell is PSNR-Y to the originals / to the uncompressed network's own output, in dB.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REAL = "real pictures"
COLUMNS = ("rtn", "magnitude", "dfq", "udfc", "moments", "lockstep", f"lockstep, {REAL}")
MEAN = "mean"


def cells(reports: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Points by (setting, column), settings in the order of the sweep."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for report in reports:
        for point in report["points"]:
            setting = point["recipe"].partition(",")[0]
            real = "" if point["data_free"] else f", {REAL}"
            found[setting, f"{point['method']}{real}"] = point
    return found


def score(point: dict[str, Any] | None, data: str) -> str:
    """`27.24 / 54.8` of a point on a data set, or on all of them."""
    if point is None:
        return "–"
    quality = point["mean"] if data == MEAN else point["quality"][data]
    return f"{quality['psnr_y']:.2f} / {quality['fidelity']:.1f}"


def tables(reports: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    first = reports[0]
    found = cells(reports)
    base = next(p for p in first["points"] if p["recipe"] == "original")
    settings = list(dict.fromkeys(s for s, _ in found if s != "original"))
    columns = [c for c in COLUMNS if any(method == c for _, method in found)]
    lines = []
    for data in [*(d["name"] for d in first["datasets"]), MEAN]:
        bicubic = first["bicubic"][0]
        plain, own = ((p["mean"] if data == MEAN else p["quality"][data])["psnr_y"] for p in (bicubic, base))
        lines += [
            f"### {data if data != MEAN else 'Mean of all pictures'}: uncompressed {own:.2f}, bicubic {plain:.2f}",
            "",
            "| setting | " + " | ".join(columns) + " |",
            "|---|" + "---:|" * len(columns),
        ]
        for setting in settings:
            row = [score(found.get((setting, column)), data) for column in columns]
            lines.append(f"| {setting} | " + " | ".join(row) + " |")
        lines.append("")
    lines += ["| lockstep | file, MB | multiply-adds per output pixel |", "|---|---:|---:|"]
    for name, point in [("uncompressed, fp32", base), *((s, found.get((s, "lockstep"))) for s in settings)]:
        if point is not None:
            lines.append(f"| {name} | {point['bytes'] / 1e6:.2f} | {point['multiply_adds'] / 1e6:.3f} M |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+")
    print(tables([json.loads(path.read_text()) for path in parser.parse_args().reports]))


if __name__ == "__main__":
    main()
