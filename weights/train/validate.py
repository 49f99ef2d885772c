"""PSNR-Y of a network on a folder of pictures, untiled, through the package's torch engine."""

from __future__ import annotations

import math
from pathlib import Path

from edge_liif.engine.torch import TorchEngine
from edge_liif.evaluate import find_datasets, load_rgb, low_resolution, psnr_y
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network
from edge_liif.upscaler import window_reader


def validate(
    network: Network, folder: Path, scale: float, quality: int | None, precision: str, device: str, limit: int
) -> float:
    """Mean PSNR-Y in dB of the first `limit` pictures of each data set; LR by PIL bicubic, JPEG-coded (4:2:0) at
    `quality` if that is given."""
    engine = TorchEngine(network, precision, device)
    values = []
    for path in [p for dataset in find_datasets([folder]) for p in dataset.paths[:limit]]:
        hr, lr, _ = low_resolution(load_rgb(path), scale, "pil")
        if quality is not None:
            from edge_liif.evaluate.degrade import jpeg_coded

            lr = jpeg_coded(lr, quality)
        height, width = lr.shape[:2]
        hidden = engine.encode(window_reader(lr, slice(0, 3))(0, 0, height, width))
        columns = axis_queries(width, hr.shape[1], 0, hr.shape[1])
        cell = (2 * height / hr.shape[0], 2 * width / hr.shape[1])
        result = hr.astype("float32")
        for start in range(0, hr.shape[0], 96):
            stop = min(start + 96, hr.shape[0])
            rows = axis_queries(height, hr.shape[0], start, stop)
            result[start:stop] = engine.decode(hidden, Geometry(rows, columns, cell))
        values.append(psnr_y(result.clip(0, 1), hr, math.ceil(scale)))
    return sum(values) / len(values)
