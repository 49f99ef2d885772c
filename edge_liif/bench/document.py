"""One HTML file that needs nothing beside it: assets and data put together, written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..image.part_file import PartFile, os_reason
from ..image.source import printable

_BASE64_STEP = 3 << 18
"""Bytes turned into base64 at once; a multiple of 3, so that the pieces join."""


def document(
    skeleton: str, styles: Sequence[str], scripts: Sequence[str], title: str, data: Mapping[str, Iterable[str]]
) -> Iterator[str]:
    """The page whose body is `skeleton`, its styles and scripts inside, in pieces; all are names of files in `assets/`.

    title: put in as text, never as HTML. data: what stands where the skeleton says @@name@@, in pieces and as it is:
    `embedded_json` or `data_uri`. A content security policy in the page forbids it to load anything, and to run any
    script but this one.
    """
    script = '(() => {\n"use strict";\n' + "\n".join(map(_asset, scripts)) + "})();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts: dict[str, Iterable[str]] = {
        "title": [html.escape(" ".join(title.split()))],
        "style": ["\n".join(map(_asset, styles))],
        "script": [script],
        "policy": [
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
            f"script-src 'sha256-{digest}'"
        ],
        **data,
    }
    # Texts and names of what stands between them take turns; what is put in is not searched.
    for number, piece in enumerate(re.split(r"@@(\w+)@@", _asset("head.html") + _asset(skeleton))):
        yield from parts[piece] if number % 2 else [piece]


def _asset(name: str) -> str:
    """The text of a file in `assets/`."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def embedded_json(value: Any) -> str:
    """JSON that can stand inside a <script> element, whatever strings it holds. NaN becomes null, an infinite number
    the string "inf" or "-inf", because JSON has neither."""
    text = json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    # Only strings can hold these characters; no </script> and no <!-- is left.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def data_uri(picture: bytes) -> Iterator[str]:
    """A PNG, JPEG or WebP file as a data URI, in pieces, so that the whole text is never in memory.

    Raises ValueError for other bytes: a browser would not show them.
    """
    yield f"data:{_media_type(picture)};base64,"
    for start in range(0, len(picture), _BASE64_STEP):
        yield base64.b64encode(picture[start : start + _BASE64_STEP]).decode("ascii")


def write_document(pieces: Iterable[str], path: Path, overwrite: bool = True) -> None:
    """Write text in UTF-8 under `path`, which changes only when everything is written.

    Raises OutputError if the file can't be written, or exists and overwrite is False.
    """
    part = PartFile(path, overwrite)
    try:
        for piece in pieces:
            # lone surrogates, from file names in no known encoding, have no UTF-8
            data = memoryview(piece.encode("utf-8", "replace"))
            while data:
                data = data[os.write(part.fd, data) :]
        part.commit()
    except OSError as error:
        raise OutputError(f"{printable(str(path))}: can't be written ({os_reason(error)})") from error
    finally:
        part.discard()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def _media_type(picture: bytes) -> str:
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if picture.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    raise ValueError("neither PNG nor JPEG nor WebP")
