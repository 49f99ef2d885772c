"""The measurement: each picture is reduced (and JPEG-coded if asked), enlarged from that LR by every method, and
compared with the original."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_liif.errors import EngineError, UsageError
from edge_liif.evaluate.datasets import Dataset, Downsample, load_rgb, low_resolution
from edge_liif.evaluate.degrade import jpeg_coded
from edge_liif.evaluate.metrics import psnr_y, ssim_y
from edge_liif.evaluate.resize import pil_bicubic

Enlarger: TypeAlias = Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.float32]]
"""From LR uint8 (h, w, 3) and an output size (height, width) to float32 (height, width, 3) in 0..1."""

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called before every enlargement with how many are done, how many there are, and what comes next."""

Shave: TypeAlias = int | Literal["scale"]

BICUBIC = "bicubic"


@dataclass(frozen=True)
class ImageScore:
    """One method on one picture at one scale: PSNR-Y in dB (infinite if equal), SSIM-Y, seconds to enlarge it."""

    image: str
    psnr_y: float
    ssim_y: float
    seconds: float


@dataclass(frozen=True)
class Row:
    """One method on one data set at one scale.

    `downsample` is the resizer that made the LR (not always the one asked for), `shave` the border left out in pixels,
    `images` the score of every picture, `jpeg` the libjpeg quality (1..100, 4:2:0) at which the LR was coded, None if
    it was not. The means are means of the pictures' values, not of a pooled squared error.
    """

    dataset: str
    scale: float
    method: str
    downsample: Downsample
    shave: int
    images: tuple[ImageScore, ...]
    jpeg: int | None = None

    @property
    def n(self) -> int:
        """How many pictures were measured."""
        return len(self.images)

    @property
    def psnr_y(self) -> float:
        """Mean PSNR-Y over the pictures, dB."""
        return sum(score.psnr_y for score in self.images) / self.n

    @property
    def ssim_y(self) -> float:
        """Mean SSIM-Y over the pictures."""
        return sum(score.ssim_y for score in self.images) / self.n

    @property
    def seconds(self) -> float:
        """Time the method took for all pictures, without reading, reducing and comparing them."""
        return sum(score.seconds for score in self.images)


def enlarge_bicubic(lr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """The baseline: Pillow's bicubic of the uint8 LR (h, w, 3) to `size`, as float32 (height, width, 3) in 0..1.

    Rounded to uint8 by Pillow. That reproduces the usual baseline on Pillow-made LR (Set5 33.67/30.40/28.43, Set14
    30.33/27.63/26.09 dB at x2/x3/x4) within 0.01 dB; unrounded in float32 it scores up to 0.010 dB more.
    """
    return pil_bicubic(lr, size).astype(np.float32) / np.float32(255)


def evaluate(
    enlargers: Mapping[str, Enlarger],
    datasets: Sequence[Dataset],
    scales: Iterable[float],
    downsample: Downsample = "pil",
    shave: Shave = "scale",
    progress: Progress | None = None,
    limit: int | None = None,
    jpeg: Iterable[int | None] = (None,),
) -> list[Row]:
    """Measure bicubic and then every enlarger on every data set at every scale and JPEG quality; rows in that nesting,
    bicubic first.

    LR is made as `low_resolution` says, then coded by `jpeg_coded` at every quality of `jpeg`; None leaves it as it is.
    `shave` is the border left out of the comparison in pixels, "scale" for ceil(scale). `limit` measures only the first
    pictures of each data set. Results are clamped to 0..1, not rounded.
    Raises `UsageError` for an empty or contradictory request, `EngineError` if an enlarger's result has a wrong shape
    or type or is not finite, `ImageError` if a picture can't be used.
    """
    methods = _methods(enlargers)
    wanted_scales = list(dict.fromkeys(scales))
    qualities = list(dict.fromkeys(jpeg))
    if not datasets or not wanted_scales or not qualities:
        raise UsageError("Nothing to measure: give at least one data set, one scale and one JPEG quality (or None).")
    if limit is not None and limit < 1:
        raise UsageError(f"The limit of pictures must be at least 1, not {limit}.")
    if shave != "scale" and (not isinstance(shave, int) or shave < 0):
        raise UsageError(f"The border to leave out is 'scale' or a number of pixels, not {shave!r}.")
    total = len(wanted_scales) * len(qualities) * len(methods) * sum(len(dataset.paths[:limit]) for dataset in datasets)
    done = 0
    rows: list[Row] = []
    for dataset in datasets:
        for scale in wanted_scales:
            scores: dict[tuple[int | None, str], list[ImageScore]] = {
                (quality, name): [] for quality in qualities for name in methods
            }
            border = math.ceil(scale) if shave == "scale" else shave
            for path in dataset.paths[:limit]:
                try:
                    pair = low_resolution(load_rgb(path), scale, downsample)
                except UsageError as error:
                    raise UsageError(f"{path}: {error}") from error
                used = pair.method
                for quality in qualities:
                    lr = pair.lr if quality is None else jpeg_coded(pair.lr, quality)
                    coded = "" if quality is None else f" JPEG {quality}"
                    for name, enlarge in methods.items():
                        if progress:
                            progress(done, total, f"{dataset.name}/{path.name} x{scale:g}{coded} {name}")
                        scores[quality, name].append(_score(path.name, name, enlarge, lr, pair.hr, border))
                        done += 1
            rows += [
                Row(dataset.name, scale, name, used, border, tuple(images), quality)
                for (quality, name), images in scores.items()
            ]
    if progress:
        progress(done, total, "done")
    return rows


def check_enlarged(result: NDArray[np.float32], shape: tuple[int, ...], what: str) -> None:
    """Raises EngineError, beginning with `what`, for a result that is no float32 array of this shape, or not finite."""
    if result.shape != shape or result.dtype != np.float32:
        raise EngineError(
            f"{what}: expected float32 of {shape}, got {result.dtype} of {result.shape}; "
            "the enlarger is not usable for a measurement."
        )
    if not np.isfinite(result).all():
        raise EngineError(f"{what}: the result has values that are infinite or not numbers.")


def _methods(enlargers: Mapping[str, Enlarger]) -> dict[str, Enlarger]:
    if BICUBIC in enlargers:
        raise UsageError(f"The name {BICUBIC!r} is the baseline's, which is always measured; rename the enlarger.")
    return {BICUBIC: enlarge_bicubic, **enlargers}


def _score(
    image: str, method: str, enlarge: Enlarger, lr: NDArray[np.uint8], hr: NDArray[np.uint8], shave: int
) -> ImageScore:
    height, width = hr.shape[:2]
    # A copy, because a method that writes into its input would spoil it for the next one.
    own_lr = lr.copy()
    start = time.perf_counter()
    result = enlarge(own_lr, (height, width))
    seconds = time.perf_counter() - start
    check_enlarged(result, hr.shape, f"{method} on {image}")
    try:
        return ImageScore(image, psnr_y(result, hr, shave), ssim_y(result, hr, shave), seconds)
    except UsageError as error:
        raise UsageError(f"{method} on {image}: {error}") from error
