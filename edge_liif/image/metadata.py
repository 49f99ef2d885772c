"""How many bytes of metadata (colour profile, EXIF, XMP, comments) decoding a picture unpacks into memory.

They are no part of the pixels: a small file can hold a large profile, compressed, and a layered TIFF carries hundreds
of megabytes that no picture program shows.
"""

from __future__ import annotations

import zlib

from edge_liif.errors import ImageError
from edge_liif.image.source import EncodedSource

LARGEST_INFLATED = 64 << 20
"""Bytes that the compressed metadata of one picture may unpack to; profiles rarely have as much as two megabytes."""
COPIES = 4
"""Copies of all metadata that decoder, program and encoder hold at a time; measured: 3.5."""

_PIECE = 1 << 20


def inflated_bytes(source: EncodedSource, kind: bytes, offset: int, length: int, before: int) -> int:
    """Bytes of the text or profile in a PNG chunk of `length` bytes at `offset`, unpacked.

    kind: iCCP, zTXt or iTXt; before: bytes that earlier chunks unpacked to. Raises ImageError where all are more than
    LARGEST_INFLATED. What can't be unpacked is the decoder's to judge, and counts as far as it went.
    """
    head = source.pread(offset, min(length, 4096))
    start = head.find(b"\0") + 2
    if kind == b"iTXt":
        if head[start - 1 : start] != b"\1":
            return length
        start += 1
        for _ in ("language", "translated keyword"):
            start = head.find(b"\0", start) + 1
    if start < 2:  # no keyword; the decoder will say so
        return length
    stream, total = zlib.decompressobj(), 0
    try:
        for at in range(offset + start, offset + length, _PIECE):
            waiting = source.pread(at, min(_PIECE, offset + length - at))
            while waiting and not stream.eof:
                total += len(stream.decompress(waiting, _PIECE))
                waiting = stream.unconsumed_tail
                if before + total > LARGEST_INFLATED:
                    raise ImageError(
                        f"{source.name}: its metadata unpacks to more than {LARGEST_INFLATED >> 20} MiB; "
                        "save the picture without it"
                    )
    except zlib.error:
        pass
    return total


def webp_metadata_bytes(source: EncodedSource) -> int:
    """Bytes of the colour profile, EXIF and XMP chunks of a WebP (RFC 9649, section 2.7)."""
    total, offset = 0, 12
    while len(head := source.pread(offset, 8)) == 8:
        length = int.from_bytes(head[4:], "little")
        if head[:4] in (b"ICCP", b"EXIF", b"XMP "):
            total += min(length, source.size)
        offset += 8 + length + length % 2
    return total
