"""Questions that a table answers only slowly: are we ahead of real pictures, and what must not be shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .recommend import SHARE_SLACK, Point, psnr, recommend, reference, size

COLLAPSED_DB = 1.0
"""A loss beyond this is seen by anyone."""
SAME_DB = 0.005
"""Losses that don't differ by as much are the same in two decimals."""


def answers(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """[{"question", "answer"}] of a bench report, in sentences; questions that its points don't answer are left out."""
    points: Sequence[Point] = report.get("points") or ()
    found = []
    for one in recommend(report):
        base = reference(points, one["model"], one["scale"])
        if base is None:
            continue
        own = [p for p in points if (p["model"], p["scale"]) == (one["model"], one["scale"]) and psnr(p) is not None]
        where = f"{one['model']} at x{one['scale']:g}"
        ahead = _against_real_pictures(own, base)
        if ahead:
            question = f"Are we ahead of quantization that has seen real pictures, {where}?"
            found.append({"question": question, "answer": ahead})
        bad = [p for p in own if _loss(p, base) > COLLAPSED_DB]
        if bad:
            bad.sort(key=lambda p: -_loss(p, base))
            worst = "; ".join(f"{_short(p)} ({_loss(p, base):.1f} dB)" for p in bad)
            question = f"What must not be made of {where}?"
            found.append({"question": question, "answer": f"What loses more than {COLLAPSED_DB:g} dB: {worst}."})
    return found


def _against_real_pictures(own: Sequence[Point], base: Point) -> str | None:
    """Our best without data, in integers and no larger, against each peer's quantization of the same network."""
    peers = [p for p in own if p.get("peer") and p.get("data_free") is False]
    free = [p for p in own if not p.get("peer") and p.get("data_free") and p.get("precision") == "int8"]
    said: list[str] = []
    # dB that we lose beyond the peer; None where nothing of ours is as small
    verdicts: list[float | None] = []
    for peer in peers:
        small = [p for p in free if (size(p) or 0) <= SHARE_SLACK * (size(peer) or float("inf"))]
        best = min(small, key=lambda p: _loss(p, base), default=None)
        theirs = _loss(peer, base)
        if best is None:
            verdicts.append(None)
            said.append(f"{_short(peer)} loses {theirs:.2f} dB, and nothing measured of ours is as small")
            continue
        ours = _loss(best, base)
        verdicts.append(ours - theirs)
        said.append(f"{_short(peer)} loses {theirs:.2f} dB, {_short(best)} without data {ours:.2f}")
    if not said:
        return None
    if all(v is not None and v < -SAME_DB for v in verdicts):
        verdict = "Yes"
    elif all(v is not None and v <= SAME_DB for v in verdicts):
        verdict = "Ahead or level"
    else:
        verdict = "Not everywhere"
    return f"{verdict}: {'; '.join(said)}."


def _short(point: Point) -> str:
    """Its name without the model's, which the question has."""
    return str(point["name"]).removeprefix(f"{point['model']}, ")


def _loss(point: Point, base: Point) -> float:
    """dB of mean PSNR-Y."""
    quality, best = psnr(point), psnr(base)
    assert quality is not None and best is not None
    return best - quality
