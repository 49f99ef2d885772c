"""Pictures to enlarge, and looks at what came of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def contents(folder: Path, pattern: str = "*") -> dict[str, bytes | None]:
    """Everything under a folder: bytes of files, None for folders; hidden and unfinished files are seen too."""
    found: dict[str, bytes | None] = {}
    for path in sorted(folder.rglob(pattern)):
        with contextlib.suppress(FileNotFoundError):  # a running process may take it away meanwhile
            found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else None
    return found


def gradient(width: int = 16, height: int = 12, bands: int = 3) -> NDArray[np.uint8]:
    """A smooth picture (height, width, bands) in which no two bands are alike and no axis is like the other."""
    rows, columns = np.mgrid[0:height, 0:width]
    across, down = columns / max(width - 1, 1), rows / max(height - 1, 1)
    planes = [40 + 180 * across, 220 - 180 * down, 60 + 60 * across + 60 * down, 255 - 120 * across]
    return np.stack(planes[:bands], axis=2).round().astype(np.uint8)


def size(path: str | Path) -> tuple[int, int]:
    """(width, height) of a file, which must decode to its end."""
    with Image.open(path) as image:
        image.load()
        return image.size


def distance(path: str | Path, source: str | Path, mode: str) -> float:
    """Mean difference, in levels of 255, between a result and the bicubic enlargement of its source."""
    with Image.open(path) as image, Image.open(source) as original:
        image.load()
        assert image.mode == mode
        expected = original.convert(mode).resize(image.size, Image.Resampling.BICUBIC)
        return float(np.abs(np.asarray(image, np.float64) - np.asarray(expected, np.float64)).mean())
