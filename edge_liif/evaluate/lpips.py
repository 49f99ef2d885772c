"""LPIPS, the perceptual distance of Zhang et al. (arXiv 1801.03924), by its authors' package, where there is one."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError

Distance = Callable[[NDArray[Any], NDArray[Any], int], float]
BACKBONE = "alex"
"""The authors' default for comparing pictures."""


def lpips_version() -> str | None:
    """Of the installed package; None without it."""
    if importlib.util.find_spec("lpips") is None:
        return None
    try:
        return importlib.metadata.version("lpips")
    except importlib.metadata.PackageNotFoundError:
        return "?"


def open_lpips() -> Distance:
    """Distance of two RGB pictures (H, W, 3), uint8 levels or floats in 0..1, without so many border pixels; 0 for
    equal ones, less is nearer.

    Raises EngineError if the package is not there or can't be imported, or if AlexNet's weights, which torchvision
    fetches at the first use, can't be had.
    """
    if lpips_version() is None:
        raise EngineError("LPIPS is not installed: pip install 'edge-liif[lpips]'")
    try:
        import lpips
        import torch

        # it prints, and warns of torchvision's old names
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            network = lpips.LPIPS(net=BACKBONE, verbose=False).eval()
    except (ImportError, RuntimeError, OSError) as error:
        raise EngineError(
            f"LPIPS can't be used here ({' '.join(str(error).split())[:150]}); it needs torchvision, and AlexNet's "
            "weights in torch's hub folder, where torchvision puts them when it has a network"
        ) from error

    def tensor(picture: NDArray[Any], shave: int) -> Any:
        height, width = picture.shape[:2]
        inside = picture[shave : height - shave, shave : width - shave]
        unit = inside / np.float32(255) if inside.dtype == np.uint8 else np.clip(inside, 0, 1)
        # -1..1, channels first
        return torch.from_numpy(np.ascontiguousarray((2 * unit - 1).transpose(2, 0, 1), np.float32))[None]

    def distance(result: NDArray[Any], reference: NDArray[Any], shave: int = 0) -> float:
        with torch.inference_mode():
            return float(network(tensor(result, shave), tensor(reference, shave)))

    return distance
