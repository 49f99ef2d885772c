"""Does a page of one colour keep it? Mean shift and worst pixel of flat pages and of a ramp, enlarged by 3.

    python benchmarks/flat_pages.py edsr-baseline-liif edsr-baseline-liif-int8 edsr-baseline-liif-jpeg-int8

In levels of 255, per channel; networks with integer activations in int8, others in fp32. A network's own shift is not
its compression's fault: put the original beside it.
"""

from __future__ import annotations

import argparse

import numpy as np

from edge_liif.upscaler import load

SIDE, SCALE = 48, 3
PAGES = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "dark": (20, 20, 20),
    "red": (255, 0, 0),
    "blue": (0, 0, 255),
    "pink": (200, 30, 90),
    "skin": (220, 170, 140),
}
# Output pixels of the ramp that see its ends, where the gradient stops.
RIM = 15


def ramp_shift(upscaler) -> np.ndarray:
    """Mean difference (3,) of a horizontal grey ramp's columns from the straight line."""
    grey = np.linspace(0, 255, 2 * SIDE).round()
    page = np.repeat(np.tile(grey, (SIDE, 1))[:, :, None], 3, axis=2).astype(np.uint8)
    columns = upscaler(page, scale=SCALE)[SCALE * 10 : -SCALE * 10].astype(float).mean(0)
    places = (np.arange(len(columns)) + 0.5) / SCALE - 0.5
    return (columns - np.interp(places, np.arange(len(grey)), grey)[:, None])[RIM:-RIM].mean(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    print("| model | page | mean shift R, G, B | worst pixel |\n|---|---|---:|---:|")
    for model in arguments.models:
        compression = load(model).network.spec.compression
        upscaler = load(model, precision="int8" if compression and compression.activations else "fp32")
        for name, colour in PAGES.items():
            page = np.full((SIDE, SIDE, 3), colour, np.uint8)
            error = upscaler(page, scale=SCALE).astype(int) - np.array(colour)
            means = ", ".join(f"{shift:+.2f}" for shift in error.mean((0, 1)))
            print(f"| {model} | {name} | {means} | {np.abs(error).max()} |")
        print(f"| {model} | ramp | {', '.join(f'{shift:+.2f}' for shift in ramp_shift(upscaler))} | |")


if __name__ == "__main__":
    main()
