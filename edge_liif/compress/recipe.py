"""The recipe of the synthetic calibration pictures: small, versioned, to and from TOML.

A recipe and a seed are all that data-free statistics depend on besides the network itself, so they are kept in files
(`calibration/`) and named by every compressed model.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..toml_file import read_toml

RECIPE_VERSION = 1
LARGEST_SIDE = 4096  # pixels that a picture is painted at
MOST_BYTES = 1 << 30  # of all pictures together


@dataclass(frozen=True)
class Recipe:
    """What pictures, how many, and from which random numbers.

    count: pictures; size: side of each in LR pixels; seed: 0..2^63 - 1.
    noise_share: pictures of pure 1/f noise; extreme_share: flat, ramped, black and white ones; vivid_share: mosaics of
    flat, mostly vivid colours; all others (shares of `count`, rounded) are dead leaves. jpeg_share: of the leaves and
    noise pictures, those that pass through JPEG, at a quality drawn from jpeg_quality, both ends included.
    reduce: leaves are painted at so many times the size and reduced by bicubic; smallest_radius, largest_radius: of
    leaves, in LR pixels; texture: largest standard deviation of a leaf's texture, as a share of full scale.
    Raises UsageError that names the key for anything out of range.
    """

    version: int = RECIPE_VERSION
    count: int = 20
    size: int = 96
    seed: int = 0
    noise_share: float = 0.2
    extreme_share: float = 0.15
    vivid_share: float = 0.15
    jpeg_share: float = 0.3
    jpeg_quality: tuple[int, int] = (30, 95)
    reduce: int = 3
    smallest_radius: float = 2.0
    largest_radius: float = 48.0
    texture: float = 0.2

    def __post_init__(self) -> None:
        if self.version != RECIPE_VERSION or type(self.version) is not int:
            raise UsageError(f"version must be {RECIPE_VERSION}, not {self.version!r:.60}")
        _check_whole("count", self.count, 1, 10_000)
        _check_whole("size", self.size, 16, LARGEST_SIDE)
        _check_whole("seed", self.seed, 0, (1 << 63) - 1)
        _check_whole("reduce", self.reduce, 1, 8)
        for key in ("noise_share", "extreme_share", "vivid_share", "jpeg_share"):
            _check_number(key, getattr(self, key), 0, 1)
        if self.noise_share + self.extreme_share + self.vivid_share > 1:
            raise UsageError("noise_share, extreme_share and vivid_share must not be more than 1 together")
        if type(self.jpeg_quality) is not tuple or len(self.jpeg_quality) != 2:
            raise UsageError(
                f"jpeg_quality must be two whole numbers, lowest and highest, not {self.jpeg_quality!r:.60}"
            )
        lowest, highest = self.jpeg_quality
        _check_whole("jpeg_quality", highest, 1, 100)
        _check_whole("jpeg_quality", lowest, 1, highest)
        _check_number("largest_radius", self.largest_radius, 0.5, 2 * self.size)
        _check_number("smallest_radius", self.smallest_radius, 0.5, self.largest_radius)
        _check_number("texture", self.texture, 0, 1)
        if self.size * self.reduce > LARGEST_SIDE:
            raise UsageError(f"size times reduce must not be above {LARGEST_SIDE} pixels")
        if self.count * self.size**2 * 3 > MOST_BYTES:
            raise UsageError(f"count pictures of this size would take more than {MOST_BYTES >> 20} MiB")

    def to_toml(self) -> str:
        """One `key = value` a line; `read_recipe` gives an equal recipe back."""
        lines = []
        for key, value in asdict(self).items():
            # repr of Python's whole numbers and finite floats is TOML
            lines.append(f"{key} = {list(value) if isinstance(value, tuple) else value!r}\n")
        return "".join(lines)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file; keys that it lacks have the default, but `version` must be there.
    Raises UsageError that names file and key."""
    try:
        values = read_toml(path)
    except OSError as error:
        raise UsageError(f"{path}: can't read the recipe: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise UsageError(f"{path}: not a recipe in TOML: {error}") from error
    known = [field.name for field in fields(Recipe)]
    for key in values:
        if key not in known:
            raise UsageError(f"{path}: unknown key {key!r:.60} (known: {', '.join(known)})")
    if "version" not in values:
        raise UsageError(f"{path}: version is missing")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        return Recipe(**values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe as TOML. Raises UsageError if the file can't be written."""
    try:
        path.write_text(recipe.to_toml(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: can't write the recipe: {error.strerror or error}") from error


def _check_whole(key: str, value: Any, lowest: int, highest: int) -> None:
    if type(value) is not int or not lowest <= value <= highest:
        raise UsageError(f"{key} must be a whole number of {lowest}..{highest}, not {value!r:.60}")


def _check_number(key: str, value: Any, lowest: float, highest: float) -> None:
    if type(value) not in (int, float) or not math.isfinite(value) or not lowest <= value <= highest:
        raise UsageError(f"{key} must be a number of {lowest}..{highest}, not {value!r:.60}")
