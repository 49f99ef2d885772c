"""Calibration pictures made from nothing: what data-free compression measures its statistics on.

Dead leaves, pure 1/f noise, a few extremes (so that ranges see black, white and full colours), mosaics of vivid
colours (so that pruning keeps the channels that carry them), some of it through JPEG.
Each picture has random numbers of its own, derived from the recipe's seed and the picture's number, and everything is
computed in one thread by numpy (JPEG by OpenCV): the same bytes whatever the number of cores.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..evaluate.degrade import jpeg_coded
from ..evaluate.resize import matlab_bicubic
from .dead_leaves import leaves_picture, noise_picture, to_uint8
from .recipe import Recipe

Kind: TypeAlias = Literal["leaves", "noise", "vivid", "mosaic", "halves", "ramp", "flat", "black", "white"]
EXTREMES: tuple[Kind, ...] = ("mosaic", "halves", "ramp", "flat", "black", "white")
"""In the order in which a recipe's share is filled, again and again: the first has flat pieces of any colour, the next
black, white and an edge."""
PHOTOGRAPHIC: tuple[Kind, ...] = ("leaves", "noise")
"""What stands for photographs; the rest is what no photograph is sure to have."""
MOSAIC_SIDE = 16
"""LR pixels of a mosaic's tile: most of it lies beyond the reach of its rim, as in a page of one colour."""


@dataclass(frozen=True)
class Planned:
    """One picture before it is made: its kind, and the JPEG quality it passes through, None for most."""

    kind: Kind
    jpeg_quality: int | None = None


def plan(recipe: Recipe) -> list[Planned]:
    """The pictures of a recipe, in their order, which is random: the first few are a fair sample of all."""
    generator = np.random.default_rng([recipe.seed, recipe.count])
    extremes = _rounded(recipe.extreme_share * recipe.count)
    vivid = min(_rounded(recipe.vivid_share * recipe.count), recipe.count - extremes)
    noise = min(_rounded(recipe.noise_share * recipe.count), recipe.count - extremes - vivid)
    kinds: list[Kind] = [EXTREMES[i % len(EXTREMES)] for i in range(extremes)]
    kinds += ["vivid"] * vivid
    kinds += ["noise"] * noise
    kinds += ["leaves"] * (recipe.count - len(kinds))
    textured = generator.permutation(np.arange(extremes + vivid, recipe.count))
    coded = set(textured[: _rounded(recipe.jpeg_share * len(textured))].tolist())
    lowest, highest = recipe.jpeg_quality
    qualities = generator.integers(lowest, highest + 1, recipe.count).tolist()
    pictures = [Planned(kind, qualities[i] if i in coded else None) for i, kind in enumerate(kinds)]
    return [pictures[i] for i in generator.permutation(recipe.count)]


def synthesize(recipe: Recipe, photographs: Iterable[NDArray[np.uint8]] | None = None) -> NDArray[np.uint8]:
    """The pictures of a recipe, uint8 (count, size, size, 3), RGB. The same recipe gives the same bytes.

    photographs: pictures (size, size, 3) that take the places of leaves and noise, as many as there are of those
    (`real_pictures.with_photographs`).
    """
    pictures = np.empty((recipe.count, recipe.size, recipe.size, 3), np.uint8)
    real = None if photographs is None else iter(photographs)
    for i, planned in enumerate(plan(recipe)):
        if real is not None and planned.kind in PHOTOGRAPHIC:
            picture = next(real)
        else:
            picture = _paint(planned.kind, recipe, np.random.default_rng([recipe.seed, recipe.count, i]))
        pictures[i] = picture if planned.jpeg_quality is None else jpeg_coded(picture, planned.jpeg_quality)
    return pictures


def _paint(kind: Kind, recipe: Recipe, generator: np.random.Generator) -> NDArray[np.uint8]:
    size = recipe.size
    if kind == "leaves":
        side, radii = size * recipe.reduce, (recipe.smallest_radius, recipe.largest_radius)
        smallest, largest = (radius * recipe.reduce for radius in radii)
        return matlab_bicubic(leaves_picture(generator, side, smallest, largest, recipe.texture), 1 / recipe.reduce)
    if kind == "noise":
        return noise_picture(generator, size)
    if kind in ("mosaic", "vivid"):
        tiles = -(-size // MOSAIC_SIDE)
        drawn = generator.random((tiles, tiles, 3))
        # vivid: the arcsine law, each channel is most often near one of its ends
        colours = to_uint8((1 - np.cos(np.pi * drawn)) / 2 if kind == "vivid" else drawn)
        return colours.repeat(MOSAIC_SIDE, axis=0).repeat(MOSAIC_SIDE, axis=1)[:size, :size]
    if kind in ("black", "white"):
        return np.full((size, size, 3), 255 if kind == "white" else 0, np.uint8)
    if kind == "flat":
        return np.broadcast_to(to_uint8(_corner(generator)), (size, size, 3)).copy()
    # A direction, and how far along it each pixel lies: 0 at the first corner reached, 1 at the last.
    angle = 2 * math.pi * generator.random()
    rows, columns = np.indices((size, size))
    way = math.sin(angle) * rows + math.cos(angle) * columns
    way = (way - way.min()) / (way.max() - way.min())
    if kind == "halves":
        return np.repeat(to_uint8(way > 0.5)[:, :, None], 3, axis=2)
    start = _corner(generator)
    return to_uint8(start + way[:, :, None] * (1 - 2 * start))


def _corner(generator: np.random.Generator) -> NDArray[np.float64]:
    """A corner of the RGB cube that is neither black nor white; 1 - corner is the colour opposite."""
    number = int(generator.integers(1, 7))
    return np.array([number & 1, number >> 1 & 1, number >> 2 & 1], np.float64)


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)
