"""Was this picture JPEG-compressed, and how hard? By its quantization tables, or by the blocks in its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_liif.image.blocking import SMALLEST_SIDE, Blocking, blocking, grid_votes, luma16
from edge_liif.image.picture import Header
from edge_liif.image.read import read_top

LARGEST_LOOK = 1 << 20
"""Pixels that are looked at: 2 MiB of luma and about 15 MiB of work for a moment."""
_WIDEST_LOOK = 2048
# Rows are decoded in full width even where their middle is all that is looked at; this bounds the time.
_DECODED = 2 << 20
# Decoders that hold the whole picture, or a strip of it, would take more memory than a look is worth.
_LARGEST_STRIP = 16 << 20
# The grid of a JPEG file's own quality above 90 scores up to 0.27.
_BEYOND_OWN_GRID = 0.33


@dataclass(frozen=True)
class JpegTraces:
    """What was found. quality: libjpeg's 1..100 by the tables of a JPEG file, None for other files; score: of the
    blocking in the pixels, 0..1, None where it was not looked for or can't be told; blocked_quality: 1..100 (rough)
    where there is more blocking than clean pictures and the file's own tables explain, else None."""

    quality: int | None = None
    score: float | None = None
    blocked_quality: int | None = None


def jpeg_traces(source: bytes | Path, header: Header, enough: int) -> JpegTraces:
    """Look at a picture, its `header` known from `probe`. Never raises for a bad one: what can't be told is None.

    enough: a JPEG file of this quality or lower is not looked at further; of others at most LARGEST_LOOK pixels at the
    top are decoded. A small interlaced or progressive picture is decoded whole, a large one is not looked at.
    """
    if header.format == "jpeg" and header.jpeg_quality is not None and header.jpeg_quality <= enough:
        return JpegTraces(header.jpeg_quality)
    try:
        score, quality = _pixels(source, header)
    except Exception:
        # A look must not fail a run. What is wrong with the picture is said when it is read to be enlarged.
        score, quality = None, None
    return JpegTraces(header.jpeg_quality, score, quality)


def _pixels(source: bytes | Path, header: Header) -> tuple[float | None, int | None]:
    """(score, quality) of the blocking."""
    width = header.height if header.orientation >= 5 else header.width
    if min(header.width, header.height) < SMALLEST_SIDE:
        return None, None
    if (header.needs_whole and header.pixels > _DECODED) or header.strip_bytes > _LARGEST_STRIP:
        return None, None
    columns = min(width, _WIDEST_LOOK)
    rows = min(LARGEST_LOOK // columns, max(64, _DECODED // width))
    luma = luma16(read_top(source, rows=rows, columns=columns))
    votes = grid_votes(luma)
    found = blocking(votes)
    if header.format != "jpeg" or found is None:
        return (None, None) if found is None else (found.score, found.quality)
    # A JPEG file has a grid of its own, at 0. An older one shows at another place, or by being stronger.
    older = blocking(votes, without=0) or Blocking(0.0, False)
    if found.score >= _BEYOND_OWN_GRID:
        return found.score, found.quality
    return found.score, older.quality
