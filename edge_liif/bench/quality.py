"""Quality of one way to enlarge: picture by picture, against the originals and against the uncompressed network."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..evaluate.datasets import Dataset, Downsample, load_rgb, low_resolution
from ..evaluate.lpips import Distance
from ..evaluate.metrics import MS_SSIM_SMALLEST, ms_ssim_y, psnr_y, ssim_y
from ..evaluate.protocol import Enlarger, check_enlarged
from ..model.zoo import sha256_of
from .store import key_of

METRICS = ("psnr_y", "ssim", "ms_ssim", "lpips", "fidelity")
# Of the reference's outputs, which every other point is compared with, so many bytes are kept.
REMEMBERED_BYTES = 1 << 30
Pair: TypeAlias = tuple[str, str, NDArray[np.uint8], NDArray[np.uint8]]
"""Data set, picture's name, HR, LR."""


@dataclass(frozen=True)
class Pictures:
    """What is measured on; share: (k, n) for every n-th picture from the k-th on. Raises UsageError, ImageError where a
    picture can't be used."""

    datasets: Sequence[Dataset]
    scale: float
    downsample: Downsample
    limit: int | None
    share: tuple[int, int] = (0, 1)

    def key(self) -> str:
        """Hash of all the pictures' contents and of how LR is made."""
        files = [(dataset, path.name, sha256_of(path)) for dataset, path in self._all()]
        return key_of(files, self.scale, self.downsample)

    @property
    def count(self) -> int:
        return len(self._shared())

    def pairs(self, wanted: Container[int] | None = None) -> Iterator[Pair]:
        """One after the other, all or those of these numbers."""
        for number, (dataset, path) in enumerate(self._shared()):
            if wanted is not None and number not in wanted:
                continue
            pair = low_resolution(load_rgb(path), self.scale, self.downsample)
            yield dataset, path.name, pair.hr, pair.lr

    def _all(self) -> list[tuple[str, Path]]:
        return [(d.name, path) for d in self.datasets for path in d.paths[: self.limit]]

    def _shared(self) -> list[tuple[str, Path]]:
        first, step = self.share
        return self._all()[first::step]


def remembered(enlarge: Enlarger, most_bytes: int = REMEMBERED_BYTES) -> Enlarger:
    """The same function, which computes a picture once as long as its results take no more than so many bytes."""
    known: dict[str, NDArray[np.float32]] = {}
    held = 0

    def call(lr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
        nonlocal held
        key = key_of(lr.shape, size, lr.tobytes().hex())
        if key in known:
            return known[key]
        result = enlarge(lr, size)
        if held + result.nbytes <= most_bytes:
            known[key] = result
            held += result.nbytes
        return result

    return call


def measure(
    enlarge: Enlarger,
    reference: Enlarger | None,
    pictures: Pictures,
    step: Callable[[], None],
    lpips: Distance | None = None,
) -> list[dict[str, Any]]:
    """A dictionary for each picture: data set, image, and METRICS; fidelity is PSNR-Y to the reference's own output,
    None where there is no reference or they are equal; MS-SSIM is None for pictures too small for it, LPIPS for those
    and where there is no function for it. Raises EngineError for a result of another size or with values that are not
    finite."""
    border = math.ceil(pictures.scale)
    found = []
    for dataset, image, hr, lr in pictures.pairs():
        size = hr.shape[:2]
        result = enlarge(lr.copy(), size)
        check_enlarged(result, hr.shape, image)
        result = np.clip(result, 0, 1)
        near = math.inf
        if reference is not None:
            own = reference(lr.copy(), size)
            check_enlarged(own, hr.shape, f"{image}, uncompressed network")
            near = psnr_y(result, np.clip(own, 0, 1), border)
        large = min(size) - 2 * border >= MS_SSIM_SMALLEST
        truth = psnr_y(result, hr, border)
        found.append(
            {
                "dataset": dataset,
                "image": image,
                # JSON has no infinity; equal to the original, to within what uint8 shows
                "psnr_y": min(truth, 99.0),
                "ssim": ssim_y(result, hr, border),
                "ms_ssim": ms_ssim_y(result, hr, border) if large else None,
                # AlexNet's five scales want as much of a picture
                "lpips": lpips(result, hr, border) if lpips is not None and large else None,
                "fidelity": near if math.isfinite(near) else None,
            }
        )
        step()
    return found


def means(scores: Sequence[dict[str, Any]]) -> tuple[dict[str, dict[str, float | None]], dict[str, float | None]]:
    """By data set, and of all pictures, the mean of every metric; None where it was measured nowhere."""
    names = dict.fromkeys(s["dataset"] for s in scores)
    return {name: _mean([s for s in scores if s["dataset"] == name]) for name in names}, _mean(scores)


def _mean(scores: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    result: dict[str, float | None] = {}
    for metric in METRICS:
        values = [s[metric] for s in scores if s[metric] is not None]
        result[metric] = sum(values) / len(values) if values else None
    return result
