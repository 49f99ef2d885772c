"""The page of a bench report: answers first, then fronts, table, layers, crops, and how it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .document import document, embedded_json, write_document
from .recommend import recommend

STYLES = ("base.css", "slider.css", "page.css")
SCRIPTS = ("dom.js", "slider.js", "numbers.js", "answers.js", "plot.js", "table.js", "layers.js", "crops.js", "page.js")


def write_page(report: Mapping[str, Any], path: Path) -> None:
    """Write a bench report as one HTML file that works from a disk, without a network, and on paper.

    report: JSON-serialisable; every value may be None where it was not measured. Sizes are in bytes, qualities in dB
    (`psnr_y`, and `fidelity`, the PSNR to the uncompressed network's own output) or of 0..1, speeds in megapixels a
    second, times in seconds; `crops` hold PNG, JPEG or WebP data URIs. An existing file is replaced, in one step.
    Raises OutputError if it can't be written, TypeError for values that JSON has no form for.
    """
    title = str(report.get("title") or "Compression lab")
    data = embedded_json({"report": report, "recommendations": recommend(report)})
    write_document(document("page.html", STYLES, SCRIPTS, title, {"data": [data]}), path)
