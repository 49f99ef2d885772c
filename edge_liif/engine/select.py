"""Which engine and precision: by a question with a known answer, not by names.

Every model file carries the literal reference's answer on a small picture. A candidate that misses it by more than its
precision explains, or gives anything that is not finite, is out. Among the rest the fastest on one real tile is taken.
Answers are cached per machine, model and versions, so that only the first run pays.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import EdgeLiifError, EngineError
from ..geometry import Geometry, axis_queries, cell_pattern, cells_read
from ..model import selfcheck
from ..model.checkpoint import Network
from .base import Engine, TileShape
from .registry import ENGINES, UNNAMED
from .remembered import key_of, recall, remember

FILE = "selfcheck.json"
# Largest difference from the fp32 reference, as a share of full scale, that rounding explains.
# int8: compression with integer activations moves single pixels by several levels; a broken kernel moves most of them.
TOLERANCE = {"fp32": 1e-3, "fp16": 1.5e-2, "bf16": 4e-2, "int8": 1.5e-1}
# The root of the mean squared difference may be one part in so many of it: rounding moves single pixels far, a broken
# kernel most of them.
TYPICAL = 5
# LR side of the tile that is timed, and its scale.
TIMED_SIDE, TIMED_SCALE = 64, 3
# It is decoded in so many blocks.
TIMED_BLOCKS = 16
# So many times slower than another, once, is slow enough not to be timed again.
FAR_BEHIND = 1.5


@dataclass(frozen=True)
class Check:
    """Result of one candidate's self-check. error: share of full scale; seconds: for the timed tile; confirmed: timed
    twice, because the order was a surprise."""

    engine: str
    device: str
    precision: str
    error: float | None
    seconds: float | None
    reason: str | None = None
    confirmed: bool = False

    @property
    def passed(self) -> bool:
        return self.reason is None


@dataclass(frozen=True)
class Choice:
    """An engine ready for work and why it was chosen. seconds: for the timed tile."""

    engine: Engine
    why: str
    seconds: float | None = None


def open_engine(network: Network, name: str, precision: str, device: str, threads: int | None = None) -> Engine:
    """Exactly this engine. Raises EngineError if it is not installed or has no such device or precision."""
    entry = ENGINES.get(name)
    if entry is None:
        raise EngineError(f"there is no engine {name!r}; choose one of {', '.join(ENGINES)}")
    if not entry.installed:
        raise EngineError(f"the {name} engine is not installed: pip install {entry.install}")
    return entry.open(network, precision, device, threads)


def candidates(
    engine: str = "auto", device: str = "auto", precision: str = "auto", *, integer: bool = False
) -> list[tuple[str, str, str]]:
    """(engine, device, precision) worth trying here, likely fastest first. Imports torch only when asked to: by name,
    by a device only it has, or when OpenVINO is missing. integer: the network was compressed for integer kernels."""
    found = []
    for name in _worth_trying(device) if engine == "auto" else [engine]:
        entry = ENGINES.get(name)
        if entry is None or not entry.installed:
            continue
        ways = entry.ways(integer)
        if engine == "auto" and device == "auto" and name == "torch" and ENGINES["openvino"].installed:
            # beside OpenVINO torch is there for what OpenVINO can't use
            ways = [way for way in ways if way[0] == "cuda"]
        found += [(name, *way) for way in ways]
    # simulations come last: whoever can really do it goes before
    for name in [engine] if engine in ENGINES else list(ENGINES):
        if precision == "int8" and ENGINES[name].installed and (engine == name or not found):
            found += [(name, *way) for way in ENGINES[name].simulates]
    # a processor with several GPUs of one kind has one way for them
    return [c for c in dict.fromkeys(found) if device in {"auto", c[1]} and precision in {"auto", c[2]}]


def _worth_trying(device: str) -> list[str]:
    """Engines that `auto` looks at. Without OpenVINO all that need not be named, in the order of the registry."""
    if device in {"cuda", "mps"}:
        return ["torch", "onnx"] if not ENGINES["openvino"].installed else ["torch"]
    if device == "tensorrt":
        return ["onnx"]
    if not ENGINES["openvino"].installed:
        return UNNAMED
    return ["torch", "openvino"] if device == "auto" and _nvidia_driver() else ["openvino"]


def candidates_for(
    network: Network, engine: str = "auto", device: str = "auto", precision: str = "auto"
) -> list[tuple[str, str, str]]:
    """`candidates` that can execute this network: int8 is for those compressed with integer activations."""
    integer = network.spec.compression is not None and bool(network.spec.compression.activations)
    return candidates(engine, device, precision, integer=integer)


def choose(
    network: Network,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    *,
    exact_colours: bool = False,
) -> Choice:
    """The fastest candidate that passes its self-check. exact_colours leaves out half precisions (16-bit pictures).

    Raises EngineError that names every candidate's failure when none is left.
    """
    options = candidates_for(network, engine, device, precision)
    note = ""
    if exact_colours and precision == "auto":
        options = [c for c in options if c[2] == "fp32"]
        note = "; fp32 because the picture has 16 bits"
    if not options:
        # ask for it by name, so that the error says what is missing
        only = {"cuda": "torch", "mps": "torch", "tensorrt": "onnx"}.get(device, "openvino")
        wanted = (only if engine == "auto" else engine, "cpu" if device == "auto" else device)
        open_engine(network, wanted[0], "fp32" if precision == "auto" else precision, wanted[1], threads)
        raise EngineError(f"no engine offers precision {precision} on device {device}; run: edge-liif doctor")
    checks: list[Check] = []
    for option in options:
        best_so_far = min((c.seconds for c in checks if c.passed and c.seconds is not None), default=None)
        checks.append(check(network, *option, threads, beat=best_so_far))
    passed = [c for c in checks if c.passed]
    if not passed:
        reasons = "; ".join(f"{c.engine} {c.device} {c.precision}: {c.reason}" for c in checks)
        raise EngineError(f"no engine passed its self-check ({reasons})")
    best = _fastest(passed)
    if best is not passed[0] and not (best.confirmed and passed[0].confirmed):
        # Another program may have been in the way of what is usually the fastest, and the cache would keep that for
        # good: both are timed again.
        again = {c: _confirmed(network, c, threads) for c in (passed[0], best)}
        passed = [again.get(c, c) for c in passed]
        best = _fastest(passed)
    others = [f"{c.precision} {c.seconds:.3f} s" for c in passed if c is not best and c.seconds is not None]
    why = (
        f"{best.engine} {best.precision} on {best.device}: self-check error {best.error:.1e} of full scale, "
        f"{best.seconds:.3f} s a tile" + (f" (others: {', '.join(others)})" if others else "") + note
    )
    return Choice(open_engine(network, best.engine, best.precision, best.device, threads), why, best.seconds)


def _fastest(checks: list[Check]) -> Check:
    return min(checks, key=lambda c: c.seconds if c.seconds is not None else float("inf"))


def _confirmed(network: Network, known: Check, threads: int | None) -> Check:
    """A passed check with its candidate timed once more."""
    again = check(network, known.engine, known.device, known.precision, threads, cache=False)
    seconds = min((c.seconds for c in (known, again) if c.seconds is not None), default=None)
    result = replace(known, seconds=seconds, confirmed=True)
    _remember(network, result, threads)
    return result


def check(
    network: Network,
    engine: str,
    device: str,
    precision: str,
    threads: int | None = None,
    cache: bool = True,
    beat: float | None = None,
) -> Check:
    """Self-check of one candidate, from the cache if this machine, model and versions have been checked before.

    beat: seconds of the fastest other candidate; one that is far behind it is timed only once.
    """
    if cache and (known := _recalled(network, engine, device, precision, threads)):
        return known
    try:
        result = _measure(network, open_engine(network, engine, precision, device, threads), beat)
    except (EdgeLiifError, MemoryError) as error:
        return Check(engine, device, precision, None, None, str(error))
    if cache:
        _remember(network, result, threads)
    return result


def known_answer_error(network: Network, engine: Engine) -> float:
    """Largest difference of an engine from the stored answer, as a share of full scale; nan if it is not finite."""
    return float(np.abs(_known_answer_differences(network, engine)).max())


def _known_answer_differences(network: Network, engine: Engine) -> NDArray[np.float32]:
    if network.known_answer is None:
        raise EngineError(f"model {network.spec.name} carries no known answer; import it again")
    size, out = selfcheck.SIZE, selfcheck.OUT_SIZE
    rows, columns = (axis_queries(size[i], out[i], 0, out[i]) for i in (0, 1))
    engine.prepare(TileShape(*size, rows.evaluations, columns.evaluations))
    cell = (2 * size[0] / out[0], 2 * size[1] / out[1])
    answer = engine.decode(engine.encode(selfcheck.picture()), Geometry(rows, columns, cell))
    return answer - network.known_answer


def _measure(network: Network, engine: Engine, beat: float | None = None) -> Check:
    differences = _known_answer_differences(network, engine)
    error, typical = float(np.abs(differences).max()), float(np.sqrt(np.square(differences).mean()))
    facts, allowed = (engine.name, engine.device, engine.precision), TOLERANCE[engine.precision]
    if not (error <= allowed and typical <= allowed / TYPICAL):
        said = f"differs by up to {error:.2g} of full scale, typically by {typical:.2g}"
        return Check(*facts, error, None, f"wrong result ({said})")
    seconds = tile_seconds(engine, TIMED_SIDE)
    if beat is None or seconds < FAR_BEHIND * beat:
        seconds = min(seconds, *(tile_seconds(engine, TIMED_SIDE) for _ in range(2)))
    return Check(*facts, error, seconds)


def tile_seconds(engine: Engine, side: int) -> float:
    """Time of one tile of side x side LR pixels at TIMED_SCALE, compilation not counted."""
    scale, shape = TIMED_SCALE, timed_shape(side)
    axis = axis_queries(side, side * scale, 0, side * scale)
    rows = axis_queries(side, side * scale, 0, side * scale // TIMED_BLOCKS)
    engine.prepare(shape)
    lr = np.resize(selfcheck.picture(), (1, 3, side, side))
    start = time.perf_counter()
    hidden = engine.encode(lr)
    for _ in engine.decode_blocks(hidden, [Geometry(rows, axis, (2 / scale, 2 / scale))] * TIMED_BLOCKS):
        pass
    return time.perf_counter() - start


def timed_shape(side: int) -> TileShape:
    """One block of the timed tile, of side x side LR pixels. Few rows at a time: a first run must not take more memory
    for the check than it plans for the work."""
    out = side * TIMED_SCALE
    rows = axis_queries(side, out, 0, out // TIMED_BLOCKS)
    pattern = cell_pattern(side, out)
    reach = cells_read(side, out, rows.positions)
    return TileShape(side, side, rows.evaluations, side * pattern.per_cell, pattern, reach)


def _nvidia_driver() -> bool:
    """Whether torch is worth its start-up time to look for CUDA."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvhost-gpu").exists()


def _recalled(network: Network, engine: str, device: str, precision: str, threads: int | None) -> Check | None:
    known = recall(FILE, key_of(network, engine, device, precision, threads))
    try:
        return Check(**known)
    except TypeError:  # nothing, or something else
        return None


def _remember(network: Network, result: Check, threads: int | None) -> None:
    remember(FILE, key_of(network, result.engine, result.device, result.precision, threads), asdict(result))
