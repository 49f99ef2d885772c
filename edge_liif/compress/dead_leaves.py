"""Dead leaves and 1/f noise: pictures made from random numbers that share with photographs what a network's
activations depend on most: the power spectrum, occlusion edges at every size, textures.

The model is that of Lee, Mumford and Huang (Occlusion models for natural images, 2001): opaque shapes, radii with
density ~ r^-3, each hiding what was laid before. They are laid front to back here, so that a pixel is painted once and
painting ends when none is bare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A leaf's or a noise picture's colour: middle grey, a normal number for all channels and one for each.
GREY, SPREAD_GREY, SPREAD_COLOUR = 0.5, 0.25, 0.1
# Most things are greyish, a few are vivid: the spread of colour is log-normal, with this standard deviation. Without it
# nothing is ever as red as a parrot, and channels that only such colours use are pruned away.
SPREAD_VIVIDNESS = 0.8
DRAWN_AT_ONCE = 8192
MOST_DRAWN = 64 * DRAWN_AT_ONCE
"""Leaves drawn before the rest is left to the background: only leaves far smaller than a picture need as many."""
BARE_SHARE = 0.002
"""Pixels still bare when the background shows: the last few would take as many leaves as all the others."""


def one_over_f(generator: np.random.Generator, side: int, channels: int) -> NDArray[np.float64]:
    """Noise (side, side, channels) whose power falls with the square of the frequency; periodic, each channel of mean
    0 and variance 1."""
    rows = np.fft.fftfreq(side)[:, None]
    columns = np.fft.rfftfreq(side)[None, :]
    frequency = np.sqrt(rows**2 + columns**2)
    frequency[0, 0] = np.inf  # no mean
    planes = []
    for _ in range(channels):
        spectrum = np.fft.rfft2(generator.standard_normal((side, side))) / frequency
        plane = np.fft.irfft2(spectrum, s=(side, side))
        planes.append(plane / plane.std())
    return np.stack(planes, axis=2)


def noise_picture(generator: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """uint8 (side, side, 3) of 1/f noise in grey and, weaker, in colour. Cut from a field of twice the side, because
    photographs are not periodic."""
    grey = one_over_f(generator, 2 * side, 1)[:side, :side]
    colour = one_over_f(generator, 2 * side, 3)[:side, :side]
    vivid = np.exp(SPREAD_VIVIDNESS * generator.standard_normal())
    return to_uint8(GREY + SPREAD_GREY * grey + vivid * SPREAD_COLOUR * colour)


def leaves_picture(
    generator: np.random.Generator, side: int, smallest: float, largest: float, texture: float
) -> NDArray[np.uint8]:
    """uint8 (side, side, 3) of dead leaves with radii of smallest..largest pixels, hard-edged (reduce it afterwards).

    Each leaf has one colour and its own piece of one field of 1/f noise, at a contrast of its own between 0 and
    `texture` (standard deviation, share of full scale).
    """
    leaf_of, leaves = _lay(generator, side, smallest, largest)
    vivid = np.exp(SPREAD_VIVIDNESS * generator.standard_normal((leaves, 1)))
    colour = (
        GREY
        + SPREAD_GREY * generator.standard_normal((leaves, 1))
        + vivid * SPREAD_COLOUR * generator.standard_normal((leaves, 3))
    )
    # squared: plain leaves and faintly textured ones are more frequent than strongly textured ones
    contrast = texture * generator.random(leaves) ** 2
    field = one_over_f(generator, side, 1)[:, :, 0]
    shift = generator.integers(0, side, (2, leaves))
    rows, columns = np.indices((side, side))
    piece = field[(rows + shift[0][leaf_of]) % side, (columns + shift[1][leaf_of]) % side]
    return to_uint8(colour[leaf_of] + (contrast[leaf_of] * piece)[:, :, None])


def to_uint8(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """0..1 to 0..255, rounded, values beyond cut off."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _lay(generator: np.random.Generator, side: int, smallest: float, largest: float) -> tuple[NDArray[np.int32], int]:
    """For every pixel the number of the leaf that is seen there, and how many leaves there are."""
    leaf_of = np.full((side, side), -1, np.int32)
    bare, leaf = side * side, 0
    axis = np.arange(side, dtype=np.float64)
    for _ in range(MOST_DRAWN // DRAWN_AT_ONCE):
        for shape, y, x, half_height, half_width in _draw(generator, side, smallest, largest):
            top, bottom = max(int(np.ceil(y - half_height)), 0), int(min(y + half_height, side - 1)) + 1
            left, right = max(int(np.ceil(x - half_width)), 0), int(min(x + half_width, side - 1)) + 1
            window = leaf_of[top:bottom, left:right]
            seen = window < 0
            if not seen.any():
                continue
            if shape != _RECTANGLE:
                v = np.abs(axis[top:bottom] - y)[:, None] / half_height
                u = np.abs(axis[left:right] - x)[None, :] / half_width
                seen &= (v * v + u * u <= 1) if shape == _DISK else (v + u <= 1)
            window[seen] = leaf
            bare -= int(np.count_nonzero(seen))
            leaf += 1
            if bare <= BARE_SHARE * side * side:
                leaf_of[leaf_of < 0] = leaf
                return leaf_of, leaf + 1
    leaf_of[leaf_of < 0] = leaf
    return leaf_of, leaf + 1


_DISK, _RECTANGLE, _DIAMOND = range(3)


def _draw(
    generator: np.random.Generator, side: int, smallest: float, largest: float
) -> list[tuple[int, float, float, float, float]]:
    """Leaves that touch the picture, front to back: (shape, centre row and column, half height and half width)."""
    n = DRAWN_AT_ONCE
    # the inverse of the distribution function of density ~ r^-3
    near, far = smallest**-2.0, largest**-2.0
    radius = (near - generator.random(n) * (near - far)) ** -0.5
    shape = generator.integers(0, 3, n)
    # disks stay round; the others are up to twice as wide as high or the other way round, at the same area
    stretch = np.where(shape == _DISK, 1.0, 2.0 ** (generator.random(n) - 0.5))
    height, width = radius * stretch, radius / stretch
    # Centres lie beyond the border, too, as far as the largest leaf reaches in: the picture is a window onto more.
    reach = 1.5 * largest
    y, x = generator.random((2, n)) * (side + 2 * reach) - reach
    touches = (y + height >= 0) & (y - height <= side - 1) & (x + width >= 0) & (x - width <= side - 1)
    columns = (values[touches].tolist() for values in (shape, y, x, height, width))
    return list(zip(*columns, strict=True))
