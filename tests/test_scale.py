"""What --scale and --size may be, and what comes of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_liif.errors import UsageError
from edge_liif.scale import LARGEST_SIDE, enlargement


@given(st.floats(1, 100), st.floats(1, 100), st.integers(1, 5000), st.integers(1, 5000))
def test_a_side_is_the_rounded_product(x, y, width, height):
    assert enlargement((x, y)).output_size(height, width) == (round(y * height), round(x * width))


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 20))
def test_one_side_of_a_size_keeps_the_proportions(width, height, factor):
    asked = enlargement(size=(width * factor, None)).output_size(height, width)
    assert asked == (height * factor, width * factor)
    asked = enlargement(size=(None, height * factor)).output_size(height, width)
    assert asked == (height * factor, width * factor)


@pytest.mark.parametrize(
    ("scale", "factors", "tag"),
    [
        ("3", (3, 3), "x3"),
        ("1.7", (1.7, 1.7), "x1.7"),
        ("2x3", (2, 3), "x2x3"),
        ("2X3", (2, 3), "x2x3"),
        ("2×3", (2, 3), "x2x3"),
        (" 4 ", (4, 4), "x4"),
        (2, (2, 2), "x2"),
        ((2, 3), (2, 3), "x2x3"),
        (1, (1, 1), "x1"),
    ],
)
def test_scale(scale, factors, tag):
    asked = enlargement(scale)
    assert asked.factors == factors
    assert asked.tag == tag


@pytest.mark.parametrize(
    ("size", "expected", "tag"),
    [
        ("1920x1080", (1920, 1080), "1920x1080"),
        ("1920x", (1920, None), "w1920"),
        ("x1080", (None, 1080), "h1080"),
        ((5, None), (5, None), "w5"),
    ],
)
def test_size(size, expected, tag):
    asked = enlargement(size=size)
    assert asked.size == expected
    assert asked.tag == tag


@pytest.mark.parametrize(
    "scale",
    [
        "",
        "x",
        "2x",
        "x2",
        "1x2x3",
        "abc",
        "nan",
        "inf",
        "-inf",
        "0",
        "-2",
        "0.999",
        "1e9",
        0,
        math.nan,
        math.inf,
        -1,
        (2,),
    ],
)
def test_impossible_scales(scale):
    with pytest.raises(UsageError):
        enlargement(scale)


@pytest.mark.parametrize(
    "size", ["", "x", "5", "0x5", "5x0", "-5x5", "5x5x5", "1e3x5", "9999999999x5", (0, 5), (None, None)]
)
def test_impossible_sizes(size):
    with pytest.raises(UsageError):
        enlargement(size=size)


def test_exactly_one_of_both():
    for arguments in ((None, None), ("2", "5x5")):
        with pytest.raises(UsageError, match="not both"):
            enlargement(*arguments)


def test_never_smaller():
    assert enlargement(size="10x20").output_size(20, 10) == (20, 10)
    for asked in ("9x20", "10x19", "9x", "x19"):
        with pytest.raises(UsageError, match="only enlarges"):
            enlargement(size=asked).output_size(20, 10)


def test_never_larger_than_any_file():
    assert enlargement(LARGEST_SIDE).output_size(1, 1) == (LARGEST_SIDE, LARGEST_SIDE)
    with pytest.raises(UsageError, match="no side may exceed"):
        enlargement(LARGEST_SIDE / 2).output_size(3, 1)
