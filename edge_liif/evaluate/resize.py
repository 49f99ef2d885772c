"""The two bicubic resizers of the literature: MATLAB's `imresize`, which made the published LR pictures, and Pillow's.

Their results differ, so numbers on LR made by one don't compare with numbers on the other's; every table says which.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_liif.errors import UsageError
from edge_liif.evaluate.optional_packages import require

Edge: TypeAlias = Literal["symmetric", "replicate"]

CUBIC_SUPPORT = 4.0
"""Width of the Keys kernel in pixels."""

SIZE_TOLERANCE = 1e-9
"""Taken off side * scale before rounding up: 50 * 1.1 is an ulp above 55 in float64, and must give 55, not 56."""


def matlab_bicubic(
    image: NDArray[np.uint8], scale: float, edge: Edge = "symmetric", mid_round: bool = True
) -> NDArray[np.uint8]:
    """Resize `image`, uint8 (H, W) or (H, W, C), as MATLAB's `imresize(image, scale, 'bicubic')` with antialiasing.

    `scale` is output side / input side, so 1/3 reduces to a third; the result is uint8 of ceil(side * scale) per axis.
    `edge` continues the picture beyond its border by its mirror image or by its last row and column. `mid_round` rounds
    to uint8 between the vertical and the horizontal pass. The defaults reproduce the published LR files of Set5 x2, x3
    and x4, against which this function is verified bit for bit; replicated edges are those of older MATLAB releases.
    Raises `UsageError` for another dtype or shape, a scale that is not a positive number, or an unknown `edge`.
    """
    _check_uint8_image(image)
    if not (math.isfinite(scale) and scale > 0):
        raise UsageError(f"A resize needs a scale above 0, not {scale}.")
    if edge not in ("symmetric", "replicate"):
        raise UsageError(f"Unknown edge {edge!r}: 'symmetric' or 'replicate'.")
    columns_done = _resize_axis(image.astype(np.float64), 0, scale, edge)
    if mid_round:
        columns_done = _round_to_levels(columns_done)
    return _round_to_levels(_resize_axis(columns_done, 1, scale, edge)).astype(np.uint8)


def pil_bicubic(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Resize `image`, uint8 or float32 of shape (H, W), (H, W, 1) or (H, W, 3), to `size` = (height, width) by Pillow.

    Pillow's bicubic has the same kernel as MATLAB's (a = -0.5) and also antialiases, but drops and renormalises taps
    beyond the border, and works on uint8 in fixed point. The result keeps dtype and number of axes. uint8 is rounded;
    float32 (mode F, channel by channel) is neither rounded nor clamped and overshoots at edges.
    Raises `UsageError` for another dtype or shape or an empty size, `EdgeLiifError` where Pillow is missing.
    """
    if image.dtype == np.uint8:
        _check_uint8_image(image)
    elif image.dtype != np.float32 or image.ndim not in (2, 3) or 0 in image.shape:
        raise UsageError(f"Pillow's bicubic takes uint8 or float32 pictures, not {image.dtype} of {image.shape}.")
    height, width = size
    if height < 1 or width < 1:
        raise UsageError(f"A picture can't be resized to {width} x {height} pixels.")
    pillow = require("PIL.Image")

    def resize(plane: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(pillow.fromarray(plane).resize((width, height), pillow.Resampling.BICUBIC))

    if image.ndim == 2:
        return resize(np.ascontiguousarray(image))
    planes = [resize(np.ascontiguousarray(image[:, :, channel])) for channel in range(image.shape[2])]
    return np.stack(planes, axis=2)


def crop_to_multiple(image: NDArray[Any], scale: int) -> NDArray[Any]:
    """The top-left part of `image` (H, W, ...) whose sides are the largest multiples of `scale`; a view, not a copy.

    Raises `UsageError` if `scale` is not a whole number from 1, or larger than a side, which would leave nothing.
    """
    if scale != int(scale) or scale < 1:
        raise UsageError(f"A picture can only be cropped to a multiple of a whole number from 1, not of {scale}.")
    step = int(scale)
    height, width = image.shape[:2]
    if height < step or width < step:
        raise UsageError(f"A picture of {width} x {height} pixels is too small for scale {step}.")
    return image[: height // step * step, : width // step * step]


def _check_uint8_image(image: NDArray[Any]) -> None:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
        raise UsageError(f"Expected a uint8 picture of (H, W) or (H, W, C), not {image.dtype} of {image.shape}.")


def _keys_cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic convolution kernel with a = -1/2 (Keys 1981, equation 15), zero from a distance of 2."""
    x = np.abs(distance)
    x2 = x * x
    x3 = x2 * x
    near = 1.5 * x3 - 2.5 * x2 + 1
    far = -0.5 * x3 + 2.5 * x2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _axis_taps(size_in: int, size_out: int, scale: float, edge: Edge) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Weights and input indices, each (size_out, taps), of the pixels that make every output pixel along one axis."""
    # Antialiasing: when reducing, the kernel is stretched by 1/scale.
    stretch = min(scale, 1.0)
    support = CUBIC_SUPPORT / stretch
    # MATLAB counts pixels from 1; kept here, because another origin rounds the weights differently in the last bit.
    position = np.arange(1, size_out + 1)
    centre = position / scale + 0.5 * (1 - 1 / scale)
    first = np.floor(centre - support / 2)
    # Two more taps than the support is wide, as in MATLAB: they catch the rounding of both its ends.
    neighbour = first[:, None] + np.arange(math.ceil(support) + 2)
    weights = stretch * _keys_cubic(stretch * (centre[:, None] - neighbour))
    weights /= weights.sum(axis=1, keepdims=True)
    index = neighbour.astype(np.intp) - 1
    if edge == "symmetric":
        there_and_back = np.concatenate([np.arange(size_in), np.arange(size_in)[::-1]])
        return weights, there_and_back[index % (2 * size_in)]
    return weights, np.clip(index, 0, size_in - 1)


def _resize_axis(image: NDArray[np.float64], axis: int, scale: float, edge: Edge) -> NDArray[np.float64]:
    """Resize a float64 picture along `axis`, one tap after another: memory of two results, not of taps times that.

    At 1/2 and 1/4 weights and sums are exact in float64, and at 1/3 no sum lies half-way between two levels (81 times
    a weight is whole), so there the levels after rounding don't depend on the order of the additions.
    """
    size_in = image.shape[axis]
    size_out = math.ceil(size_in * scale - SIZE_TOLERANCE)
    if size_out < 1:
        raise UsageError(f"A side of {size_in} pixels has none left at scale {scale}.")
    weights, index = _axis_taps(size_in, size_out, scale, edge)
    along_axis = tuple(-1 if a == axis else 1 for a in range(image.ndim))
    result = np.zeros((*image.shape[:axis], size_out, *image.shape[axis + 1 :]))
    for tap in range(weights.shape[1]):
        if weights[:, tap].any():
            contribution = np.take(image, index[:, tap], axis=axis)
            contribution *= weights[:, tap].reshape(along_axis)
            result += contribution
    return result


def _round_to_levels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round half up, as MATLAB does (numpy rounds half to even), and saturate to 0..255; float64 stays float64."""
    return np.clip(np.floor(values + 0.5), 0, 255)
