"""A sweep from its settings to the report: every point compressed, measured, timed and shown, resumed where it stopped.

The report is one dictionary, which the page, the tables and `--json` all show; `report.py` says what is in it.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..compress.real_pictures import crops as crops_of
from ..engine.cores import usable_cpus
from ..engine.select import candidates
from ..errors import EdgeLiifError, EngineError, OutOfMemory
from ..evaluate.datasets import find_datasets
from ..evaluate.environment import environment_facts
from ..evaluate.lpips import lpips_version
from .crops import crops
from .measurer import measurer, perceptual_distance
from .networks import NetworkFile, network_file
from .peers.points import enlarging_point, peer_points
from .peers.table import BICUBIC
from .point import Point
from .quality import Pictures
from .recipe import ORIGINAL, UNCOMPRESSED, BenchRecipe
from .store import Store, code_version, key_of
from .sweep import Sweep
from .turns import time_in_turns

Progress = Callable[[int, int, str], None]
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass
class Measured:
    """What was found out. quality: scores by picture of (point, scale), None for bicubic; speed: facts of (point,
    scale); missing: names and reasons; failed: (point, scale) without quality; commands and so on are made of the
    points."""

    points: list[Point]
    quality: dict[tuple[str | None, float], list[dict[str, Any]]]
    speed: dict[tuple[str, float], dict[str, Any]]
    crops: list[dict[str, Any]]
    missing: list[dict[str, str]]
    environment: dict[str, str]
    datasets: list[dict[str, Any]]

    failed: set[tuple[str, float]] = field(default_factory=set)

    def at(self, scale: float) -> list[Point]:
        """The points that can enlarge by this factor, but those that failed to."""
        return [p for p in self.points if p.has(scale) and (p.key, scale) not in self.failed]

    def fail(self, point: Point, scale: float, reason: object) -> None:
        """The point has no numbers at this scale."""
        self.failed.add((point.key, scale))
        self.missing.append({"name": f"{point.name} at x{scale:g}", "reason": str(reason)})


def run_sweep(sweep: Sweep, store: Store, progress: Progress | None = None) -> Measured:
    """Measure every point of a sweep. A point that fails is named with its reason, and the others go on; a model's
    uncompressed network in fp32 is measured whether it was asked for or not, because all is compared with it.

    Raises UsageError, ModelError, EngineError where nothing can be measured.
    """
    missing: list[dict[str, str]] = []
    steps = _Steps(sweep, progress)
    datasets = find_datasets(sweep.data)
    points = _points(sweep, store, missing, steps)
    steps.expect(points, datasets)
    measured = Measured(
        points,
        {},
        {},
        [],
        missing,
        environment_facts() | {"usable cores": str(usable_cpus())} | _settings_of_the_machine(),
        [{"name": d.name, "n": len(d.paths[: sweep.limit])} for d in datasets],
    )
    perceptual = _Perceptual(missing)
    for scale in sweep.scales:
        pictures = Pictures(datasets, scale, sweep.downsample, sweep.limit)
        _quality(sweep, store, pictures, measured, steps, perceptual)
        if sweep.rounds:
            _speed(sweep, store, scale, measured, steps)
        if sweep.crops:
            measured.crops += _crops(sweep, store, pictures, measured)
    return measured


def _settings_of_the_machine() -> dict[str, str]:
    """What changes speeds without changing the machine, where it can be seen: the first core's frequency governor, and
    oneDNN's ceiling of instruction sets."""
    found = {}
    with contextlib.suppress(OSError):
        found["governor"] = GOVERNOR.read_text().strip()
    if ceiling := os.environ.get("ONEDNN_MAX_CPU_ISA"):
        found["ONEDNN_MAX_CPU_ISA"] = ceiling
    return found


def reference_of(points: list[Point], model: str) -> Point:
    """What a model's points are compared with: its uncompressed network in fp32, or, of a model that is compressed and
    whose parent is not in the sweep, the model as it is."""
    return next(p for p in points if p.model == model and p.recipe.name == ORIGINAL)


