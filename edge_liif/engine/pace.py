"""How fast a network is computed here, for telling how long a picture will take: as fast as the last long run was, or,
before there was one, as the self-check's tile.

The tile takes a fraction of a second, and its time is kept: another program in that moment would make every later
prediction wrong. A long run says more, and the next one corrects it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..model.checkpoint import Network
from ..work import work_of
from .base import Engine
from .remembered import key_of, recall, remember
from .select import TIMED_BLOCKS, TIMED_SIDE, Choice, timed_shape

FILE = "pace.json"
# Compilation is below a tenth of so many seconds.
LONG = 20.0


@dataclass(frozen=True)
class Pace:
    """multiply_adds: in a second; source: what it was seen in."""

    multiply_adds: float
    source: str


def pace_of(network: Network, choice: Choice, threads: int | None) -> Pace | None:
    """None where nothing was ever timed."""
    last = recall(FILE, _key(network, choice.engine, threads))
    # a file that anything may have written to
    if isinstance(last, float) and math.isfinite(last) and last > 0:
        return Pace(last, "the last long run")
    if not choice.seconds:
        return None
    shape = timed_shape(TIMED_SIDE)
    work = work_of(network.spec, TIMED_SIDE**2, TIMED_BLOCKS * shape.rows * shape.columns)
    return Pace(work.total / choice.seconds, "the self-check's tile")


def learn_pace(network: Network, engine: Engine, threads: int | None, multiply_adds: float, seconds: float) -> None:
    """Keep what an undisturbed run took; one that was short says nothing."""
    if seconds >= LONG:
        remember(FILE, _key(network, engine, threads), multiply_adds / seconds)


def _key(network: Network, engine: Engine, threads: int | None) -> str | None:
    return key_of(network, engine.name, engine.device, engine.precision, threads)
