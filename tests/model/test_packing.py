"""Bit packing: exact for every width and length, the documented layout, and no reading of anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_liif.errors import ModelError
from edge_liif.model.packing import pack, packed_size, unpack

WIDTHS = range(2, 9)


def one_by_one(values: list[int], bits: int) -> bytes:
    """The layout as its docstring says it, in Python's whole numbers."""
    stream = sum((value % (1 << bits)) << (i * bits) for i, value in enumerate(values))
    return stream.to_bytes((len(values) * bits + 7) // 8, "little")


@st.composite
def widths_and_values(draw: st.DrawFn) -> tuple[int, list[int]]:
    bits = draw(st.integers(2, 8))
    half = 1 << (bits - 1)
    return bits, draw(st.lists(st.integers(-half, half - 1), max_size=70))


@given(widths_and_values())
def test_layout_and_round_trip(case: tuple[int, list[int]]) -> None:
    bits, values = case
    packed = pack(np.array(values, np.int64), bits)
    assert packed.dtype == np.uint8 and packed.tobytes() == one_by_one(values, bits)
    back = unpack(packed, bits, len(values))
    assert back.dtype == np.int8 and back.tolist() == values


@pytest.mark.parametrize("bits", WIDTHS)
def test_every_level_at_every_place(bits: int) -> None:
    half = 1 << (bits - 1)
    values = np.concatenate([np.roll(np.arange(-half, half), shift) for shift in range(8)]).astype(np.int8)
    assert np.array_equal(unpack(pack(values, bits), bits, values.size), values)


@pytest.mark.parametrize("bits", WIDTHS)
def test_bits_in_the_file_are_the_bits_asked_for(bits: int) -> None:
    values = np.zeros((8, 3, 3, 3), np.int8)
    assert pack(values, bits).size == packed_size(values.size, bits) == 216 * bits // 8


def test_any_shape_and_memory_order_is_taken_row_by_row() -> None:
    values = np.arange(-8, 8).reshape(4, 4)
    assert unpack(pack(values.T, 4), 4, 16).tolist() == values.T.reshape(-1).tolist()


@pytest.mark.parametrize("bits", WIDTHS)
def test_values_that_do_not_fit_are_refused(bits: int) -> None:
    half = 1 << (bits - 1)
    for value in (half, -half - 1, 1 << 40):
        with pytest.raises(ValueError, match="don't fit"):
            pack(np.array([0, value]), bits)


@pytest.mark.parametrize("bits", [-1, 0, 1, 9, 64])
def test_other_widths_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        pack(np.zeros(3, np.int8), bits)
    with pytest.raises(ValueError, match="bits"):
        unpack(np.zeros(3, np.uint8), bits, 3)


def test_floats_are_not_rounded() -> None:
    with pytest.raises(ValueError, match="only integers"):
        pack(np.zeros(3), 4)


@pytest.mark.parametrize(
    "packed",
    [np.zeros(1, np.uint8), np.zeros(3, np.uint8), np.zeros((1, 2), np.uint8), np.zeros(2, np.int8), np.zeros(2)],
)
def test_packed_bytes_of_another_length_or_type_are_refused(packed: np.ndarray) -> None:
    with pytest.raises(ModelError, match="packed weights are"):
        unpack(packed, 3, 5)


@given(st.integers(2, 8), st.integers(0, 40), st.integers(0, 7))
def test_set_bits_behind_the_last_value_are_refused(bits: int, count: int, bit: int) -> None:
    packed = np.zeros(packed_size(count, bits), np.uint8)
    if bit < packed.size * 8 - count * bits:
        packed[-1] |= 0x80 >> bit
        with pytest.raises(ModelError, match="belong to no weight"):
            unpack(packed, bits, count)
    else:
        assert not unpack(packed, bits, count).any()
