"""Rows on their way into libvips: an uncompressed PNG, made as it is read.

PNG (stored deflate blocks, filter 0) is the one format of this libvips build that can be read from a stream row by
row, so it is what carries finished rows to the encoders.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


class PngEncoder:
    """Encodes rows (n, width, bands) of uint8 (depth 8) or uint16 (depth 16) as they come."""

    def __init__(self, width: int, height: int, bands: int, depth: int) -> None:
        self._deflate = zlib.compressobj(0)
        self._header = struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPE[bands], 0, 0, 0)
        self._row_bytes = width * bands * depth // 8
        self._depth = depth

    def start(self) -> bytes:
        return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", self._header)

    def rows(self, rows: NDArray[Any]) -> bytes:
        filtered = np.zeros((rows.shape[0], 1 + self._row_bytes), np.uint8)
        flat = rows.reshape(rows.shape[0], -1)
        if self._depth == 16:
            filtered[:, 1:] = flat.astype(">u2").view(np.uint8)
        else:
            filtered[:, 1:] = flat
        data = self._deflate.compress(filtered.data)
        return _chunk(b"IDAT", data) if data else b""

    def end(self) -> bytes:
        return _chunk(b"IDAT", self._deflate.flush()) + _chunk(b"IEND", b"")


def pieces(rows: NDArray[Any], most_bytes: int) -> Iterator[NDArray[Any]]:
    """`rows` in consecutive runs of at most `most_bytes` each, but at least one row."""
    step = max(1, most_bytes // max(1, rows.shape[1] * rows.shape[2] * rows.itemsize))
    for top in range(0, rows.shape[0], step):
        yield rows[top : top + step]
