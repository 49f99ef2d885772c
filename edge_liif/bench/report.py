"""The report of a sweep: one JSON-serialisable dictionary for the page, the tables and `--json`.

    title, command, created, commit, environment {name: text}, protocol
    datasets [{name, n}], scales [..], bicubic [{scale, quality, mean}]
    points [{id, name, model, recipe, method, data_free, peer, note (what a reader has to know beside the numbers),
             engine, precision, device, scale, bytes, multiply_adds (per output pixel), quality {data set: {psnr_y,
             ssim, ms_ssim, lpips, fidelity}}, mean {the same}, speed {seconds, low, high, rounds, ratio, ratio_low,
             ratio_high, lr_mp_s, hr_mp_s}, start_seconds, peak_bytes, commands}]
    sensitivity {model: [{layer, share}]}, crops [{name, scale, images {original, bicubic, id: data URI}}]
    missing [{name, reason}], answers [{question, answer}]

Whatever was not measured is None.
"""

from __future__ import annotations

import datetime
import shlex
import subprocess
from pathlib import Path
from typing import Any

from ..compress.config import CompressConfig
from .answers import answers
from .peers.kinds import EnlargingPeer
from .peers.protocol import about_peers, peer_versions
from .quality import means
from .recipe import ORIGINAL, REAL_TWIN, BenchRecipe
from .run import Measured, Point
from .sweep import Sweep


def make_report(sweep: Sweep, measured: Measured, command: str) -> dict[str, Any]:
    """The dictionary above."""
    report: dict[str, Any] = {
        "title": "edge-liif bench: " + ", ".join(sweep.models),
        "command": command,
        "created": datetime.date.today().isoformat(),
        "commit": _commit(),
        "environment": measured.environment | peer_versions(measured.points),
        "protocol": _protocol(sweep, measured) + about_peers(measured.points),
        "datasets": measured.datasets,
        "scales": list(sweep.scales),
        "bicubic": [_quality(measured, None, scale) | {"scale": scale} for scale in sweep.scales],
        "points": [_point(sweep, measured, p, scale) for scale in sweep.scales for p in measured.at(scale)],
        "sensitivity": _sensitivity(measured),
        "crops": measured.crops,
        "missing": measured.missing,
    }
    return report | {"answers": answers(report)}


def _quality(measured: Measured, key: str | None, scale: float) -> dict[str, Any]:
    by_set, mean = means(measured.quality[key, scale])
    return {"quality": by_set, "mean": mean}


def _point(sweep: Sweep, measured: Measured, point: Point, scale: float) -> dict[str, Any]:
    speed = measured.speed.get((point.key, scale))
    recipe = point.recipe
    facts: dict[str, Any] = {
        "id": point.key,
        "name": point.name,
        "model": point.model,
        "recipe": None if point.file is None else recipe.title,
        "method": None if recipe.config is None else recipe.config.method,
        "data_free": _data_free(point),
        "peer": point.peer is not None,
        "note": None if point.peer is None else point.peer.note,
        "engine": point.engine or None,
        "precision": point.precision or None,
        "device": "cpu",
        "scale": scale,
        "bytes": _bytes(point, scale),
        "multiply_adds": None if point.file is None else point.file.multiply_adds[scale],
        **_quality(measured, point.key, scale),
        "speed": None,
        "start_seconds": None,
        "peak_bytes": None,
        "commands": _commands(point, scale),
    }
    if speed is not None:
        # by the ratio, not by the clock: points that were timed at other hours compare
        rate = sweep.size[0] * sweep.size[1] / 1e6 / speed["level_seconds"]
        rates = {"lr_mp_s": rate, "hr_mp_s": rate * scale**2}
        kept = ("seconds", "low", "high", "rounds", "ratio", "ratio_low", "ratio_high")
        facts["speed"] = {key: speed[key] for key in kept} | rates
        facts |= {"start_seconds": speed["start_seconds"], "peak_bytes": speed["peak_bytes"]}
    return facts


def _data_free(point: Point) -> bool | None:
    """Whether no real picture was used; None for networks of others, of which nothing was made here."""
    if point.file is None and point.peer is not None and point.peer.packages:
        return None
    return point.recipe.calibrate_on is None


def _bytes(point: Point, scale: float) -> int | None:
    """Of the file; of another network what is loaded for this scale; of an uncompressed one in fp32 its parameters in
    fp32, because a file of halves is smaller already."""
    if isinstance(point.peer, EnlargingPeer):
        return point.peer.bytes(scale)
    assert point.file is not None
    whole = point.recipe.name == ORIGINAL and point.file.parent_sha256 is None and point.precision == "fp32"
    return point.file.fp32_bytes if whole else point.file.bytes


