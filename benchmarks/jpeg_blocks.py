"""Are JPEG's blocks still seen when a coded picture was enlarged? Steps where blocks met, against steps elsewhere.

    python benchmarks/jpeg_blocks.py edsr-baseline-liif edsr-baseline-liif-jpeg --data kodak [--jpeg 10,20,30,60]

LR by MATLAB bicubic, coded 4:2:0, enlarged by 3. Blockiness: mean absolute difference of two values, of the first pixel
of the coded sample before a border of blocks and the last one of the sample behind it, by that of such pairs of other
neighbouring samples, a quarter of a block or more away from all borders; rows and columns together, for luma (blocks of
8 LR pixels) and for the two colour differences (16). About 1 for a picture that knows nothing of the grid: the
original's own is printed. Beside it PSNR-Y and the PSNR of the colour differences, dB.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_liif.evaluate import find_datasets, load_rgb, low_resolution, psnr_y
from edge_liif.evaluate.degrade import jpeg_coded
from edge_liif.evaluate.metrics import shave_border
from edge_liif.evaluate.protocol import enlarge_bicubic
from edge_liif.upscaler import load

SCALE = 3
LUMA_BLOCK, CHROMA_BLOCK = 8, 16


def steps(plane: NDArray[np.float64], block: int) -> tuple[float, float]:
    """Mean absolute step (levels) across the borders of blocks of `block` pixels and away from them, down and across,
    of a plane (H, W) that was enlarged by SCALE."""
    reach = SCALE * block // 8
    across, away = [], []
    for way in (plane, plane.T):
        step = np.abs(way[2 * reach - 1 :] - way[: -(2 * reach - 1)])
        # of the pair's middle: 0 on a border
        place = (np.arange(len(step)) + reach) % (SCALE * block)
        distance = np.minimum(place, SCALE * block - place)
        across.append(step[distance == 0])
        # between samples, too: an enlarged picture steps otherwise inside of one
        away.append(step[(distance >= SCALE * block // 4) & (place % reach == 0)])
    return tuple(float(np.concatenate([s.ravel() for s in found]).mean()) for found in (across, away))


def planes(rgb: NDArray[np.floating]) -> NDArray[np.float64]:
    """Y, Cr, Cb (H, W, 3) in levels, as JPEG has them, of RGB (H, W, 3) in 0..1."""
    return 255 * cv2.cvtColor(np.ascontiguousarray(rgb, dtype=np.float32), cv2.COLOR_RGB2YCrCb).astype(np.float64)


def blockiness(pictures: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Of luma and of both colour differences, from planes of all pictures."""

    def ratio(found: list[tuple[float, float]]) -> float:
        return sum(border for border, _ in found) / sum(elsewhere for _, elsewhere in found)

    luma = ratio([steps(p[..., 0], LUMA_BLOCK) for p in pictures])
    return luma, ratio([steps(p[..., c], CHROMA_BLOCK) for p in pictures for c in (1, 2)])


def colour_psnr(result: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    error = shave_border(result - reference, SCALE)[..., 1:]
    return float(10 * np.log10(255**2 / np.square(error).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--jpeg", default="10,20,30,60")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--precision", default="bf16")
    arguments = parser.parse_args()
    upscalers = {name: load(name, precision=arguments.precision) for name in arguments.models}
    methods = {"bicubic": enlarge_bicubic} | {n: u.enlarge_float for n, u in upscalers.items()}
    paths = [path for dataset in find_datasets(arguments.data) for path in dataset.paths[: arguments.limit]]
    print("| quality | method | blockiness Y | of colour | PSNR-Y | PSNR of colour |\n|---|---|---:|---:|---:|---:|")
    pairs = [low_resolution(load_rgb(path), SCALE, "matlab")[:2] for path in paths]
    originals = [planes(hr / 255) for hr, _ in pairs]
    print("| – | original | {:.2f} | {:.2f} | | |".format(*blockiness(originals)))
    for quality in map(int, arguments.jpeg.split(",")):
        coded = [jpeg_coded(lr, quality) for _, lr in pairs]
        for name, enlarge in methods.items():
            results = [enlarge(lr, hr.shape[:2]).clip(0, 1) for lr, (hr, _) in zip(coded, pairs, strict=True)]
            found = [planes(result) for result in results]
            luma = np.mean([psnr_y(result, hr, SCALE) for result, (hr, _) in zip(results, pairs, strict=True)])
            colour = np.mean([colour_psnr(a, b) for a, b in zip(found, originals, strict=True)])
            blocks = "{:.2f} | {:.2f}".format(*blockiness(found))
            print(f"| {quality} | {name} | {blocks} | {luma:.2f} | {colour:.2f} |", flush=True)


if __name__ == "__main__":
    main()
