"""Where temporary files go, and whether a disk has room for a result, as far as that can be told before it is made."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edge_liif.errors import OutputError
from edge_liif.image.formats import OutputPlan
from edge_liif.image.source import printable

# Of the raw samples: the largest of three Kodak photographs enlarged three times.
_SHARE = {"png": 0.5, "tiff": 0.6, "jpeg": 0.15, "webp": 0.1}
# The lower half of 16-bit samples hardly compresses; lossless WebP does a little better than PNG.
_DEEP_SHARE, _LOSSLESS_SHARE = 0.9, 0.45


def likely_bytes(output: OutputPlan, lossless: bool = False) -> int:
    """What a result will take on the disk if it is a detailed photograph."""
    share = _SHARE[output.format]
    if output.depth == 16:
        share = _DEEP_SHARE
    elif lossless and output.format == "webp":
        share = _LOSSLESS_SHARE
    return int(share * output.width * output.height * output.bands * (output.depth // 8))


def temporary_folder() -> Path:
    """Where files wait when the result goes to a stream: what TMPDIR names, else a folder that is likely a disk.

    Raises OutputError if there is none."""
    if not os.environ.get("TMPDIR") and os.access("/var/tmp", os.W_OK):
        return Path("/var/tmp")
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise OutputError("no folder for temporary files can be written to; let TMPDIR name one") from error


def space_warning(folder: Path, needed: int) -> str | None:
    """A line for the user if less than `needed` bytes are free in `folder`, or where it will be made; None where that
    can't be told."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        disk = os.statvfs(folder)
    except (OSError, ValueError):
        return None
    free = disk.f_bavail * disk.f_frsize
    if free >= needed:
        return None
    return (
        f"{printable(str(folder))} has {free / 2**20:,.0f} MiB free, and this may take {needed / 2**20:,.0f} MiB; "
        "if it doesn't fit, nothing will be left of it"
    )
