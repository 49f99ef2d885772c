"""Durations for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """In the largest unit of which there are at least two: `12 min`; at least `1 s`."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
