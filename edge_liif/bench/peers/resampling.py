"""Enlarging without a network: bicubic by Pillow and Lanczos by OpenCV."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...engine.cores import usable_cpus
from ...evaluate.protocol import Enlarger, enlarge_bicubic


def bicubic(threads: int | None) -> Enlarger:
    """Pillow's, which has one thread."""
    return enlarge_bicubic


def lanczos(threads: int | None) -> Enlarger:
    """OpenCV's, of 8 x 8 pixels."""
    import cv2

    cv2.setNumThreads(threads or usable_cpus())

    def enlarge(lr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
        large = cv2.resize(lr, size[::-1], interpolation=cv2.INTER_LANCZOS4)
        return np.asarray(large, np.float32) / np.float32(255)

    return enlarge
