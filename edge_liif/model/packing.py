"""Small whole numbers as a stream of bits: 3-bit weights take 3 bits in a file, not 8.

Value i lies in bits i * b .. i * b + b - 1 of the stream in two's complement, lowest bit first; bit k of the stream is
bit k % 8 of byte k // 8. The bits left over in the last byte are zero. Eight values are always b whole bytes, so all
eight are shifted into one 64-bit word at a time, and nothing is looped over but those eight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

FEWEST_BITS = 2
MOST_BITS = 8


def packed_size(count: int, bits: int) -> int:
    """Bytes that `count` values of `bits` bits take."""
    return (count * bits + 7) // 8


def pack(values: NDArray[np.integer], bits: int) -> NDArray[np.uint8]:
    """Values in -2^(bits-1) .. 2^(bits-1) - 1, of any shape and taken row by row, as bytes (`packed_size`,).

    Raises ValueError for bits outside 2..8, numbers that are not integers, and values that don't fit: never rounds.
    """
    _check_bits(bits)
    flat = np.asarray(values).reshape(-1)
    if not np.issubdtype(flat.dtype, np.integer):
        raise ValueError(f"only integers can be packed, not {flat.dtype}")
    half = 1 << (bits - 1)
    if flat.size and (int(flat.min()) < -half or int(flat.max()) >= half):
        raise ValueError(f"values {flat.min()}..{flat.max()} don't fit into {bits} bits")
    groups = -(-flat.size // 8)
    octets = np.zeros(groups * 8, np.uint8)
    octets[: flat.size] = flat.astype(np.int8).view(np.uint8) & ((1 << bits) - 1)
    words = np.zeros(groups, "<u8")
    for lane in range(8):
        words |= octets[lane::8].astype(np.uint64) << np.uint64(lane * bits)
    # the same eight bytes on a machine of either byte order, because the words are little-endian by type
    in_bytes = words.view(np.uint8).reshape(groups, 8)[:, :bits]
    return in_bytes.reshape(-1)[: packed_size(flat.size, bits)].copy()


def unpack(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.int8]:
    """The inverse of `pack`: int8 (count,).

    The bytes may come from a file: raises ModelError if they are not uint8 (packed_size(count, bits),) or if a bit
    left over is set, so that a network has one packed form only. ValueError for bits outside 2..8, a negative count.
    """
    _check_bits(bits)
    if count < 0:
        raise ValueError(f"there can't be {count} values")
    if packed.dtype != np.uint8 or packed.shape != (packed_size(count, bits),):
        raise ModelError(
            f"packed weights are {packed.dtype} of {packed.shape}; {count} of {bits} bits are "
            f"uint8 of ({packed_size(count, bits)},)"
        )
    left_over = packed.size * 8 - count * bits
    if left_over and packed[-1] >> (8 - left_over):
        raise ModelError("packed weights end in bits that belong to no weight; the file is damaged")
    groups = -(-count // 8)
    whole = np.zeros(groups * bits, np.uint8)
    whole[: packed.size] = packed
    in_bytes = np.zeros((groups, 8), np.uint8)
    in_bytes[:, :bits] = whole.reshape(groups, bits)
    words = in_bytes.reshape(-1).view("<u8")
    values = np.empty(groups * 8, np.int8)
    for lane in range(8):
        # the sign is shifted up to bit 7 and comes down again with the value
        raised = (words >> np.uint64(lane * bits)).astype(np.uint8) << np.uint8(8 - bits)
        values[lane::8] = raised.view(np.int8) >> np.int8(8 - bits)
    return values[:count]


def _check_bits(bits: int) -> None:
    if not FEWEST_BITS <= bits <= MOST_BITS:
        raise ValueError(f"values of {FEWEST_BITS}..{MOST_BITS} bits can be packed, not of {bits}")
