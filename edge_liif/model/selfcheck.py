"""A picture and a question with a known answer, stored with each model.

`picture()` is made by integer arithmetic, so it is the same on every machine. The literal reference's fp32 answer is
stored in the model file when it is made; an engine that gives another answer here is wrong here, whatever its speed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE = (20, 24)
# 2.5 rows and 2.25 columns per LR pixel: fractional, and unequal per axis.
OUT_SIZE = (50, 54)


def picture() -> NDArray[np.float32]:
    """LR picture (1, 3, 20, 24) in 0..1: a slope, a disk, bars, fine texture, black and white."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.int64)
    slope = 4 * y + 6 * x + 20
    disk = (x - 8) ** 2 + (y - 9) ** 2 < 30
    bars = (x > 14) & ((x + y) % 4 < 2)
    texture = (x * 37 + y * 59 + x * y * 11) % 23
    planes = []
    for channel in range(3):
        plane = slope + texture + 17 * channel
        plane = np.where(disk, 210 - 70 * channel, plane)
        plane = np.where(bars, 245 - 40 * ((channel + 1) % 3), plane)
        planes.append(plane)
    values = np.stack(planes)
    values[:, :3, :5], values[:, -3:, -5:] = 0, 255
    return (np.clip(values, 0, 255) / 255).astype(np.float32)[None]
