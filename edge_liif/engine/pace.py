"""How fast a network is computed here, for telling how long a picture will take: as fast as an earlier run was, or,
before there was one, as the self-check's tile.

The tile takes a fraction of a second, and its time is kept: another program in that moment would make every later
prediction wrong.
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
# A run of so many seconds says how fast things are now, even if they were faster before; in a shorter one compilation
# may be much of the time. (OpenVINO on a CPU compiles in 1 to 2.)
LONG = 20.0


@dataclass(frozen=True)
class Pace:
    """multiply_adds: in a second; source: what it was seen in."""

    multiply_adds: float
    source: str


def pace_of(network: Network, choice: Choice, threads: int | None) -> Pace | None:
    """How fast `choice` is on this machine, with so many threads (None: as the engine chooses). None where nothing was
    ever timed."""
    last = recall(FILE, _key(network, choice.engine, threads))
    # a file that anything may have written to
    if isinstance(last, float) and math.isfinite(last) and last > 0:
        return Pace(last, "an earlier run")
    if not choice.seconds:
        return None
    shape = timed_shape(TIMED_SIDE)
    work = work_of(network.spec, TIMED_SIDE**2, TIMED_BLOCKS * shape.rows * shape.columns)
    return Pace(work.total / choice.seconds, "the self-check's tile")


def learn_pace(network: Network, choice: Choice, threads: int | None, multiply_adds: float, seconds: float) -> None:
    """Learn from a run in which nothing was done twice.

    Whatever comes between makes a run slower, never faster: a faster one always counts, a slower one if it was long.
    """
    if seconds <= 0:
        return
    seen, known = multiply_adds / seconds, pace_of(network, choice, threads)
    if seconds >= LONG or (known is not None and seen > known.multiply_adds):
        remember(FILE, _key(network, choice.engine, threads), seen)


def _key(network: Network, engine: Engine, threads: int | None) -> str | None:
    return key_of(network, engine.name, engine.device, engine.precision, threads)
