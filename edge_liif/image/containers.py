"""What libvips doesn't report about PNG, JPEG, BMP and PNM files, read from their headers without decoding."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_liif.errors import ImageError
from edge_liif.image.source import EncodedSource


def damaged(name: str, detail: str) -> ImageError:
    """The error for a file that ends early or whose structure is broken."""
    return ImageError(f"{name}: is truncated or damaged ({detail}); copy or download it again")


@dataclass(frozen=True)
class PngInfo:
    interlaced: bool
    animated: bool


def scan_png(source: EncodedSource) -> PngInfo:
    """Walk the chunks of a PNG from start to IEND, reading only their headers.

    Raises ImageError if a chunk runs past the end of the file or IEND is missing: a decoder is content once it has
    all pixels, but a file without its end was cut.
    """
    offset = 8
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
            return PngInfo(interlaced, animated)
        offset += 12 + length


@dataclass(frozen=True)
class JpegInfo:
    components: int
    precision: int
    progressive: bool
    quality: int | None


# The luminance quantization table of ITU-T T.81, Annex K, table K.1, which encoders scale by quality.
# fmt: off
_K1 = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)
# fmt: on


def scan_jpeg(source: EncodedSource) -> JpegInfo:
    """Walk the marker segments of a JPEG up to its frame header. Raises ImageError if there is none."""
    offset = 2
    quality: int | None = None
    while True:
        head = source.pread(offset, 4)
        if len(head) < 4:
            raise damaged(source.name, "the JPEG ends before its frame header")
        if head[0] != 0xFF:
            raise damaged(source.name, "a JPEG marker is missing")
        marker = head[1]
        if marker == 0xFF:  # fill byte
            offset += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a segment
            offset += 2
            continue
        length = int.from_bytes(head[2:4], "big")
        if marker in (0xD9, 0xDA) or length < 2:
            raise damaged(source.name, "the JPEG has no frame header")
        if marker == 0xDB:
            quality = quality or _quality(source.pread(offset + 4, length - 2))
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = source.pread(offset + 4, 6)
            if len(frame) < 6:
                raise damaged(source.name, "the JPEG ends inside its frame header")
            return JpegInfo(frame[5], frame[0], marker in (0xC2, 0xC6, 0xCA, 0xCE), quality)
        offset += 2 + length


def _quality(tables: bytes) -> int | None:
    """Quality 1..100 on the scale of the Independent JPEG Group from the luminance table, None if it isn't there."""
    if not tables or tables[0] & 0x0F:
        return None
    wide = tables[0] >> 4
    body = tables[1 : 1 + 64 * (2 if wide else 1)]
    if len(body) < 64 * (2 if wide else 1):
        return None
    values = [int.from_bytes(body[i : i + 2], "big") for i in range(0, 128, 2)] if wide else list(body)
    return min(range(1, 101), key=lambda quality: abs(sum(values) - _table_sum(quality)))


def _table_sum(quality: int) -> int:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(min(255, max(1, (value * scale + 50) // 100)) for value in _K1)


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
