"""PSNR and SSIM as the super-resolution literature computes them.

One convention for every function here: uint8 pictures are levels 0..255, floating-point pictures are in 0..1 and are
clamped to it, never rounded. Shapes are (H, W) or (H, W, 1) for grey and (H, W, 3) for RGB; result and reference have
the same shape, and `shave` pixels at each border don't count. A value that breaks this raises `UsageError`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_liif.errors import UsageError
from edge_liif.evaluate.optional_packages import require

Y_WEIGHTS = np.array([65.738, 129.057, 25.064]) / 256
"""Luma of an RGB difference in 0..1, as LIIF's and EDSR's evaluations have it; they sum to 0.859, not 1."""

BT601_LUMA = np.array([65.481, 128.553, 24.966])
"""Studio-range luma of RGB in 0..1, without its offset of 16 (ITU-R BT.601; MATLAB's `rgb2ycbcr`)."""

SSIM_WINDOW = 11
"""Side of the Gaussian window in pixels (Wang et al. 2004: sigma 1.5, 11 x 11)."""

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang et al. 2003)."""

MS_SSIM_SMALLEST = SSIM_WINDOW << (len(MS_SSIM_WEIGHTS) - 1)
"""Pixels of a side that are enough for a window at the coarsest scale."""

NOT_UNIT_RANGE = 16.0
"""A floating-point value beyond this was surely meant in 0..255: a network overshoots 0..1, but never this far."""


def psnr_y(result: NDArray[Any], reference: NDArray[Any], shave: int = 0) -> float:
    """PSNR in dB of the luma difference of two pictures, `shave` border pixels removed; infinite if they are equal.

    RGB: the difference in 0..1 is weighted with `Y_WEIGHTS`, as in LIIF's evaluation of the benchmarks. Three equal
    channels therefore score 1.32 dB more than the same picture given as grey, whose Y difference is its difference.
    """
    difference = _difference(result, reference, shave)
    if difference.shape[2] == 3:
        difference = difference @ Y_WEIGHTS
    return _psnr(difference)


def psnr_rgb(result: NDArray[Any], reference: NDArray[Any], shave: int = 0) -> float:
    """PSNR in dB over all channels, `shave` border pixels removed; infinite if equal (LIIF's evaluation of DIV2K)."""
    return _psnr(_difference(result, reference, shave))


def ssim_y(result: NDArray[Any], reference: NDArray[Any], shave: int = 0) -> float:
    """Structural similarity of the luma, at most 1, on the same shaved pictures as the PSNR.

    The setting of Wang et al. 2004 and of its MATLAB code: Gaussian window of sigma 1.5 (11 x 11), population
    covariance, data range 255, only windows that lie inside the picture. Y is BT.601 luma, 16 + 65.481 R + 128.553 G +
    24.966 B with R, G, B in 0..1, not rounded; of grey pictures the value times 255. Computed by scikit-image;
    raises `EdgeLiifError` where that is missing, `UsageError` if fewer than 11 pixels a side are left.
    """
    first, second = (_luma(image) for image in _shaved_pair(result, reference, shave))
    if min(first.shape) < SSIM_WINDOW:
        raise UsageError(
            f"SSIM needs {SSIM_WINDOW} x {SSIM_WINDOW} pixels; {first.shape[1]} x {first.shape[0]} are left "
            f"without a border of {shave}."
        )
    structural_similarity = require("skimage.metrics").structural_similarity
    return float(
        structural_similarity(
            first, second, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
        )
    )


def ms_ssim_y(result: NDArray[Any], reference: NDArray[Any], shave: int = 0) -> float:
    """Multi-scale structural similarity of the luma, at most 1 (Wang, Simoncelli and Bovik 2003).

    Five scales, each half of the one before by averages of 2 x 2; contrast and structure at all of them, luminance at
    the coarsest; windows, constants and Y as `ssim_y` has them; a negative scale counts as 0. Computed with SciPy,
    which scikit-image brings. Raises `EdgeLiifError` where it is missing, `UsageError` if fewer than MS_SSIM_SMALLEST
    pixels a side are left.
    """
    first, second = (_luma(image) for image in _shaved_pair(result, reference, shave))
    if min(first.shape) < MS_SSIM_SMALLEST:
        raise UsageError(
            f"MS-SSIM needs {MS_SSIM_SMALLEST} x {MS_SSIM_SMALLEST} pixels; {first.shape[1]} x {first.shape[0]} are "
            f"left without a border of {shave}."
        )
    gaussian = require("scipy.ndimage").gaussian_filter
    margin = SSIM_WINDOW // 2

    def local(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return gaussian(values, 1.5, radius=margin)[margin:-margin, margin:-margin]

    product = 1.0
    coarsest = len(MS_SSIM_WEIGHTS) - 1
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        if scale:
            first, second = _halved(first), _halved(second)
        means = local(first), local(second)
        squares = [local(a * b) for a, b in ((first, first), (second, second), (first, second))]
        spread = [squares[0] - means[0] ** 2, squares[1] - means[1] ** 2, squares[2] - means[0] * means[1]]
        luminance, contrast = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        similar = (2 * spread[2] + contrast) / (spread[0] + spread[1] + contrast)
        if scale == coarsest:
            similar *= (2 * means[0] * means[1] + luminance) / (means[0] ** 2 + means[1] ** 2 + luminance)
        product *= max(float(similar.mean()), 0.0) ** weight
    return product


def _halved(image: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = (side // 2 * 2 for side in image.shape)
    quarters = image[:height, :width].reshape(height // 2, 2, width // 2, 2)
    return quarters.mean((1, 3))


def shave_border(image: NDArray[Any], shave: int) -> NDArray[Any]:
    """`image` (H, W, ...) without `shave` pixels at each of its four borders; a view.

    Raises `UsageError` if `shave` is negative or leaves nothing.
    """
    if image.ndim < 2:
        raise UsageError(f"A picture has two or three axes, not the shape {image.shape}.")
    height, width = image.shape[:2]
    if shave < 0:
        raise UsageError(f"The border to leave out can't be {shave} pixels.")
    if min(height, width) <= 2 * shave:
        raise UsageError(f"Nothing is left of a picture of {width} x {height} pixels without a border of {shave}.")
    return image[shave : height - shave, shave : width - shave]


def _unit_range(image: NDArray[Any], name: str) -> NDArray[np.float32]:
    """float32 (H, W, 1 or 3) in 0..1. Not float64: k / 255 in float32 must equal level k in uint8."""
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise UsageError(f"The {name} picture must be (H, W), (H, W, 1) or (H, W, 3), not {image.shape}.")
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    if not np.issubdtype(image.dtype, np.floating):
        raise UsageError(f"The {name} picture must be uint8 or floating point in 0..1, not {image.dtype}.")
    if not np.isfinite(image).all():
        raise UsageError(f"The {name} picture has values that are not numbers or are infinite.")
    largest = np.abs(image).max()
    if largest > NOT_UNIT_RANGE:
        raise UsageError(f"The {name} picture is floating point and must be in 0..1; it reaches {largest:g}.")
    return np.clip(image.astype(np.float32), 0, 1)


def _shaved_pair(
    result: NDArray[Any], reference: NDArray[Any], shave: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if result.shape != reference.shape:
        raise UsageError(f"The result is {result.shape} and the reference {reference.shape}: their shapes must agree.")
    return (
        _unit_range(shave_border(result, shave), "result"),
        _unit_range(shave_border(reference, shave), "reference"),
    )


def _difference(result: NDArray[Any], reference: NDArray[Any], shave: int) -> NDArray[np.float64]:
    first, second = _shaved_pair(result, reference, shave)
    return np.subtract(first, second, dtype=np.float64)


def _luma(image: NDArray[np.float32]) -> NDArray[np.float64]:
    if image.shape[2] == 3:
        return 16 + image.astype(np.float64) @ BT601_LUMA
    return image[:, :, 0].astype(np.float64) * 255


def _psnr(difference: NDArray[np.float64]) -> float:
    mean_square = float(np.mean(np.square(difference)))
    return math.inf if mean_square == 0 else -10 * math.log10(mean_square)
