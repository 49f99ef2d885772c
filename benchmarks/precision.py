"""What half precision costs: difference between two precisions of one engine, in levels of 255, picture by picture.

python benchmarks/precision.py [PICTURE ...] [--scale 2] [--model NAME] [--precisions fp32 bf16]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import edge_liif
from edge_liif.evaluate import load_rgb


def main() -> None:
    examples = Path(__file__).parents[1] / "examples"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", type=Path, default=[examples / "kodim23.png", examples / "kodim08.png"])
    parser.add_argument("--scale", type=float, default=2)
    parser.add_argument("--model", default=None)
    parser.add_argument("--precisions", nargs=2, default=["fp32", "bf16"])
    options = parser.parse_args()
    upscalers = [edge_liif.load(options.model, precision=p) for p in options.precisions]
    print(
        f"{' - '.join(options.precisions)}, x{options.scale:g}\n\n| picture | mean signed | mean | 99.9 % | largest |"
    )
    print("|---|---:|---:|---:|---:|")
    for path in options.pictures:
        first, second = (u(load_rgb(path), scale=options.scale).astype(np.int16) for u in upscalers)
        change = first - second
        size = np.abs(change)
        row = f"{change.mean():+.3f} | {size.mean():.3f} | {np.percentile(size, 99.9):.0f} | {size.max()}"
        print(f"| {path.name} | {row} |")


if __name__ == "__main__":
    main()
