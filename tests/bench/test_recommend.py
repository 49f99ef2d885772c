"""Which setting is recommended, on reports small enough to see the answer."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edge_liif.bench.recommend import pareto, recommend

from .reports import EDSR, RDN, made_up_report


def point(
    name: str, psnr: float | None, size: int | None = 1000, rate: float | None = 1.0, **more: Any
) -> dict[str, Any]:
    """A point of model "m" at x3; recipe "original" if it is called fp32."""
    usual = {
        "id": name,
        "name": name,
        "model": "m",
        "recipe": "original" if name == "fp32" else name,
        "precision": "fp32" if name == "fp32" else "int8",
        "data_free": True,
        "peer": False,
        "scale": 3.0,
        "bytes": size,
        "mean": {"psnr_y": psnr},
        "speed": {"hr_mp_s": rate},
        "commands": {"compress": None, "run": f"run {name}"},
    }
    return usual | more


def only(*points: dict[str, Any], loss_db: float = 0.1) -> dict[str, Any]:
    (found,) = recommend({"points": list(points)}, loss_db)
    return found


def names(found: dict[str, Any]) -> tuple[str | None, str | None, list[str | None]]:
    def name(pick: dict[str, Any] | None) -> str | None:
        return pick and pick["name"]

    return name(found["smallest"]), name(found["fastest"]), [name(s["pick"]) for s in found["shares"]]


@pytest.mark.parametrize(
    ("pairs", "front"),
    [
        ([], []),
        ([(1, 1)], [(1, 1)]),
        ([(3, 3), (1, 1), (2, 2)], [(1, 1), (2, 2), (3, 3)]),
        ([(1, 2), (2, 1), (2, 2), (3, 3)], [(1, 2), (3, 3)]),
        ([(1, 1), (1, 2), (2, 2)], [(1, 2)]),
        ([(1, None), (None, 9), (1, math.nan), (2, 5)], [(2, 5)]),
        ([(-2, 1), (-1, math.inf), (0, math.inf)], [(-2, 1), (-1, math.inf)]),
    ],
)
def test_pareto(pairs, front):
    assert pareto(pairs, lambda p: p[0], lambda p: p[1]) == front


def test_pareto_keeps_the_first_of_equals_and_no_point_beats_another():
    same = [("a", 1, 1), ("b", 1, 1)]
    assert pareto(same, lambda p: p[1], lambda p: p[2]) == [("a", 1, 1)]


def test_no_point_beats_one_of_the_front_and_every_other_is_beaten_by_one():
    points = [(p["bytes"], p["mean"]["psnr_y"]) for p in made_up_report()["points"] if p["mean"]]
    front = pareto(points, lambda p: p[0], lambda p: p[1])
    assert 4 < len(front) < len(points)
    for cost, value in front:
        assert not any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in points)
    for cost, value in points:
        assert any(c <= cost and v >= value for c, v in front)


def test_smallest_and_fastest_within_the_bound():
    found = only(
        point("fp32", 30.0, 4000, 1.0),
        point("small", 29.95, 900, 1.2),
        point("fast", 29.92, 2000, 3.0),
        point("tiny and bad", 29.8, 100, 9.0),
    )
    assert names(found) == ("small", "fast", ["small", "small", "tiny and bad"])
    assert found["smallest"]["loss_db"] == pytest.approx(0.05)
    assert found["smallest"]["size_ratio"] == pytest.approx(0.225)
    assert found["fastest"]["speed_ratio"] == pytest.approx(3.0)
    assert found["fastest"]["commands"] == {"compress": None, "run": "run fast"}
    assert found["shares"][2]["pick"]["loss_db"] == pytest.approx(0.2)


def test_a_loss_of_exactly_the_bound_is_within_it():
    assert 28.94 - 28.84 > 0.1  # in float64
    assert names(only(point("fp32", 28.94, 10), point("edge", 28.84, 5)))[0] == "edge"
    assert names(only(point("fp32", 28.94, 10), point("over", 28.839, 5)))[0] == "fp32"


def test_a_share_counts_bytes_but_for_the_scales():
    found = only(point("fp32", 30.0, 4000), point("half", 29.9, 2000), point("more than a quarter", 29.8, 1031))
    assert names(found)[2] == ["half", None, None]
    found = only(point("fp32", 30.0, 4000), point("quarter and scales", 29.8, 1029))
    assert names(found)[2][1] == "quarter and scales"


def test_the_least_loss_wins_a_share_not_the_smallest_file():
    found = only(point("fp32", 30.0, 4000), point("a", 29.9, 1900), point("b", 29.99, 1990), point("c", 29.5, 400))
    assert names(found)[2] == ["b", "c", "c"]


def test_of_equals_the_better_and_then_the_faster():
    found = only(
        point("fp32", 30.0, 4000),
        point("slow", 29.95, 900, 1.0),
        point("quick", 29.95, 900, 2.0),
        point("worse", 29.94, 900, 2.0),
    )
    assert names(found) == ("quick", "quick", ["quick", "quick", None])


def test_peers_and_real_data_are_never_recommended():
    found = only(
        point("fp32", 30.0, 4000, 1.0),
        point("peer", 30.0, 100, 9.0, peer=True),
        point("real", 30.0, 200, 8.0, data_free=False),
        point("ours", 29.95, 2000, 2.0),
    )
    assert names(found) == ("ours", "ours", ["ours", None, None])


def test_what_was_not_measured_is_not_recommended():
    found = only(
        point("fp32", 30.0, 4000, None),
        point("no quality", None, 10, 9.0),
        point("nothing", None, 10, 9.0, mean=None, speed=None, commands=None),
        point("no size", 29.99, None, 5.0),
        point("no speed", 29.95, 900, None, speed=None),
    )
    assert names(found) == ("no speed", "no size", ["no speed", "no speed", None])
    assert found["fastest"]["speed_ratio"] is None
    assert found["fastest"]["size_ratio"] is None


def test_reference_is_the_fastest_engine_in_fp32():
    found = only(
        point("fp32", 30.0, 4000, 1.0, id="slow"),
        point("fp32", 30.0, 4000, 2.0, id="quick"),
        point("fp32", 30.0, 4000, 9.0, id="bf16", precision="bf16"),
    )
    assert found["reference"]["point"] == "quick"
    assert found["fastest"]["speed_ratio"] == pytest.approx(4.5)


def test_without_a_reference_nothing_is_recommended():
    found = only(point("W8A8", 29.9))
    assert found["reference"] is found["smallest"] is found["fastest"] is None
    assert [s["pick"] for s in found["shares"]] == [None, None, None]


def test_one_answer_for_each_model_and_scale():
    found = recommend(made_up_report())
    assert [(r["model"], r["scale"]) for r in found] == [(EDSR, 3.0), (RDN, 3.0), (EDSR, 2.0), (RDN, 2.0)]
    assert recommend({"points": []}) == recommend({"points": None}) == []
    first = found[0]
    assert first["smallest"]["name"] == f"{EDSR}, 25 % + W4A8, lockstep, openvino int8"
    assert first["fastest"]["name"] == f"{EDSR}, 25 % + W8A8, lockstep, openvino int8"
    assert first["shares"][1]["pick"]["bytes"] * 4 <= 1.03 * first["reference"]["bytes"]


@pytest.mark.parametrize("bound", [-0.1, math.nan, math.inf])
def test_a_bound_that_is_none(bound):
    with pytest.raises(ValueError, match="bound on the loss"):
        recommend({"points": []}, bound)
