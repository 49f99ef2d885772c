"""Crops of real photographs to calibrate on. What comes of them is not data-free; it is the bar to reach without."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..evaluate.datasets import find_datasets, load_rgb
from .frozen import pictures_digest
from .recipe import Recipe
from .synthetic import PHOTOGRAPHIC, plan, synthesize


def with_photographs(recipe: Recipe, folders: list[Path]) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The pictures of a recipe, crops of photographs in place of its leaves and noise, coded as JPEG as those would be;
    and what a compressed file says about them.

    Its pages and mosaics stay, because photographs have few vivid colours (`benchmarks/real_pictures.py`).
    Raises UsageError if no picture is large enough, or if the recipe has no place for any.
    """
    count = sum(planned.kind in PHOTOGRAPHIC for planned in plan(recipe))
    if not count:
        raise UsageError("the recipe has no leaves and no noise, whose places photographs would take")
    photographs = crops(folders, count, recipe.size, recipe.reduce, recipe.seed)
    return synthesize(recipe, photographs), {"recipe": asdict(recipe), "photographs": pictures_digest(photographs)}


def crops(folders: list[Path], count: int = 20, size: int = 96, reduce: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (count, size, size, 3): places drawn at random, reduced by area so that a pixel is as sharp as an LR pixel
    is.

    Raises UsageError if no picture is large enough.
    """
    rng = np.random.default_rng(seed)
    paths = [path for dataset in find_datasets(folders) for path in dataset.paths]
    side = size * reduce
    found: list[NDArray[np.uint8]] = []
    order = rng.permutation(len(paths)).tolist()
    for _ in range(count):
        for i in order:
            picture = load_rgb(paths[i])
            if min(picture.shape[:2]) >= side:
                row, column = (int(rng.integers(0, length - side + 1)) for length in picture.shape[:2])
                part = picture[row : row + side, column : column + side]
                found.append(np.asarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA), np.uint8))
            if len(found) == count:
                return np.stack(found)
        if not found:
            break
    raise UsageError(f"{', '.join(map(str, folders))}: no picture of at least {side} x {side} pixels to calibrate on")
