"""What photographs would bring: one network calibrated on the synthetic pictures, on photographs alone, and on the
recipe with photographs in place of its leaves and noise.

    python benchmarks/real_pictures.py edsr-baseline-liif --real data/train --data Set14 --data kodak [--limit 3]

Scored by its distance from the network in floats and from the originals (x3, MATLAB LR), and by how far it moves the
mean of pages of one colour, in levels of 255.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
from flat_pages import PAGES, SCALE, SIDE

from edge_liif.compress.config import CompressConfig
from edge_liif.compress.pipeline import compress
from edge_liif.compress.real_pictures import crops, with_photographs
from edge_liif.compress.recipe import Recipe
from edge_liif.evaluate import find_datasets
from edge_liif.evaluate.fidelity import measure_fidelity
from edge_liif.model.checkpoint import load_network, save_network
from edge_liif.model.convert import with_known_answer
from edge_liif.model.zoo import resolve
from edge_liif.options import Settings
from edge_liif.upscaler import Upscaler


def shift(upscaler: Upscaler, colour: tuple[int, int, int]) -> float:
    """Largest mean shift of a channel of a page of one colour, in levels, before rounding."""
    page = np.full((SIDE, SIDE, 3), colour, np.uint8)
    result = upscaler.enlarge_float(page, (SCALE * SIDE, SCALE * SIDE))
    return float(np.abs(255 * result.mean((0, 1)) - np.array(colour)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--real", type=Path, required=True, help="folder of photographs to calibrate on")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of pictures to measure on")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--activation-bits", type=int, default=8)
    parser.add_argument("--prune", type=float, default=0.0)
    arguments = parser.parse_args()
    config = CompressConfig(
        prune=arguments.prune, weight_bits=arguments.weight_bits, activation_bits=arguments.activation_bits
    )
    network = load_network(resolve(arguments.model).path)
    datasets = find_datasets(arguments.data)
    calibrations = {
        "synthetic": None,
        "photographs alone": crops([arguments.real]),
        "photographs and the recipe's pages": with_photographs(Recipe(), [arguments.real])[0],
    }
    upscalers = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, pictures in calibrations.items():
            path = Path(folder) / f"{len(upscalers)}.safetensors"
            save_network(with_known_answer(compress(network, config, pictures)[0]), path)
            upscalers[name] = Upscaler(load_network(path), Settings(precision="int8"))
    original = Upscaler(network, Settings(precision="fp32"))
    methods = {name: upscaler.enlarge_float for name, upscaler in upscalers.items()}
    rows = measure_fidelity((arguments.model, original.enlarge_float), methods, datasets, SCALE, limit=arguments.limit)
    cells = {
        (row.dataset, row.method): f"{row.psnr_y:.2f} / {'–' if math.isinf(row.fidelity) else f'{row.fidelity:.1f}'}"
        for row in rows
    }
    head = [*(d.name for d in datasets), *PAGES]
    print(f"| calibrated on | {' | '.join(head)} |\n|---|{'---:|' * len(head)}")
    for name in ["bicubic", arguments.model, *upscalers]:
        upscaler = {**upscalers, arguments.model: original}.get(name)
        shifts = ["" if upscaler is None else f"{shift(upscaler, colour):.2f}" for colour in PAGES.values()]
        print(f"| {name} | {' | '.join([*(cells[d.name, name] for d in datasets), *shifts])} |")


if __name__ == "__main__":
    main()
