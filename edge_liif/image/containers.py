"""What libvips doesn't report, or not in time, about PNG, JPEG, GIF, BMP and PNM files: read from their headers without
decoding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edge_liif.errors import ImageError
from edge_liif.image.jpeg_tables import quality_of, quantization_tables
from edge_liif.image.metadata import inflated_bytes, packed_text
from edge_liif.image.source import EncodedSource


def damaged(name: str, detail: str) -> ImageError:
    """The error for a file that ends early or whose structure is broken."""
    return ImageError(f"{name}: is truncated or damaged ({detail}); copy or download it again")


_PRIVATE = 0x20  # in the second letter of a chunk's name


@dataclass(frozen=True)
class PngInfo:
    """metadata_bytes: of all chunks that aren't pixels, unpacked; private ones, which decoders pass by, left out."""

    interlaced: bool
    animated: bool
    metadata_bytes: int


def scan_png(source: EncodedSource) -> PngInfo:
    """Walk the chunks of a PNG from start to IEND, reading only their headers and compressed metadata.

    Raises ImageError if a chunk runs past the end of the file or IEND is missing: a decoder is content once it has
    all pixels, but a file without its end was cut. Also for metadata that unpacks to more than LARGEST_INFLATED.
    """
    offset, metadata, inflated = 8, 0, 0
    interlaced = animated = seen_data = False
    while True:
        head = source.pread(offset, 8)
        if len(head) < 8:
            raise damaged(source.name, "the PNG ends before its IEND chunk")
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if offset == 8 and (kind != b"IHDR" or length != 13):
            raise damaged(source.name, "the PNG doesn't start with an IHDR chunk")
        if offset + 12 + length > source.size:
            raise damaged(source.name, "the PNG ends inside a chunk")
        if kind == b"IHDR":
            interlaced = source.pread(offset + 20, 1) == b"\x01"
        elif kind == b"acTL":
            animated = True
        elif kind == b"IDAT":
            seen_data = True
        elif kind == b"IEND":
            if not seen_data:
                raise damaged(source.name, "the PNG has no IDAT chunk")
            return PngInfo(interlaced, animated, metadata + inflated)
        elif not kind[1] & _PRIVATE:
            metadata += length
            start = packed_text(source, kind, offset + 8, length) if kind in (b"iCCP", b"zTXt", b"iTXt") else None
            if start is not None:
                inflated += inflated_bytes(source, start, offset + 8 + length, inflated)
        offset += 12 + length


@dataclass(frozen=True)
class JpegInfo:
    """metadata_bytes: of the application and comment segments before the first scan; all that is left of the file where
    no marker stands in its place, for decoders look for the next one."""

    components: int
    precision: int
    progressive: bool
    quality: int | None
    metadata_bytes: int


def scan_jpeg(source: EncodedSource) -> JpegInfo:
    """Walk the marker segments of a JPEG up to its first scan. Raises ImageError if there is no frame header."""
    tables: dict[int, tuple[int, ...]] = {}
    metadata = 0
    segments = _jpeg_segments(source)
    for marker, start, length in segments:
        metadata += _metadata_bytes(marker, length)
        if marker in (0xD9, 0xDA):
            raise damaged(source.name, "the JPEG has no frame header")
        if marker == 0xDB:
            tables |= quantization_tables(source.pread(start, length))
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            break
    frame = source.pread(start, 9)
    if len(frame) < 6:
        raise damaged(source.name, "the JPEG ends inside its frame header")
    # The first component, luma in all but RGB files, says which table is its own.
    luma = frame[8] if len(frame) == 9 else 0
    # Tables and metadata may also stand behind the frame header. What is wrong there is the decoder's to judge.
    place = start
    try:
        for later, place, size in segments:
            if later in (0xD9, 0xDA):
                break
            metadata += _metadata_bytes(later, size)
            if later == 0xDB and luma not in tables:
                tables |= quantization_tables(source.pread(place, size))
    except ImageError:
        metadata += max(0, source.size - place)
    quality = quality_of(tables[luma]) if luma in tables else None
    return JpegInfo(frame[5], frame[0], marker in (0xC2, 0xC6, 0xCA, 0xCE), quality, metadata)


def _metadata_bytes(marker: int, length: int) -> int:
    return length if 0xE0 <= marker <= 0xEF or marker == 0xFE else 0


_FILL_PIECE = 64
_LARGEST_FILL_PIECE = 1 << 20


