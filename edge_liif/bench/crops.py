"""Parts of pictures to look at: from each picture the part with the most detail, by every point, as PNG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError, OutOfMemory
from ..evaluate.protocol import Enlarger, enlarge_bicubic
from .document import data_uri
from .quality import Pictures

# HR pixels of a crop: tall enough to recognise something, small enough for many in one page.
HEIGHT, WIDTH = 160, 224


def crops(
    pictures: Pictures,
    open_enlarger: Mapping[str, Callable[[], Enlarger]],
    count: int,
    fail: Callable[[str, Exception], None],
) -> list[dict[str, Any]]:
    """For `count` pictures, spread over the data sets: `name`, `scale`, and `images`, data URIs of PNG files by
    "original", "bicubic" and the keys of `open_enlarger`, whose enlargers are opened one after the other;
    fail: told of those that don't work, which are left out."""
    wanted = _spread(pictures.count, count)
    chosen = list(pictures.pairs(wanted))
    places = [most_detailed(hr) for _, _, hr, _ in chosen]
    images = [{"original": _data_uri(hr[place])} for (_, _, hr, _), place in zip(chosen, places, strict=True)]
    for name, opened in {"bicubic": lambda: enlarge_bicubic, **open_enlarger}.items():
        try:
            enlarge = opened()
            for (_, _, hr, lr), place, shown in zip(chosen, places, images, strict=True):
                result = np.clip(enlarge(lr.copy(), hr.shape[:2]), 0, 1)[place]
                shown[name] = _data_uri((255 * result + 0.5).astype(np.uint8))
        except (EngineError, OutOfMemory) as error:
            fail(name, error)
    return [
        {"name": f"{dataset}, {image}", "scale": pictures.scale, "images": shown}
        for (dataset, image, _, _), shown in zip(chosen, images, strict=True)
    ]


def most_detailed(hr: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Rows and columns of the part of a picture (H, W, 3) with the most energy in its differences."""
    grey = hr.astype(np.float64).mean(2)
    energy = np.zeros_like(grey)
    energy[1:] += np.abs(np.diff(grey, axis=0))
    energy[:, 1:] += np.abs(np.diff(grey, axis=1))
    height, width = min(HEIGHT, grey.shape[0]), min(WIDTH, grey.shape[1])
    sums = np.pad(energy.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    parts = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    row, column = np.unravel_index(int(parts.argmax()), parts.shape)
    return slice(int(row), int(row) + height), slice(int(column), int(column) + width)


def _spread(available: int, count: int) -> set[int]:
    return {math.floor((i + 0.5) * available / count) for i in range(min(count, available))} if count else set()


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    import cv2

    done, data = cv2.imencode(".png", pixels[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    return "".join(data_uri(data.tobytes()))