class _Steps:
    """Counts what is done: a compression, a picture enlarged, a turn of a timing."""

    def __init__(self, sweep: Sweep, progress: Progress | None) -> None:
        self._sweep, self._progress = sweep, progress
        self._done, self._total = 0, 0

    def compressing(self, recipes: int) -> None:
        self._total += recipes

    def expect(self, points: list[Point], datasets: Any) -> None:
        pictures = sum(len(d.paths[: self._sweep.limit]) for d in datasets)
        turns = (self._sweep.rounds + 1) if self._sweep.rounds else 0
        for scale in self._sweep.scales:
            here = sum(point.has(scale) for point in points)
            self._total += (here + 1) * pictures + here * turns

    def __call__(self, label: str, count: int = 1) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total, label)


def _points(sweep: Sweep, store: Store, missing: list[dict[str, str]], steps: _Steps) -> list[Point]:
    points: list[Point] = []
    bases = {m: network_file(m, UNCOMPRESSED, sweep.scales, store) for m in sweep.models}
    # before anything that takes long: the folder may hold no picture of use
    pictures = None if sweep.calibrate_on is None else crops_of([sweep.calibrate_on])
    parents = {base.sha256: model for model, base in bases.items()}
    recipes = [r for r in sweep.recipes if r.config is not None]
    steps.compressing(len(recipes) * sum(base.parent_sha256 is None for base in bases.values()))
    # those that others were made from come first
    for model, base in sorted(bases.items(), key=lambda item: item[1].parent_sha256 is not None):
        if base.parent_sha256 is not None:
            # compressed already: measured as it is, beside the network that it came from
            parent = parents.get(base.parent_sha256)
            recipe = UNCOMPRESSED if parent is None else BenchRecipe(model, None)
            points += _ways(sweep, parent or model, recipe, base, missing)
            continue
        wanted = replace(sweep, precisions=tuple(dict.fromkeys(["fp32", *sweep.precisions])))
        asked = any(r.config is None for r in sweep.recipes)
        ways = _ways(wanted, model, UNCOMPRESSED, base, missing)
        if not ways or ways[0].precision != "fp32":
            raise EngineError(f"{model}: none of the engines has fp32, which all is compared with")
        points += ways if asked else ways[:1]
        for recipe in recipes:
            try:
                file = network_file(model, recipe, sweep.scales, store)
            except EdgeLiifError as error:
                missing.append({"name": f"{model}, {recipe.title}", "reason": str(error)})
            else:
                points += _ways(sweep, model, recipe, file, missing)
            steps(f"{model}, {recipe.title}")
    if sweep.peers:
        points += peer_points(sweep, bases, pictures, store, missing, lambda label: steps(label, 0))
    return points


def _ways(
    sweep: Sweep, model: str, recipe: BenchRecipe, file: NetworkFile, missing: list[dict[str, str]]
) -> list[Point]:
    """The engines and precisions in which a network runs here: integers for networks made for them, else floats."""
    found = []
    for engine in sweep.engines:
        able = {precision for _, _, precision in candidates(engine, "cpu", integer=file.integer)}
        for precision in sweep.precisions:
            if (precision == "int8") != file.integer:
                continue
            point = Point(model, recipe, engine, precision, file)
            if precision in able:
                found.append(point)
            else:
                missing.append({"name": point.name, "reason": f"{engine} has no {precision} on this machine"})
    if not found and not any(m["name"].startswith(f"{model}, {recipe.title}, ") for m in missing):
        reason = f"needs {'int8' if file.integer else 'a precision in floats'}, which was not asked for"
        missing.append({"name": f"{model}, {recipe.title}", "reason": reason})
    return found


