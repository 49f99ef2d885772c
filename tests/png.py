"""PNG files made chunk by chunk (PNG specification, section 5), for what no encoder writes."""

from __future__ import annotations

import struct
import zlib

Chunk = tuple[bytes, bytes]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(*chunks: Chunk) -> bytes:
    """A PNG of these chunks (kind, data), and the IEND that ends it."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in (*chunks, (b"IEND", b"")))


def with_chunks(png: bytes, *chunks: Chunk) -> bytes:
    """`png` with further chunks behind its IHDR."""
    return png[:33] + b"".join(png_chunk(kind, data) for kind, data in chunks) + png[33:]


def png_bomb(side: int) -> bytes:
    """A PNG of a few hundred bytes that claims side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return png_file((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))))
