"""How near compressed networks stay to the one they were made from, and what that costs in quality."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_liif.errors import UsageError
from edge_liif.evaluate.datasets import Dataset, Downsample, load_rgb, low_resolution
from edge_liif.evaluate.metrics import psnr_y
from edge_liif.evaluate.protocol import BICUBIC, Enlarger, enlarge_bicubic


@dataclass(frozen=True)
class Fidelity:
    """One method on one data set: mean over n pictures of PSNR-Y against the originals, and of PSNR-Y against the
    reference network's own output (infinite where they are equal), dB."""

    dataset: str
    method: str
    n: int
    psnr_y: float
    fidelity: float


def measure_fidelity(
    reference: tuple[str, Enlarger],
    methods: Mapping[str, Enlarger],
    datasets: Sequence[Dataset],
    scale: float,
    downsample: Downsample = "matlab",
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Fidelity]:
    """Enlarge every picture's LR by the reference, by every method and by bicubic; protocol as `evaluate`.

    reference: its name and its function. Rows by data set, bicubic first, then the reference.
    Raises UsageError for an empty request or a name used twice, ImageError if a picture can't be used.
    """
    if not datasets:
        raise UsageError("Nothing to measure: give at least one data set.")
    name, original = reference
    if taken := {name, BICUBIC} & methods.keys():
        raise UsageError(f"The name {min(taken)!r} is the reference's or the baseline's; give the method another.")
    others = {BICUBIC: enlarge_bicubic, name: original, **methods}
    total = len(others) * sum(len(d.paths[:limit]) for d in datasets)
    done = 0
    rows = []
    border = math.ceil(scale)
    for dataset in datasets:
        truth: dict[str, list[float]] = {m: [] for m in others}
        near: dict[str, list[float]] = {m: [] for m in others}
        for path in dataset.paths[:limit]:
            hr, lr, _ = low_resolution(load_rgb(path), scale, downsample)
            own = np.clip(original(lr.copy(), hr.shape[:2]), 0, 1)
            for method, enlarge in others.items():
                result = own if method == name else np.clip(enlarge(lr.copy(), hr.shape[:2]), 0, 1)
                truth[method].append(psnr_y(result, hr, border))
                near[method].append(psnr_y(result, own, border))
                done += 1
                if progress is not None:
                    progress(done, total)
        n = len(dataset.paths[:limit])
        rows += [Fidelity(dataset.name, m, n, sum(truth[m]) / n, sum(near[m]) / n) for m in others]
    return rows
