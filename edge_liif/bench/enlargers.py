"""Functions that enlarge, by the words that processes are given: a model file, or a peer beside us."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..evaluate.protocol import Enlarger, enlarge_bicubic
from ..options import Settings
from ..upscaler import open_upscaler

PEER = "peer:"


def enlarger(model: str, engine: str, precision: str, threads: int | None) -> Enlarger:
    """`model`: a model file, or `peer:NAME`. Raises EngineError, ModelError; KeyError for a peer nobody knows."""
    if model.startswith(PEER):
        return PEERS[model.removeprefix(PEER)](threads)
    return open_upscaler(model, Settings(engine, precision, "cpu", threads=threads)).enlarge_float


def _bicubic(threads: int | None) -> Enlarger:
    return enlarge_bicubic


def _lanczos(threads: int | None) -> Enlarger:
    import cv2

    cv2.setNumThreads(threads or os.cpu_count() or 1)

    def enlarge(lr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
        large = cv2.resize(lr, size[::-1], interpolation=cv2.INTER_LANCZOS4)
        return np.asarray(large, np.float32) / np.float32(255)

    return enlarge


BICUBIC_PEER = "bicubic (PIL)"
PEERS: dict[str, Callable[[int | None], Enlarger]] = {BICUBIC_PEER: _bicubic, "Lanczos (OpenCV)": _lanczos}
"""Other ways to enlarge, by name: a function from threads to an enlarger."""
