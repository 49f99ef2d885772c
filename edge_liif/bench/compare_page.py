"""A page for one enlarged picture: the same picture before and after, with a divider to drag."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .document import data_uri, document, embedded_json, write_document

STYLES = ("base.css", "slider.css")
SCRIPTS = ("dom.js", "slider.js", "compare.js")


def write_compare_page(
    before: bytes, after: bytes, facts: Mapping[str, str], path: Path, *, overwrite: bool = True
) -> None:
    """Write one HTML file with both pictures inside.

    before, after: PNG files of one size (JPEG and WebP are taken too); transparency shows a checkerboard. facts: lines
    of "name: text" below them; "title" is the page's title, "before" and "after" are what the sides are called.
    The file appears only when it is whole. Raises OutputError if it can't be written, or exists and overwrite is False,
    ValueError for bytes that are no such picture.
    """
    lines = dict(facts)
    names = {side: lines.pop(side, side) for side in ("before", "after")}
    title = lines.pop("title", "Before and after")
    data = {
        "data": [embedded_json({"names": names, "facts": lines})],
        "before": data_uri(before),
        "after": data_uri(after),
    }
    write_document(document("compare.html", STYLES, SCRIPTS, title, data), path, overwrite)