def _jpeg_segments(source: EncodedSource) -> Iterator[tuple[int, int, int]]:
    """(marker, offset of its contents, their length) of every segment; what follows SOS or EOI is not made of segments,
    so stop there. Raises ImageError where the file ends or no marker follows."""
    offset, piece = 2, _FILL_PIECE
    while True:
        head = source.pread(offset, 4)
        if len(head) < 4:
            raise damaged(source.name, "the JPEG ends before its frame header")
        if head[0] != 0xFF:
            raise damaged(source.name, "a JPEG marker is missing")
        marker = head[1]
        if marker == 0xFF:  # fill bytes
            block = source.pread(offset + 1, piece)
            fill = len(block) - len(block.lstrip(b"\xff"))
            piece = min(2 * piece, _LARGEST_FILL_PIECE) if fill == piece else _FILL_PIECE
            offset += fill
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a segment
            offset += 2
            continue
        length = int.from_bytes(head[2:4], "big")
        if length < 2:
            raise damaged(source.name, "the JPEG has no frame header")
        yield marker, offset + 4, length - 2
        offset += 2 + length


def gif_is_animated(data: bytes) -> bool:
    """Whether a GIF has a second image (GIF89a, appendix A); of damaged ones, as far as they can be followed.

    A decoder makes a table of all of them before it tells how many there are: seven times what the file takes.
    """
    images, at = 0, 13 + _colour_table(data[10:11])
    while True:
        kind = data[at : at + 1]
        if kind == b"\x2c":
            images += 1
            if images > 1:
                return True
            at += 11 + _colour_table(data[at + 9 : at + 10])
        elif kind == b"\x21":
            at += 2
        else:
            return False
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1


def _colour_table(flags: bytes) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


@dataclass(frozen=True)
class RasterInfo:
    """A BMP or PNM header. keeps_alpha: only for a BMP whose header declares an alpha mask."""

    width: int
    height: int
    bands: int
    depth: int
    keeps_alpha: bool = False


def scan_bmp(source: EncodedSource) -> RasterInfo:
    """Read a BMP header. Raises ImageError for kinds that can't be decoded and if pixels are missing."""
    head = source.pread(0, 138)
    size = int.from_bytes(head[14:18], "little")
    if len(head) < 14 + size:
        raise damaged(source.name, "the BMP ends inside its header")
    if size == 12:
        width, height = int.from_bytes(head[18:20], "little"), int.from_bytes(head[20:22], "little")
        bits, compression = int.from_bytes(head[24:26], "little"), 0
    else:
        width = int.from_bytes(head[18:22], "little", signed=True)
        height = abs(int.from_bytes(head[22:26], "little", signed=True))
        bits, compression = int.from_bytes(head[28:30], "little"), int.from_bytes(head[30:34], "little")
    if width <= 0 or height == 0:
        raise damaged(source.name, "the BMP header states no pixels")
    if compression not in (0, 1, 2, 3):
        raise ImageError(f"{source.name}: is a BMP with an embedded {_BMP_EMBEDDED.get(compression, 'codec')}; use PNG")
    start = int.from_bytes(head[10:14], "little")
    if compression in (0, 3) and start + (width * bits + 31) // 32 * 4 * height > source.size:
        raise damaged(source.name, "the BMP ends before its last row")
    alpha = bits == 32 and compression == 3 and size >= 56 and head[66:70] != b"\0\0\0\0"
    return RasterInfo(width, height, 4 if alpha else 3, 8, alpha)


_BMP_EMBEDDED = {4: "JPEG", 5: "PNG"}


def scan_pnm(source: EncodedSource) -> RasterInfo:
    """Read a PNM header (P1..P6). Raises ImageError for sample ranges but 255 and 65535, and if pixels are missing."""
    head = source.pread(0, 4096)
    kind = head[1:2]
    bitmap = kind in b"14"
    tokens = re.match(rb"P[1-6]" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * (2 if bitmap else 3) + rb"\s", head)
    if tokens is None:
        raise damaged(source.name, "the PNM header is incomplete")
    width, height = int(tokens[1]), int(tokens[2])
    top = 1 if bitmap else int(tokens[3])
    if width == 0 or height == 0:
        raise damaged(source.name, "the PNM header states no pixels")
    if not bitmap and top not in (255, 65535):
        raise ImageError(f"{source.name}: its samples end at {top}, not 255 or 65535; convert it to PNG")
    bands, depth = (3 if kind in b"36" else 1), (16 if top == 65535 else 8)
    row = (width + 7) // 8 if bitmap else width * bands * depth // 8
    # A plain (text) file takes at least a digit a sample, and all but bitmaps a separator too.
    least = row * height if kind in b"456" else width * height * bands * (1 if bitmap else 2) - 1
    if tokens.end() + least > source.size:
        raise damaged(source.name, "the PNM ends before its last row")
    return RasterInfo(width, height, bands, depth)
