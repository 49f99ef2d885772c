"""The formats that results are written in: what each can hold, and what is checked before any work starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edge_liif.errors import OutputError, UsageError
from edge_liif.image.picture import Header
from edge_liif.image.source import printable

Background = tuple[int, int, int]


@dataclass(frozen=True)
class Format:
    """name: as in `Header.format`; title: for messages; max_side: pixels; depths: bits a sample that it holds."""

    name: str
    title: str
    extensions: tuple[str, ...]
    max_side: int
    depths: tuple[int, ...]
    alpha: bool


# Their encoder goes back in what it has written, so that what goes to a stream waits in a file until it is whole.
SPOOLED = frozenset({"tiff"})

# libpng itself reads back at most 1,000,000 pixels a side unless told otherwise; libvips and TIFF readers go up to
# VIPS_MAX_COORD, 10,000,000 in the releases in use.
FORMATS = {
    "png": Format("png", "PNG", (".png",), 1_000_000, (8, 16), True),
    "jpeg": Format("jpeg", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), 65_535, (8,), False),
    "tiff": Format("tiff", "TIFF", (".tif", ".tiff"), 10_000_000, (8, 16), True),
    "webp": Format("webp", "WebP", (".webp",), 16_383, (8,), True),
}

# Classic TIFF holds 32-bit offsets; what deflate can't shrink, the tables and the metadata must fit beside the pixels.
BIGTIFF_BYTES = 3_500_000_000

# Measured with pyvips-binary 8.18: see tests/image/test_memory.py, which fails when they are exceeded.
_WRITER_BASE_BYTES = 24 << 20
_WRITER_ROWS = 1300
_WEBP_LOSSY_BYTES = 24
_WEBP_FULL_BYTES = 48


@dataclass(frozen=True)
class OutputPlan:
    """What will be written: bands and depth after what the format can't hold was removed; warnings say what was."""

    format: str
    width: int
    height: int
    bands: int
    depth: int
    background: Background | None = None
    bigtiff: bool = False
    warnings: list[str] = field(default_factory=list)


def format_for(path: str | Path | None, explicit: str | None, input_header: Header | None) -> str:
    """The format to write, a key of FORMATS.

    explicit: a format or extension that the user named; else path's extension decides; for a stream (path None or
    "-"), the input's own format where it can be written, else PNG.
    Raises UsageError for an unknown `explicit`, OutputError for an extension that can't be written.
    """
    if explicit is not None:
        wanted = "." + explicit.lower().lstrip(".")
        for known in FORMATS.values():
            if wanted == "." + known.name or wanted in known.extensions:
                return known.name
        raise UsageError(f"{printable(explicit)}: isn't a format that can be written; use {', '.join(FORMATS)}")
    if path is None or str(path) == "-":
        return input_header.format if input_header is not None and input_header.format in FORMATS else "png"
    extension = Path(path).suffix.lower()
    for known in FORMATS.values():
        if extension in known.extensions:
            return known.name
    what = f"the extension {printable(extension)} can't be written" if extension else "has no extension"
    raise OutputError(f"{printable(str(path))}: {what}; use {_listed()}")


def check_output(
    fmt: str, width: int, height: int, bands: int, depth: int, background: Background | None = None
) -> OutputPlan:
    """Check a result of width x height pixels, bands 1..4 and depth 8 or 16 against format `fmt` before work starts.

    background: RGB 0..255 to put under transparent pixels; then the result has no alpha.
    Raises OutputError for sides that are too long and for alpha in a format without it.
    """
    known = FORMATS[fmt]
    side = max(width, height)
    if min(width, height) < 1:
        raise OutputError(f"{width}x{height}: a picture needs at least one pixel a side; use a larger scale")
    if side > known.max_side:
        larger = [
            f.extensions[0] for f in FORMATS.values() if f.max_side >= side and f.name != fmt and f.depths[-1] == 16
        ]
        advice = f"use {' or '.join(larger)}" if larger else "use a smaller scale"
        raise OutputError(
            f"{width}x{height}: too large, {known.title} holds at most {known.max_side:,} px a side; {advice}"
        )
    warnings = []
    if bands in (2, 4) and background is not None:
        if bands == 2 and len(set(background)) == 1:
            bands = 1
        else:
            bands = 3
    elif bands in (2, 4) and not known.alpha:
        keeps = ", ".join(f.extensions[0] for f in FORMATS.values() if f.alpha)
        raise OutputError(
            f"{known.title} can't hold transparency; use {keeps} or put a colour under it with --background '#ffffff'"
        )
    if depth not in known.depths:
        warnings.append(f"{known.title} holds 8 bits a sample; the result is reduced from {depth} bits")
        depth = 8
    big = fmt == "tiff" and width * height * bands * (depth // 8) > BIGTIFF_BYTES
    return OutputPlan(fmt, width, height, bands, depth, background, big, warnings)


def writer_peak_bytes(fmt: str, width: int, height: int, bands: int, depth: int, *, lossless: bool = False) -> int:
    """The most memory in bytes that `RowWriter` takes beside the rows it is given; an upper estimate.

    PNG, JPEG and TIFF are streamed: libvips holds about 850 rows (TIFF 1,100) in its caches. WebP holds the whole
    picture: 24 bytes a pixel, and 48 with alpha (whose plane is always coded without loss) or with `lossless`.
    """
    peak = _WRITER_BASE_BYTES + min(height, _WRITER_ROWS) * width * bands * (depth // 8)
    if fmt == "webp":
        peak += width * height * (_WEBP_FULL_BYTES if lossless or bands in (2, 4) else _WEBP_LOSSY_BYTES)
    return peak


def _listed() -> str:
    return ", ".join(known.extensions[0] for known in FORMATS.values())
