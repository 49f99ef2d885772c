"""Which setting to take: Pareto fronts, and the smallest and the fastest within a bound on the loss.

Works on the points of a bench report, plain dictionaries in which any value may be None where it was not measured.
Nothing is read, measured or drawn here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

Point: TypeAlias = Mapping[str, Any]
Item = TypeVar("Item")

SHARES = (2, 4, 8)
"""The sizes asked about: 1/2, 1/4 and 1/8 of the fp32 network."""

SHARE_SLACK = 1.03
"""8 bits are a quarter of 32: the scales beside them, two or three per cent, don't make it less of one."""


def pareto(
    points: Iterable[Item], cost: Callable[[Item], float | None], value: Callable[[Item], float | None]
) -> list[Item]:
    """The points that no other beats: none costs as little and is worth as much. In order of rising cost and value.

    cost: less is better; value: more is better (for a speed as cost, give its negative). A point whose cost or value
    is None or NaN is left out; of points equal in both, the first stays.
    """
    measured = []
    for point in points:
        c, v = _number(cost(point)), _number(value(point))
        if c is not None and v is not None:
            measured.append((c, v, point))
    front: list[Item] = []
    best = -math.inf
    # sorted is stable: of equal points the first comes first
    for _, v, point in sorted(measured, key=lambda m: (m[0], -m[1])):
        if not front or v > best:
            front.append(point)
            best = v
    return front


def psnr(point: Point) -> float | None:
    """Mean PSNR-Y in dB over all pictures; None where it was not measured."""
    return _number((point.get("mean") or {}).get("psnr_y"))


def speed(point: Point) -> float | None:
    """HR megapixels a second; None where it was not measured."""
    return _number((point.get("speed") or {}).get("hr_mp_s"))


def size(point: Point) -> float | None:
    """Bytes of the model's file; None where it is unknown."""
    return _number(point.get("bytes"))


def reference(points: Sequence[Point], model: str, scale: float) -> Point | None:
    """What losses, sizes and speeds of a model at a scale are compared with: its uncompressed network in fp32.

    Of several engines the fastest is taken, so that no speed-up is owed to a slow rival; None where none was measured.
    """
    originals = [
        p
        for p in _own(points, model, scale)
        if p.get("recipe") == "original" and p.get("precision") == "fp32" and psnr(p) is not None
    ]
    return max(originals, key=lambda p: speed(p) or 0.0, default=None)


def recommend(report: Mapping[str, Any], loss_db: float = 0.1) -> list[dict[str, Any]]:
    """What to take, a dictionary for each model and scale, in the report's order:

    * model, scale, loss_db;
    * reference: the uncompressed fp32 point {"point", "name", "psnr_y", "bytes", "hr_mp_s"}, or None, and then nothing
      else is recommended either;
    * smallest, fastest: a pick within `loss_db` of the reference's mean PSNR-Y, or None;
    * shares: [{"share": 2 | 4 | 8, "pick": pick or None}]: the least loss with at most 1/2, 1/4, 1/8 of the
      reference's bytes, give or take SHARE_SLACK.

    A pick is {"point", "name", "psnr_y", "loss_db", "bytes", "size_ratio", "hr_mp_s", "speed_ratio", "commands"}; point
    is an id; loss_db is negative for a gain; ratios are to the reference, size_ratio below 1 for a smaller file and
    speed_ratio above 1 for a faster run. Peers and settings that have seen real pictures are never recommended. Raises
    ValueError for a bound that is negative or not finite.
    """
    if not (math.isfinite(loss_db) and loss_db >= 0):
        raise ValueError(f"a bound on the loss is a number of dB from 0, not {loss_db}")
    points: Sequence[Point] = report.get("points") or ()
    pairs = dict.fromkeys((p.get("model"), p.get("scale")) for p in points if not p.get("peer"))
    return [
        _for_model(points, model, scale, loss_db) for model, scale in pairs if model is not None and scale is not None
    ]


def _for_model(points: Sequence[Point], model: str, scale: float, loss_db: float) -> dict[str, Any]:
    found: dict[str, Any] = {"model": model, "scale": scale, "loss_db": loss_db}
    base = reference(points, model, scale)
    if base is None:
        nothing = [{"share": share, "pick": None} for share in SHARES]
        return found | {"reference": None, "smallest": None, "fastest": None, "shares": nothing}
    picks = [_pick(p, base) for p in _own(points, model, scale) if psnr(p) is not None]
    good = [p for p in picks if p["loss_db"] <= loss_db]
    # Of equals the better picture, then the faster or the smaller.
    smallest = min(
        (p for p in good if p["bytes"] is not None),
        key=lambda p: (p["bytes"], p["loss_db"], -(p["hr_mp_s"] or 0)),
        default=None,
    )
    fastest = max(
        (p for p in good if p["hr_mp_s"] is not None),
        key=lambda p: (p["hr_mp_s"], -p["loss_db"], -(p["bytes"] or math.inf)),
        default=None,
    )
    shares = []
    for share in SHARES:
        small = [
            p for p in picks if p["size_ratio"] is not None and p["bytes"] * share <= SHARE_SLACK * (size(base) or 0)
        ]
        best = min(small, key=lambda p: (p["loss_db"], p["bytes"], -(p["hr_mp_s"] or 0)), default=None)
        shares.append({"share": share, "pick": best})
    summary = {k: v for k, v in _pick(base, base).items() if k in {"point", "name", "psnr_y", "bytes", "hr_mp_s"}}
    return found | {"reference": summary, "smallest": smallest, "fastest": fastest, "shares": shares}


def _own(points: Iterable[Point], model: str, scale: float) -> list[Point]:
    """Ours and made without data: what may be recommended."""
    return [
        p
        for p in points
        if p.get("model") == model and p.get("scale") == scale and not p.get("peer") and p.get("data_free") is not False
    ]


def _pick(point: Point, base: Point) -> dict[str, Any]:
    quality, best = psnr(point), psnr(base)
    assert quality is not None and best is not None
    return {
        "point": point.get("id"),
        "name": point.get("name"),
        "psnr_y": quality,
        # Rounded, because 28.94 - 28.84 in float64 is more than 0.1, and a loss of 0.1 is within 0.1.
        "loss_db": round(best - quality, 6),
        "bytes": point.get("bytes"),
        "size_ratio": _ratio(size(point), size(base)),
        "hr_mp_s": speed(point),
        "speed_ratio": _ratio(speed(point), speed(base)),
        "commands": dict(point.get("commands") or {}),
    }


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
