"""What quality is measured on: folders of high-resolution pictures, and the low-resolution pictures made from them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_liif.errors import ImageError, UsageError
from edge_liif.evaluate.optional_packages import require
from edge_liif.evaluate.resize import crop_to_multiple, matlab_bicubic, pil_bicubic

Downsample: TypeAlias = Literal["pil", "matlab"]

PICTURE_SUFFIXES = frozenset({".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
LOW_RESOLUTION_SUFFIX = "_LR"
LARGEST_MATLAB_SCALE = 5
"""From x6 the literature has no MATLAB-made LR pictures: LIIF and its successors use Pillow there."""


@dataclass(frozen=True)
class Dataset:
    """The high-resolution pictures of one folder: `name` is the folder's, `paths` are sorted by name, never empty."""

    name: str
    paths: tuple[Path, ...]


class ResolutionPair(NamedTuple):
    """A picture and what it was reduced to, uint8 (H, W, 3), and the resizer used, not always the one asked for."""

    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]
    method: Downsample


def find_datasets(folders: Iterable[str | Path]) -> list[Dataset]:
    """The data sets in `folders`: a folder that holds pictures is one, else each of its folders that holds pictures is.

    Hidden files, files that aren't pictures (by suffix) and folders named `..._LR` are passed over; a folder given
    twice counts once. Raises `UsageError` if a folder is missing or holds no picture, or two data sets share a name.
    """
    found: dict[Path, Dataset] = {}
    for given in folders:
        folder = Path(given)
        if not folder.is_dir():
            raise UsageError(f"{folder}: not a folder; give a folder of pictures, or a folder of such folders.")
        resolved = folder.resolve()
        here = [dataset for dataset in [_dataset_in(resolved)] if dataset]
        below = here or [
            dataset for child in _visible(resolved) if child.is_dir() for dataset in [_dataset_in(child)] if dataset
        ]
        if not below:
            raise UsageError(
                f"{folder}: no pictures here or one folder below (hidden files and folders named "
                f"*{LOW_RESOLUTION_SUFFIX} don't count)."
            )
        found.update({dataset.paths[0].parent: dataset for dataset in below})
    if not found:
        raise UsageError("No folder of pictures was given to measure on.")
    names = [dataset.name for dataset in found.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"Two folders are named {', '.join(twice)}: their rows could not be told apart; rename one.")
    return list(found.values())


def load_rgb(path: str | Path) -> NDArray[np.uint8]:
    """Read a picture as uint8 (H, W, 3), RGB; grey becomes three equal channels. Orientation tags are not applied.

    Raises `ImageError` if it can't be read or decoded, is not 8 bit, or has an alpha channel: a measurement on a
    silently converted picture would be a measurement of the conversion.
    """
    cv2 = require("cv2")
    try:
        encoded = np.frombuffer(Path(path).read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"{path}: can't be read: {error.strerror or error}.") from error
    try:
        decoded: NDArray[Any] | None = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED) if encoded.size else None
    except cv2.error:
        decoded = None
    if decoded is None:
        raise ImageError(f"{path}: not a picture that can be decoded, or damaged.")
    if decoded.dtype != np.uint8:
        raise ImageError(f"{path}: {decoded.dtype} samples; quality is measured on 8-bit pictures only.")
    if decoded.ndim == 2:
        return np.repeat(decoded[:, :, None], 3, axis=2)
    if decoded.shape[2] != 3:
        raise ImageError(f"{path}: has an alpha channel; remove it, quality is measured on opaque pictures only.")
    return np.ascontiguousarray(decoded[:, :, ::-1])


def low_resolution(hr: NDArray[np.uint8], scale: float, method: Downsample) -> ResolutionPair:
    """Crop `hr`, uint8 (H, W, 3), so that `scale` fits, and reduce it by `scale`: (cropped HR, LR, method used).

    A whole scale crops HR top-left to multiples of it. Any other (2.7, say) makes LR of floor(side / scale) and crops
    HR to round(LR side * scale), as LIIF's `sr-implicit-downsampled` does. `method` "matlab" holds for x2 to x5;
    fractional scales and x6 and up are reduced by Pillow whatever was asked, and the result's `method` says so.
    Raises `UsageError` for a scale not above 1, an unknown method, or a picture too small for the scale.
    """
    if method not in ("pil", "matlab"):
        raise UsageError(f"Unknown downsampling {method!r}: 'pil' or 'matlab'.")
    if not (math.isfinite(scale) and scale > 1):
        raise UsageError(f"Quality is measured at scales above 1, not at {scale}.")
    if scale != int(scale):
        return _fractional_low_resolution(hr, scale)
    step = int(scale)
    cropped = crop_to_multiple(hr, step)
    if method == "matlab" and step <= LARGEST_MATLAB_SCALE:
        return ResolutionPair(cropped, matlab_bicubic(cropped, 1 / step), "matlab")
    return ResolutionPair(cropped, pil_bicubic(cropped, (cropped.shape[0] // step, cropped.shape[1] // step)), "pil")


def _fractional_low_resolution(hr: NDArray[np.uint8], scale: float) -> ResolutionPair:
    height, width = (math.floor(side / scale + 1e-9) for side in hr.shape[:2])
    if height < 1 or width < 1:
        raise UsageError(f"A picture of {hr.shape[1]} x {hr.shape[0]} pixels is too small for scale {scale:g}.")
    cropped = hr[: round(height * scale), : round(width * scale)]
    return ResolutionPair(cropped, pil_bicubic(cropped, (height, width)), "pil")


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: can't be listed: {error.strerror or error}.") from error


def _dataset_in(folder: Path) -> Dataset | None:
    if folder.name.endswith(LOW_RESOLUTION_SUFFIX):
        return None
    paths = tuple(p for p in _visible(folder) if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
    return Dataset(folder.name, paths) if paths else None
