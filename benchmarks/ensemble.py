"""What a smaller ensemble costs: along each axis, evaluations that have at most a given share in a pixel are left out.

    python benchmarks/ensemble.py --data DIR [--scale 3] [--below 0.2 0.45] [--limit 3]

LIIF mixes four evaluations for a pixel, two along each axis, by area. Leaving the farther one out where its share is
small saves the decoder's work in proportion. An experiment: the program has no option for it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_liif import geometry
from edge_liif.evaluate import find_datasets, load_rgb, low_resolution, psnr_y
from edge_liif.geometry import AxisQueries
from edge_liif.options import Settings
from edge_liif.tiling import plan
from edge_liif.upscaler import open_upscaler

exact = geometry.axis_queries


def thinned(queries: AxisQueries, below: float) -> AxisQueries:
    """The same output positions without evaluations whose share is at most `below`; the others have it all."""
    weight = np.where(queries.weight <= below, 0.0, np.where(queries.weight >= 1 - below, 1.0, queries.weight))
    first = np.where(weight < 1, queries.first, queries.second)
    second = np.where(weight > 0, queries.second, queries.first)
    used, places = np.unique(np.stack([first, second]), return_inverse=True)
    first, second = places.reshape(2, -1).astype(np.int32)
    return AxisQueries(queries.index[used], queries.offset[used], first, second, weight)


@contextmanager
def left_out(below: float) -> Iterator[None]:
    """Every module plans and decodes with fewer evaluations."""

    def queries(*arguments: Any, **named: Any) -> AxisQueries:
        return thinned(exact(*arguments, **named), below)

    users = [m for m in list(sys.modules.values()) if getattr(m, "axis_queries", None) is exact]
    caches = (geometry.cell_pattern, plan.evaluations_before)
    for cache in caches:
        cache.cache_clear()
    for module in users:
        module.axis_queries = queries  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for cache in caches:
            cache.cache_clear()
        for module in users:
            module.axis_queries = exact  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--model", default="edsr-baseline-liif")
    parser.add_argument("--scale", type=float, default=3.0)
    parser.add_argument("--below", type=float, nargs="+", default=[0.2, 0.45])
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    upscaler = open_upscaler(options.model, Settings("openvino", "fp32", "cpu"))
    pairs = []
    for dataset in find_datasets(options.data):
        pairs += [low_resolution(load_rgb(p), options.scale, "matlab") for p in dataset.paths[: options.limit]]
    print(f"{options.model}, x{options.scale:g}, {len(pairs)} pictures, fp32\n")
    print("| left out at a share of at most | evaluations | PSNR-Y |\n|---|---:|---:|")
    for below in (0.0, *options.below):
        scores = []
        with left_out(below):
            for pair in pairs:
                height, width = pair.hr.shape[:2]
                result = upscaler.enlarge_float(pair.lr.copy(), (height, width))
                scores.append(psnr_y(result.clip(0, 1), pair.hr, math.ceil(options.scale)))
            queries = geometry.axis_queries(99, round(99 * options.scale), 0, round(99 * options.scale))
        each = (queries.evaluations / queries.positions) ** 2
        print(f"| {below:g} | {each:.2f} a pixel | {np.mean(scores):.3f} |", flush=True)


if __name__ == "__main__":
    main()
