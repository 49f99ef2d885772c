"""Levels and scales found again from floats: exactly, for every scale float32 has, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_liif.errors import ModelError
from edge_liif.model.levels import from_levels, to_levels
from edge_liif.model.quantization import WeightQuantization, step_factors


@st.composite
def quantized(draw: st.DrawFn) -> tuple[int, np.ndarray, np.ndarray]:
    bits = draw(st.integers(2, 8))
    largest = (1 << (bits - 1)) - 1
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 12)))
    levels = draw(hnp.arrays(np.int8, shape, elements=st.integers(-largest, largest)))
    # subnormal scales too: weight decay leaves such channels; the largest still give finite weights
    scale = st.floats(2.0**-147, 2.0**120, width=32)
    return bits, levels, draw(hnp.arrays(np.float32, shape[0], elements=scale))


@given(quantized())
def test_whatever_was_made_of_levels_is_found_again(case: tuple[int, np.ndarray, np.ndarray]) -> None:
    bits, levels, scale = case
    weight = from_levels(levels, scale)
    found, found_scale = to_levels(weight, WeightQuantization(bits))
    assert np.array_equal(from_levels(found, found_scale), weight)
    assert found.dtype == np.int8 and np.abs(found).max() <= (1 << (bits - 1)) - 1
    assert found_scale.dtype == np.float32 and (found_scale > 0).all()


@given(quantized(), st.data())
def test_factors_of_columns_are_no_obstacle(case: tuple[int, np.ndarray, np.ndarray], data: st.DataObject) -> None:
    bits, levels, scale = case
    # files refuse smaller ones; larger ones would be infinite over the smallest factor
    scale = scale.clip(np.float32(2.0**-126), np.float32(2.0**85))
    width = levels.shape[1]
    factors = step_factors(data.draw(st.lists(st.integers(-128, 0), min_size=width, max_size=width)))
    weight = from_levels(levels, scale, factors)
    found, found_scale = to_levels(weight, WeightQuantization(bits), factors)
    assert np.array_equal(from_levels(found, found_scale, factors), weight)


def test_factors_are_quarters_of_an_octave() -> None:
    factors = step_factors([0, -1, -2, -4, -41])
    assert np.allclose(factors, [1, 2**-0.25, 2**-0.5, 0.5, 2**-10.25], rtol=1e-7, atol=0)
    assert factors.dtype == np.float32 and factors[3] == 0.5
    assert np.array_equal(step_factors([-5, -9]) * np.float32([2, 4]), step_factors([-1, -1]))


@pytest.mark.parametrize("bits", range(2, 9))
def test_levels_that_reach_the_end_are_the_very_same(bits: int) -> None:
    generator = np.random.default_rng(bits)
    largest = (1 << (bits - 1)) - 1
    levels = generator.integers(-largest, largest + 1, (40, 7, 3, 3)).astype(np.int8)
    levels[:, 0, 0, 0] = -largest
    scale = generator.uniform(1e-4, 1e-2, 40).astype(np.float32)
    for factors in (np.ones(1, np.float32), step_factors(generator.integers(-40, 1, 7)).reshape(1, 7, 1, 1)):
        weight = from_levels(levels, scale, factors)
        found, found_scale = to_levels(weight, WeightQuantization(bits), factors)
        assert np.array_equal(found, levels)
        assert np.allclose(found_scale, scale, rtol=3e-7, atol=0)
    with pytest.raises(ModelError, match="not made of whole levels"):
        to_levels(weight, WeightQuantization(bits), factors[:, ::-1])


def test_a_channel_of_zeros() -> None:
    levels, scale = to_levels(np.zeros((2, 3), np.float32), WeightQuantization(4))
    assert not levels.any() and scale.tolist() == [1, 1]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_one_step_of_float32_beside_a_level_is_refused(bits: int) -> None:
    levels = np.array([[1, -1, 0, 1], [1, 1, 1, -1]], np.int8) * np.int8((1 << (bits - 1)) - 1)
    levels[:, 3] = 1  # so that no other scale explains the change
    weight = from_levels(levels, np.float32([0.01, 0.013]))
    weight[1, 1] = np.nextafter(weight[1, 1], np.float32(1))
    with pytest.raises(ModelError, match="output channel 1 is not made of whole levels"):
        to_levels(weight, WeightQuantization(bits))


def test_more_bits_than_said_and_plain_floats_are_refused() -> None:
    eight = from_levels(np.arange(-127, 128, dtype=np.int8)[None], np.float32([0.25]))
    assert to_levels(eight, WeightQuantization(8))[0].tolist() == [list(range(-127, 128))]
    with pytest.raises(ModelError, match="whole levels"):
        to_levels(eight, WeightQuantization(7))
    plain = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    with pytest.raises(ModelError, match="whole levels"):
        to_levels(plain, WeightQuantization(8))


def test_float64_is_not_rounded_away() -> None:
    with pytest.raises(ModelError, match="whole levels"):
        to_levels(np.array([[3.0, 1.0 + 1e-12]]), WeightQuantization(3))
