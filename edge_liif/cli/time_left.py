"""How long a batch will still take, from what its pictures took so far."""

from __future__ import annotations

from ..duration import duration


class TimeLeft:
    """Of pictures done and still to do. Those that were there already, or failed, say nothing about the others; the
    first pays for the model and for compiling, so it counts only until there are others."""

    def __init__(self, pictures: int) -> None:
        self._left = pictures
        self._seconds: list[float] = []

    def finished(self, seconds: float | None) -> None:
        """One picture less to do. seconds: what it took, None if it was not enlarged."""
        self._left -= 1
        if seconds is not None:
            self._seconds.append(seconds)

    @property
    def seconds(self) -> float | None:
        """Mean time of a picture times the pictures left; None as long as nothing is known."""
        counted = self._seconds[1:] or self._seconds
        return self._left * sum(counted) / len(counted) if counted and self._left else None

    def __str__(self) -> str:
        """`, about 12 min left`, or nothing."""
        return "" if self.seconds is None else f", about {duration(self.seconds)} left"
