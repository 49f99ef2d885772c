"""Measurements as a Markdown table or JSON, never without the bicubic baseline, the protocol and the command."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from edge_liif.errors import UsageError
from edge_liif.evaluate.protocol import BICUBIC, Row

LR_NAMES = {"pil": "PIL", "matlab": "MATLAB"}

_Line: TypeAlias = tuple[str, float, str, int | None, int, int]
"""What one line of the table has in common: data set, scale, maker of the LR, its JPEG quality, border, number of
pictures."""


def to_markdown(rows: Sequence[Row], command: str, environment: Mapping[str, str] | None = None) -> str:
    """A Markdown table: a line per data set, scale and JPEG quality, a column "PSNR / SSIM" (dB, 1) per method.

    Below it: the protocol, `environment` (from `environment_facts`) if given, and the `command` that made it.
    Raises `UsageError` if `rows` is empty, lacks bicubic for a line, has a row twice, or `command` is empty.
    """
    table = _tabulate(rows, command)
    methods = list(dict.fromkeys([BICUBIC, *(row.method for row in rows)]))
    head = ["data set", "scale", "LR", "n", *(f"{_cell(method)} PSNR / SSIM" for method in methods)]
    lines = [_table_line(head), _table_line(["---", "---", "---", *["---:"] * (len(head) - 3)])]
    for (dataset, scale, downsample, jpeg, _, n), by_method in table.items():
        scores = [_scores(by_method.get(method)) for method in methods]
        lr = LR_NAMES[downsample] + ("" if jpeg is None else f", JPEG {jpeg}")
        lines.append(_table_line([_cell(dataset), f"x{scale:g}", lr, str(n), *scores]))
    lines += ["", protocol_line(rows), ""]
    if environment:
        lines += ["Measured on: " + ", ".join(f"{name} {value}" for name, value in environment.items()) + ".", ""]
    # An indented block: unlike a fence, it can't be ended by anything in the command.
    lines += ["Command:", "", *(f"    {part}" for part in command.strip().splitlines())]
    return "\n".join(lines) + "\n"


def to_json(rows: Sequence[Row], command: str, environment: Mapping[str, str] | None = None) -> str:
    """The same as JSON text, with every picture's values. An infinite PSNR is the string "inf", for JSON has none.

    Raises `UsageError` as `to_markdown` does.
    """
    _tabulate(rows, command)
    document = {
        "protocol": protocol_line(rows),
        "command": command.strip(),
        "environment": dict(environment or {}),
        "rows": [_row_as_json(row) for row in rows],
    }
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def protocol_line(rows: Sequence[Row]) -> str:
    """One paragraph that says how the numbers in `rows` were made: which LR and border at which scale, and which Y."""
    reduced = "; ".join(
        f"LR by {name} bicubic at {_scales(row.scale for row in rows if row.downsample == downsample)}"
        for downsample, name in LR_NAMES.items()
        if any(row.downsample == downsample for row in rows)
    )
    qualities = sorted({row.jpeg for row in rows if row.jpeg is not None})
    if qualities:
        uncoded = "uncoded and " if any(row.jpeg is None for row in rows) else ""
        reduced += f"; LR {uncoded}JPEG-coded at quality {', '.join(map(str, qualities))}, 4:2:0, by OpenCV"
    if all(row.shave == math.ceil(row.scale) for row in rows):
        border = "a border of ceil(scale) px"
    else:
        border = "a border of " + ", ".join(
            f"{shave} px at {_scales(row.scale for row in rows if row.shave == shave)}"
            for shave in sorted({row.shave for row in rows})
        )
    return (
        f"Protocol: HR cropped top-left to fit the scale; {reduced}; every method enlarges the same uint8 LR; results "
        "clamped, not rounded (the bicubic baseline is PIL's, in uint8). PSNR-Y in dB of the RGB difference weighted "
        f"[65.738, 129.057, 25.064]/256; SSIM of BT.601 Y, Gaussian window 11 x 11, sigma 1.5; {border} left out; "
        "means of per-image values."
    )


def _tabulate(rows: Sequence[Row], command: str) -> dict[_Line, dict[str, Row]]:
    if not rows:
        raise UsageError("There are no measurements to report.")
    if not command.strip():
        raise UsageError("A report states the command that made it; none was given.")
    table: dict[_Line, dict[str, Row]] = {}
    for row in rows:
        by_method = table.setdefault((row.dataset, row.scale, row.downsample, row.jpeg, row.shave, row.n), {})
        if row.method in by_method:
            raise UsageError(f"{row.method} was measured twice on {row.dataset} x{row.scale:g}; report it once.")
        by_method[row.method] = row
    for (dataset, scale, *_), by_method in table.items():
        if BICUBIC not in by_method:
            raise UsageError(f"{dataset} x{scale:g} lacks the bicubic baseline under the same protocol.")
    return table


def _scales(scales: Iterable[float]) -> str:
    return ", ".join(f"x{scale:g}" for scale in sorted(set(scales)))


def _table_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def _scores(row: Row | None) -> str:
    return "–" if row is None else f"{row.psnr_y:.2f} / {row.ssim_y:.4f}"


def _decibels(value: float) -> float | str:
    return "inf" if math.isinf(value) else value


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "dataset": row.dataset,
        "scale": row.scale,
        "method": row.method,
        "downsample": row.downsample,
        "jpeg_quality": row.jpeg,
        "shave": row.shave,
        "n": row.n,
        "psnr_y": _decibels(row.psnr_y),
        "ssim_y": row.ssim_y,
        "seconds": row.seconds,
        "images": [
            {"image": s.image, "psnr_y": _decibels(s.psnr_y), "ssim_y": s.ssim_y, "seconds": s.seconds}
            for s in row.images
        ],
    }
