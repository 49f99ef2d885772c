"""Measure statistics of bundled models and keep them (calibration/NAME.safetensors) for `edge-liif compress`.

    python calibration/freeze.py edsr-baseline-liif edsr-baseline-liif-jpeg rdn-liif-s

To be run again whenever a model, the recipe or the measuring changes; a file that no longer fits is passed over.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from edge_liif.compress.pipeline import freeze
from edge_liif.model.checkpoint import load_network
from edge_liif.model.zoo import resolve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME")
    for name in parser.parse_args().models:
        resolved = resolve(name)
        path = Path(__file__).parent / f"{name}.safetensors"
        begin = time.perf_counter()
        freeze(load_network(resolved.path, resolved.sha256_expected), path)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB in {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
