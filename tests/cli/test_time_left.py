"""What a batch says about the time it will still take."""

from __future__ import annotations

import pytest

from edge_liif.cli.time_left import TimeLeft


def test_nothing_is_said_before_anything_is_known() -> None:
    left = TimeLeft(3)
    assert str(left) == ""
    left.finished(None)  # skipped or failed
    assert left.seconds is None and str(left) == ""


def test_the_first_picture_counts_only_until_there_are_others() -> None:
    left = TimeLeft(10)
    left.finished(9.0)
    assert left.seconds == 81
    left.finished(2.0)
    left.finished(None)
    left.finished(4.0)
    assert left.seconds == 6 * 3.0
    for _ in range(6):
        left.finished(3.0)
    assert str(left) == ""


@pytest.mark.parametrize(
    ("each", "told"),
    [(0.1, "1 s"), (1, "1 s"), (119, "119 s"), (121, "2 min"), (7300, "2 h"), (200_000, "2 days")],
)
def test_units(each: float, told: str) -> None:
    left = TimeLeft(2)
    left.finished(each)
    assert str(left) == f", about {told} left"
