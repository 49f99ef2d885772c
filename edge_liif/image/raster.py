"""BMP and PNM decoding through OpenCV; the libvips build that this program uses has no loaders for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_liif.image.containers import RasterInfo, damaged
from edge_liif.image.source import EncodedSource


def decode_raster(source: EncodedSource, raster: RasterInfo, bands: int) -> NDArray[Any]:
    """The pixels (H, W, bands) in RGB order. Raises ImageError if OpenCV can't decode them."""
    import cv2

    silent = cv2.utils.logging.LOG_LEVEL_SILENT
    before = cv2.utils.logging.setLogLevel(silent)
    try:
        encoded = np.frombuffer(source.read_all(), np.uint8)
        decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise damaged(source.name, str(error.err or error).strip().splitlines()[0]) from error
    finally:
        cv2.utils.logging.setLogLevel(before)
    if decoded is None:
        raise damaged(source.name, "its pixels can't be decoded")
    if decoded.shape[:2] != (raster.height, raster.width):
        raise damaged(source.name, "its size isn't what its header states")
    if decoded.ndim == 2:
        decoded = decoded[:, :, np.newaxis]
    if decoded.shape[2] == 1 and bands == 3:
        decoded = np.repeat(decoded, 3, axis=2)
    elif decoded.shape[2] > 1:
        # The fourth byte of a bitmap without an alpha mask is padding, not transparency.
        decoded = decoded[:, :, [2, 1, 0, 3] if bands == 4 else [2, 1, 0]]
    return np.ascontiguousarray(decoded)
