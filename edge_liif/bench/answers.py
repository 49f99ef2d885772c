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
            question = f"Is {where} ahead of quantization that has seen real pictures?"
            found.append({"question": question, "answer": ahead})
        bad = [p for p in own if _loss(p, base) > COLLAPSED_DB]
        if bad:
            bad.sort(key=lambda p: -_loss(p, base))
            worst = ", ".join(f"{p['name']} ({_loss(p, base):.1f} dB)" for p in bad)
            question = f"What must not be made of {where}?"
            found.append({"question": question, "answer": f"What loses more than {COLLAPSED_DB:g} dB: {worst}."})
    return found


def _against_real_pictures(own: Sequence[Point], base: Point) -> str | None:
    """Our best without data, in integers and no larger, against each peer's quantization of the same network."""
    peers = [p for p in own if p.get("peer") and p.get("data_free") is False]
    free = [p for p in own if not p.get("peer") and p.get("data_free") and p.get("precision") == "int8"]
    said, ahead = [], True
    for peer in peers:
        small = [p for p in free if (size(p) or 0) <= SHARE_SLACK * (size(peer) or float("inf"))]
        best = min(small, key=lambda p: _loss(p, base), default=None)
        if best is None:
            continue
        theirs, ours = _loss(peer, base), _loss(best, base)
        ahead = ahead and ours <= theirs + SAME_DB
        said.append(f"{peer['name']} loses {theirs:.2f} dB, {best['name']} without data {ours:.2f}")
    return None if not said else f"{'Yes' if ahead else 'Not everywhere'}: {'; '.join(said)}."


def _loss(point: Point, base: Point) -> float:
    """dB of mean PSNR-Y."""
    quality, best = psnr(point), psnr(base)
    assert quality is not None and best is not None
    return best - quality
