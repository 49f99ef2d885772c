"""What happens to a picture on its way to us besides being reduced: JPEG coding."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_liif.errors import UsageError
from edge_liif.evaluate.optional_packages import require

Subsampling: TypeAlias = Literal["4:2:0", "4:4:4"]


def jpeg_coded(rgb: NDArray[np.uint8], quality: int, subsampling: Subsampling = "4:2:0") -> NDArray[np.uint8]:
    """`rgb`, uint8 (H, W, 3), coded as baseline JPEG at libjpeg quality 1..100 and decoded again, by OpenCV.

    subsampling: of the chroma; "4:2:0" as cameras and the web have it, or "4:4:4" for none.
    Raises `UsageError` for another picture, quality or subsampling, `EdgeLiifError` where OpenCV is missing.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise UsageError(f"JPEG is applied to uint8 pictures of (H, W, 3), not to {rgb.dtype} of {rgb.shape}.")
    if max(rgb.shape) > 65_500:
        raise UsageError(f"A JPEG has at most 65,500 pixels a side; this picture is {rgb.shape[1]} x {rgb.shape[0]}.")
    if quality not in range(1, 101):
        raise UsageError(f"The JPEG quality is a whole number from 1 to 100, not {quality}.")
    cv2 = require("cv2")
    factors = {
        "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    }
    if subsampling not in factors:
        raise UsageError(f"Unknown chroma subsampling {subsampling!r}: '4:2:0' or '4:4:4'.")
    # OpenCV takes and gives BGR.
    options = [cv2.IMWRITE_JPEG_QUALITY, int(quality), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors[subsampling]]
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(rgb[:, :, ::-1]), options)
    decoded: NDArray[np.uint8] = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[:, :, ::-1])