class _Perceptual:
    """LPIPS, tried before the first picture is measured; who hasn't installed it hasn't asked for it."""

    def __init__(self, missing: list[dict[str, str]]) -> None:
        self.version = lpips_version()
        self._missing = missing

    @functools.cached_property
    def works(self) -> bool:
        if self.version is None:
            return False
        try:
            perceptual_distance()
        except EngineError as error:
            self._missing.append({"name": "LPIPS", "reason": str(error)})
            return False
        return True


def _quality(
    sweep: Sweep, store: Store, pictures: Pictures, measured: Measured, steps: _Steps, perceptual: _Perceptual
) -> None:
    where = key_of(
        "quality",
        pictures.key(),
        code_version(),
        measured.environment,
        perceptual.version,
        perceptual.works,
    )
    # found now: a point that fails is taken out of the list
    references = {p.model: reference_of(measured.points, p.model) for p in measured.points}
    bicubic = enlarging_point(BICUBIC)
    with measurer(pictures, sweep.jobs, sweep.threads, perceptual.works) as measure:
        for point in [bicubic, *measured.at(pictures.scale)]:
            own = None if point.file is None else references[point.model]
            key = key_of(where, point.key, None if own is None else own.key)
            scores = store.get(key)
            if scores is None:
                compared = None if own is None or own.key == point.key else own.words
                try:
                    step = functools.partial(steps, f"{point.name} x{pictures.scale:g}")
                    scores = measure(point.words, compared, step)
                except (EngineError, OutOfMemory) as error:
                    if point is bicubic:
                        raise
                    measured.fail(point, pictures.scale, error)
                    continue
                store.put(key, scores)
            else:
                steps(point.name, pictures.count)
            measured.quality[None if point is bicubic else point.key, pictures.scale] = scores


def _speed(sweep: Sweep, store: Store, scale: float, measured: Measured, steps: _Steps) -> None:
    """Each point against the first model's reference, which takes part in every group and keeps the numbers of its
    first. What other groups' points take at that machine's pace, `level_seconds`, follows from their ratio to it: so
    any two points compare, whenever they were timed."""
    points = measured.at(scale)
    if not points:
        return
    reference = points[0]
    where = key_of("speed", code_version(), measured.environment, scale, sweep.size, sweep.threads, sweep.rounds)
    keys = {p.key: key_of(where, reference.key, p.key) for p in points}
    known = {name: facts for name, key in keys.items() if (facts := store.get(key)) is not None}
    names = {p.key: p.name for p in points}
    todo = [p.runner(scale, sweep) for p in points if p.key not in known]
    step = functools.partial(steps, f"timing at x{scale:g}")
    step((len(points) - len(todo)) * (sweep.rounds + 1))
    if todo:
        for found, failed in time_in_turns(todo, reference.runner(scale, sweep), sweep.rounds, step):
            for name, facts in found.items():
                if name not in known:
                    known[name] = facts
                    store.put(keys[name], facts)
            reasons = {f"speed of {names[key]} at x{scale:g}": reason for key, reason in failed.items()}
            measured.missing += [{"name": name, "reason": reason} for name, reason in reasons.items()]
    if reference.key in known:
        pace = known[reference.key]["seconds"]
        for name, facts in known.items():
            measured.speed[name, scale] = {**facts, "level_seconds": pace / facts["ratio"]}


def _crops(sweep: Sweep, store: Store, pictures: Pictures, measured: Measured) -> list[dict[str, Any]]:
    points = {p.key: p for p in measured.at(pictures.scale)}
    key = key_of("crops", pictures.key(), code_version(), measured.environment, sweep.crops, list(points))
    found = store.get(key)
    if found is None:
        openers = {key: functools.partial(p.open, sweep.threads) for key, p in points.items()}

        def fail(key: str, error: Exception) -> None:
            measured.missing.append({"name": f"crops of {points[key].name}", "reason": str(error)})

        found = crops(pictures, openers, sweep.crops, fail)
        if all(points.keys() <= crop["images"].keys() for crop in found):
            # what failed for want of memory may have it next time
            store.put(key, found)
    return list(found)
