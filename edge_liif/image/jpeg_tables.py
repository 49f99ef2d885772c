"""How hard a JPEG file was compressed, from the quantization tables in its headers."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

# The luminance table of ITU-T T.81, Annex K, table K.1, which encoders scale by quality; in the zigzag order of files.
# fmt: off
LUMINANCE = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
    26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
    56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
    95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
)
# fmt: on
_LARGEST_STEPS = (255, 32767)
"""Of 8-bit tables and of the 16-bit ones that libjpeg writes when it isn't held to the baseline."""


def quantization_tables(segment: bytes) -> dict[int, tuple[int, ...]]:
    """The tables of a DQT segment (T.81, B.2.4.1; without its marker and length) by their numbers 0..3, each 64 steps
    in zigzag order. A table that is cut off or breaks the standard ends the reading; nothing is raised."""
    tables: dict[int, tuple[int, ...]] = {}
    offset = 0
    while offset < len(segment):
        precision, number = segment[offset] >> 4, segment[offset] & 0x0F
        if precision > 1 or number > 3:
            break
        size = precision + 1
        body = segment[offset + 1 : offset + 1 + 64 * size]
        steps = tuple(int.from_bytes(body[i : i + size], "big") for i in range(0, len(body), size))
        if len(body) < 64 * size or 0 in steps:
            break
        tables[number] = steps
        offset += 1 + 64 * size
    return tables


def libjpeg_table(quality: int, largest_step: int = 255) -> tuple[int, ...]:
    """The luminance table that libjpeg writes for a quality of 1..100 (its `jpeg_quality_scaling`), in zigzag order."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(largest_step, max(1, (step * scale + 50) // 100)) for step in LUMINANCE)


def quality_of(table: Sequence[int]) -> int:
    """The libjpeg quality 1..100 whose luminance table is `table` (64 steps, zigzag order), or comes nearest to it.

    Nearest by the mean ratio of the steps: in tables that aren't scaled ones (Photoshop's, phones') the small steps of
    the low frequencies, which decide what is seen, must count as much as the large ones.
    """
    exact, logarithms = _libjpeg_tables()
    quality = exact.get(tuple(table))
    if quality is not None:
        return quality
    wanted = [math.log(max(1, step)) for step in table]
    return min(logarithms, key=lambda known: sum(abs(a - b) for a, b in zip(known[1], wanted, strict=True)))[0]


@functools.cache
def _libjpeg_tables() -> tuple[dict[tuple[int, ...], int], list[tuple[int, list[float]]]]:
    """Quality by table, and (quality, logarithms of the steps) of every table."""
    exact = {libjpeg_table(quality, top): quality for top in _LARGEST_STEPS for quality in range(1, 101)}
    return exact, [(quality, [math.log(step) for step in table]) for table, quality in exact.items()]
