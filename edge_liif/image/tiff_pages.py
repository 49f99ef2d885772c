"""The structure of a TIFF file before decoding: how many pictures it holds, of what kind, in strips of what size."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from edge_liif.errors import ImageError
from edge_liif.image.containers import damaged
from edge_liif.image.source import EncodedSource
from edge_liif.image.tiff_tags import Directory, Layout, integers, read_fields, read_layout, read_table

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC = 0x00FE, 0x0100, 0x0101, 0x0102, 0x0106
_SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT, _DNG_VERSION = 0x0115, 0x0116, 0x0142, 0x0143, 0xC612
_COMPRESSION, _SAMPLE_FORMAT = 0x0103, 0x0153
_YCBCR, _LAB_KINDS, _JPEG_COMPRESSIONS, _FLOATING_POINT = 6, (8, 9, 10), (6, 7), 3
_COLOUR_FILTER_ARRAY, _LINEAR_RAW, _LOG_L, _LOG_LUV = 32803, 34892, 32844, 32845
_MOST_DIRECTORIES = 100
# libtiff takes a millisecond for each that it does not know.
_MOST_FIELDS = 8192
_SIZES = (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT)
_STRUCTURE = frozenset((*_SIZES, _SUBFILE, _PHOTOMETRIC, _COMPRESSION, _SAMPLE_FORMAT, _DNG_VERSION))
# Values that share bytes of the file are allowed within reason: many fields may point to one string.
_SHARED_VALUES = 1 << 20
# Small pictures in tiles of the usual sizes stay below this.
_LEAST_STRIP_BOUND = 64 << 20


@dataclass(frozen=True)
class TiffInfo:
    """strip_bytes: decoded size in bytes of one strip, or of one row of tiles; metadata_bytes: of the values of all
    directories' fields, as libtiff holds them."""

    strip_bytes: int
    metadata_bytes: int


def scan_tiff(source: EncodedSource) -> TiffInfo:
    """Follow the directories of a TIFF.

    Raises ImageError for several pages (reduced-resolution copies and masks aside), camera raw files, HDR colour
    encodings, Lab, uncompressed YCbCr, directories that lie outside the file, and fields that are larger than it.
    """
    name = source.name
    try:
        layout, offset = read_layout(source.pread)
        directories = _directories(source, layout, offset)
        first, (stored, held) = next(directories)
        pages = 1
        for fields, value_bytes in directories:
            stored, held = stored + value_bytes[0], held + value_bytes[1]
            # Bit 0: a smaller copy of another page; bit 2: a transparency mask.
            pages += not (integers(fields, layout, _SUBFILE) or [0])[0] & 5
    except (ValueError, struct.error) as error:
        raise damaged(name, str(error)) from error
    if stored > source.size + _SHARED_VALUES:
        raise damaged(name, "its fields state more bytes than the file has")
    photometric = (integers(first, layout, _PHOTOMETRIC) or [0])[0]
    canon_raw = source.pread(8, 2) == b"CR"
    # A raw file's first directory is often its thumbnail, which must not be taken for the photograph.
    preview_first = (integers(first, layout, _SUBFILE) or [0])[0] & 1
    if canon_raw or preview_first or _DNG_VERSION in first or photometric in (_COLOUR_FILTER_ARRAY, _LINEAR_RAW):
        raise ImageError(f"{name}: is a camera raw file; develop it to TIFF or PNG first")
    if photometric in _LAB_KINDS:
        raise ImageError(f"{name}: is in the colour space Lab; convert it to RGB first")
    compression = (integers(first, layout, _COMPRESSION) or [1])[0]
    if photometric == _YCBCR and compression not in _JPEG_COMPRESSIONS:
        raise ImageError(f"{name}: is in YCbCr without JPEG compression; convert it to RGB first")
    if photometric in (_LOG_L, _LOG_LUV) or _FLOATING_POINT in integers(first, layout, _SAMPLE_FORMAT):
        raise ImageError(f"{name}: has floating-point (HDR) samples; tone-map it to 8 or 16 bit first")
    if pages > 1:
        raise ImageError(f"{name}: is a TIFF of {pages} pages; extract one of them")
    strip, picture = _strip_bytes(first, layout)
    if strip > 4 * picture + _LEAST_STRIP_BOUND:
        raise damaged(name, "its tiles are far larger than the picture")
    return TiffInfo(strip, held)


def _directories(source: EncodedSource, layout: Layout, offset: int) -> Iterator[tuple[Directory, tuple[int, int]]]:
    """(what it says about structure, `Table.value_bytes`) of each directory from the one at `offset` on. Raises
    ValueError for one that is cut or for more than _MOST_FIELDS in all, ImageError for more than _MOST_DIRECTORIES."""
    seen: set[int] = set()
    entries = 0
    while not seen or (offset and offset not in seen):
        if len(seen) == _MOST_DIRECTORIES:
            raise ImageError(f"{source.name}: is a TIFF of more than {_MOST_DIRECTORIES} pictures; extract one of them")
        seen.add(offset)
        table = read_table(source.pread, layout, offset)
        entries += len(table.entries)
        if entries > _MOST_FIELDS:
            raise ValueError(f"its directories state {entries} fields")
        yield read_fields(source.pread, layout, table, _STRUCTURE), table.value_bytes(source.size)
        offset = table.following


def _strip_bytes(fields: Directory, layout: Layout) -> tuple[int, int]:
    """Decoded bytes of one strip or one row of tiles, and of the whole picture."""

    def first_of(tag: int, default: int) -> int:
        return (integers(fields, layout, tag) or [default])[0]

    width, height = first_of(_WIDTH, 0), first_of(_HEIGHT, 0)
    pixel = first_of(_SAMPLES, 1) * max(8, max(integers(fields, layout, _BITS), default=8)) // 8
    tile_width = first_of(_TILE_WIDTH, 0)
    if tile_width:
        across = -(-width // tile_width) * tile_width
        return across * first_of(_TILE_HEIGHT, height) * pixel, width * height * pixel
    return width * min(height, first_of(_ROWS, height)) * pixel, width * height * pixel
