"""Transparency: colour under transparent pixels before enlarging, and a background instead of transparency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_liif.image.pixel_file import PixelFile, Pixels

# The most that `bleed_colour` takes a pixel for a moment, its result included.
_BLEED_BYTES = 50
# Colours are looked for this many rows away: farther than the bundled networks see.
_BLEED_ROWS = 64
_BAND_PIXELS = 1 << 21


def bleed_bytes(height: int, width: int) -> int:
    """The most memory that `bled` takes for a moment, its result apart."""
    return _BLEED_BYTES * width * min(height, _band_rows(width) + 2 * _BLEED_ROWS)


def bled(pixels: Pixels) -> Pixels:
    """The colour bands of a picture (H, W, 2 or 4) with alpha last, with colour bled under what is wholly transparent.

    It is done in bands of rows; colours are taken from up to 64 rows beyond a band. What is given back is a new
    picture of the same kind (array or file), or `pixels` itself where there is nothing to do.
    """
    height, width, bands = pixels.shape
    alphas = (pixels[rows, :, bands - 1 : bands] for rows in _bands(height, width))
    hidden = visible = False
    for alpha in alphas:
        hidden |= bool((alpha == 0).any())
        visible |= bool(alpha.any())
    if not (hidden and visible):
        return pixels
    shape = (height, width, bands - 1)
    result: Pixels = pixels.like(bands - 1) if isinstance(pixels, PixelFile) else np.empty(shape, pixels.dtype)
    for rows in _bands(height, width):
        above = max(0, rows.start - _BLEED_ROWS)
        around = pixels[above : rows.stop + _BLEED_ROWS, :]
        block = bleed_colour(around[..., :-1], around[..., -1])
        result[rows, :] = block[rows.start - above : rows.stop - above]
    return result


def _bands(height: int, width: int) -> Iterator[slice]:
    step = _band_rows(width)
    for top in range(0, height, step):
        yield slice(top, min(height, top + step))


def _band_rows(width: int) -> int:
    return max(16, _BAND_PIXELS // width)


def bleed_colour(rgb: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Give each wholly transparent pixel the colour of the nearest pixel that isn't.

    Editors leave black or white under transparent pixels, and a network that sees those draws a fringe along the
    edge. rgb: (H, W, 3) or (H, W, 1), alpha: (H, W), both unsigned integers; distances are Euclidean, in OpenCV's
    5x5 approximation. Returns a new array, or `rgb` itself when no pixel or every pixel is transparent.

    Takes about 9 bytes a pixel for a moment (1 for the mask, 4 for distances, 4 for labels), the result, and 16 bytes
    for each visible pixel while colours are looked up.
    """
    import cv2

    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return rgb
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Each visible pixel has a label of its own; the labels of hidden pixels name the nearest of those.
    visible = np.flatnonzero(~hidden)
    source = np.zeros(int(labels.max()) + 1, visible.dtype)
    source[labels.reshape(-1)[visible]] = visible
    flat = rgb.reshape(-1, rgb.shape[2])
    result = rgb.copy()
    rows = max(1, (1 << 20) // rgb.shape[1])
    for top in range(0, rgb.shape[0], rows):
        band = hidden[top : top + rows]
        result[top : top + rows][band] = flat[source[labels[top : top + rows][band]]]
    return result


def composite(rows: NDArray[Any], background: tuple[int, int, int]) -> NDArray[Any]:
    """Lay rows (n, W, 2 or 4) with alpha as last band over an opaque colour; returns (n, W, 1 or 3) of the same type.

    rows: uint8 or uint16. background: RGB, 0..255 each, scaled to the rows' depth. Grey rows stay grey over a grey
    background and become RGB over any other. Every sample is the exact value rounded half up, in integers.
    Rows without alpha are returned unchanged.
    """
    if rows.shape[2] not in (2, 4):
        return rows
    top = 255 if rows.dtype == np.uint8 else 65535
    colour = np.array(background, np.uint32) * np.uint32(top // 255)
    if rows.shape[2] == 2 and len(set(background)) == 1:
        colour = colour[:1]
    alpha = rows[:, :, -1:].astype(np.uint32)
    # At most top * top + top // 2, which for 65535 is just below 2**32.
    mixed = rows[:, :, :-1] * alpha + colour * (np.uint32(top) - alpha)
    mixed += np.uint32(top // 2)
    mixed //= np.uint32(top)
    return mixed.astype(rows.dtype)
