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
_MOST_CHUNKS = 1000


def kept_bytes(held: int, metadata: int) -> int:
    """Bytes beside the pixels that are in memory from opening a picture until its result is written: what is held of
    its file, and the copies of its metadata."""
    return held + COPIES * metadata


def packed_text(source: EncodedSource, kind: bytes, offset: int, length: int) -> int | None:
    """Where the deflated text or profile in a PNG chunk of `length` bytes at `offset` begins; None if it has none.

    kind: iCCP, zTXt or iTXt (PNG specification, 11.3.3 and 11.3.4).
    """
    end = offset + length
    keyword = _behind_nul(source, offset, end)
    if keyword is None or kind != b"iTXt":  # a byte that says how it is packed lies between
        return None if keyword is None else keyword + 1
    if source.pread(keyword, 1) != b"\1":
        return None
    language = _behind_nul(source, keyword + 2, end)
    return None if language is None else _behind_nul(source, language, end)


def _behind_nul(source: EncodedSource, start: int, end: int) -> int | None:
    """Offset behind the first NUL from `start` on; None if there is none before `end`."""
    for at in range(start, end, _PIECE):
        place = source.pread(at, min(_PIECE, end - at)).find(b"\0")
        if place >= 0:
            return at + place + 1
    return None


def inflated_bytes(source: EncodedSource, start: int, end: int, before: int) -> int:
    """Bytes that the deflated stream from `start` to `end` unpacks to.

    before: bytes that earlier ones of the same picture unpacked to. Raises ImageError where all are more than
    LARGEST_INFLATED. What can't be unpacked is the decoder's to judge, and counts as far as it went.
    """
    stream, total = zlib.decompressobj(), 0
    try:
        for at in range(start, end, _PIECE):
            waiting = source.pread(at, min(_PIECE, end - at))
            while waiting and not stream.eof:
                total += len(stream.decompress(waiting, _PIECE))
                waiting = stream.unconsumed_tail
                if before + total > LARGEST_INFLATED:
                    raise ImageError(
                        f"{source.name}: its metadata unpacks to more than {LARGEST_INFLATED >> 20} MiB; "
                        "save the picture without it"
                    )
            if stream.eof:
                break
    except zlib.error:
        pass
    return total


def webp_metadata_bytes(source: EncodedSource) -> int:
    """Bytes of the colour profile, EXIF and XMP chunks of a WebP (RFC 9649, section 2.7)."""
    total, offset = 0, 12
    for _ in range(_MOST_CHUNKS):
        head = source.pread(offset, 8)
        if len(head) < 8:
            return total
        length = int.from_bytes(head[4:], "little")
        if head[:4] in (b"ICCP", b"EXIF", b"XMP "):
            total += min(length, source.size)
        offset += 8 + length + length % 2
    # Nobody writes so many; what is left is no more than the file.
    return total + max(0, source.size - offset)