def _commands(point: Point, scale: float) -> dict[str, str | None]:
    if point.peer:
        return {"compress": None, "run": None}
    output = f"{Path(point.model).stem}-{point.recipe.name.replace(':', '-')}.safetensors"
    model = point.model if point.recipe.name == ORIGINAL else point.recipe.name
    if point.recipe.config is not None:
        model = output
    run = ["edge-liif", "run", "--scale", f"{scale:g}", "--model", model]
    run += ["--engine", point.engine, "--precision", point.precision, "photo.jpg"]
    return {"compress": compress_command(point.model, point.recipe, output), "run": shlex.join(run)}


def compress_command(model: str, recipe: BenchRecipe, output: str) -> str | None:
    """The `edge-liif compress` that a recipe stands for; None for the network as it is."""
    config = recipe.config
    if config is None:
        return None
    words = ["edge-liif", "compress", model]
    if any(getattr(config, name) != getattr(CompressConfig, name) for name in _ONLY_IN_FILES):
        # a file with the settings of the sweep's [[recipe]]
        words += ["--config", f"{recipe.name.removesuffix(REAL_TWIN)}.toml"]
        return shlex.join([*words, *_calibration(recipe), "-o", output])
    if config.prune:
        words += ["--prune", f"{config.prune:g}"]
    if config.weight_bits is not None:
        words += ["--weight-bits", str(config.weight_bits)]
    if config.activation_bits is not None:
        words += ["--activation-bits", str(config.activation_bits)]
    if config.method != "lockstep":
        words += ["--method", config.method]
    if config.score is not None:
        words += ["--score", config.score]
    if config.scale != CompressConfig.scale:
        words += ["--scale", f"{config.scale:g}"]
    if config.multiple != CompressConfig.multiple:
        words += ["--multiple", str(config.multiple)]
    for pattern, bits in config.keep.items():
        words += ["--keep", f"{pattern}={bits}"]
    if config.equalise is not None:
        words.append("--equalise" if config.equalise else "--no-equalise")
    if config.statistics != "synthetic":
        words += ["--statistics", config.statistics]
    if config.seed:
        words += ["--seed", str(config.seed)]
    return shlex.join([*words, *_calibration(recipe), "-o", output])


def _calibration(recipe: BenchRecipe) -> list[str]:
    return [] if recipe.calibrate_on is None else ["--calibrate-on", str(recipe.calibrate_on)]


_ONLY_IN_FILES = ("margin", "per_channel", "queries")
"""Settings that `edge-liif compress` has no options for."""


def _sensitivity(measured: Measured) -> dict[str, list[dict[str, Any]]]:
    """Of each model, the first recipe that predicts."""
    found: dict[str, list[dict[str, Any]]] = {}
    known = set()
    for point in measured.points:
        if point.file is not None and point.file.sensitivity and point.model not in known:
            known.add(point.model)
            rows = [{"layer": layer, "share": share} for layer, share in point.file.sensitivity.items()]
            found[f"{point.model}, {point.recipe.title}"] = rows
    return found


def _protocol(sweep: Sweep, measured: Measured) -> str:
    resizer = "MATLAB" if sweep.downsample == "matlab" else "PIL"
    text = (
        f"LR by {resizer} bicubic (fractional scales and x6 up: PIL); every method enlarges the same uint8 LR; results "
        "clamped, not rounded; PSNR-Y in dB of the RGB difference weighted [65.738, 129.057, 25.064]/256, SSIM and "
        "MS-SSIM of BT.601 Y, a border of ceil(scale) pixels left out, means of the pictures' values. Fidelity is "
        "PSNR-Y to the uncompressed network's own output."
    )
    if any(score["lpips"] is not None for scores in measured.quality.values() for score in scores):
        text += " LPIPS by its authors' package, AlexNet."
    if sweep.rounds:
        text += (
            f" Speed: a picture of {sweep.size[0]}x{sweep.size[1]} LR pixels, array to array, every point a process of "
            f"its own, in turns, {sweep.rounds} rounds; ratio: the first point's time by the point's in the same "
            "round. Megapixels a second are the first point's times the ratio: points compare whenever they were timed."
        )
    return text


def _commit() -> str | None:
    """Of the checkout that this package lies in, if it lies in one; with a + if files were changed."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None
