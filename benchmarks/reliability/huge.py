"""A result of 300 megapixels under a cap of 1 GiB.

    python benchmarks/reliability/huge.py PHOTO [--model NAME] [--memory 1GiB] [--format png]

The model "tiny" is a small RDN-LIIF with random weights, which takes minutes where real ones take an hour; the cap, the
tiles and the files are the same to it. A photograph of 6667x5000 pixels is made of PHOTO and its mirror images, and
enlarged to 20001x15000. Crops of the result are compared with the same crops enlarged by themselves.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pyvips
from watched import watch

from edge_liif import load
from edge_liif.model.checkpoint import random_network, save_network
from edge_liif.model.convert import with_known_answer
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec

WIDTH, HEIGHT, SCALE = 6667, 5000, 3
CROP, MARGIN = 96, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model", default="edsr-baseline-liif-int8")
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--format", default="png")
    options = parser.parse_args()
    photo = cv2.imread(str(options.photo))
    mirrored = np.block([[[photo], [photo[:, ::-1]]], [[photo[::-1]], [photo[::-1, ::-1]]]])
    rows, columns = -(-HEIGHT // len(mirrored)), -(-WIDTH // mirrored.shape[1])
    picture = np.tile(mirrored, (rows, columns, 1))[:HEIGHT, :WIDTH]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.png"), Path(folder, f"out.{options.format}")
        cv2.imwrite(str(source), picture)
        if options.model == "tiny":
            spec = ModelSpec("tiny", RDNSpec.uniform(2, 2, 16), DecoderSpec((32,) * 4))
            options.model = str(Path(folder, "tiny.safetensors"))
            save_network(with_known_answer(random_network(spec)), Path(options.model))
        words = ["run", str(source), "--scale", str(SCALE), "-o", str(target), "--model", options.model]
        done = watch([*words, "--memory", options.memory, "--json"])
        print(done.errors[-2000:])
        if done.status:
            raise SystemExit(done.status)
        report = json.loads(done.stdout)
        print(
            f"{report['input_size']} -> {report['output_size']} in {done.seconds:.0f} s: peak from outside "
            f"{done.peak / 2**20:.0f} MiB, predicted {report['predicted_peak_bytes'] / 2**20:.0f}, cap "
            f"{report['memory_cap_bytes'] / 2**20:.0f}; {report['tiles']} tiles of {report['tile']}; "
            f"pixels in a file: {report['temporary_bytes']}; result {target.stat().st_size / 2**20:.0f} MiB; "
            f"stages {report['seconds']}; left in the folder: {sorted(p.name for p in Path(folder).iterdir())}"
        )
        upscaler = load(options.model)
        result = pyvips.Image.new_from_file(str(target), access="random", unlimited=True)
        rng = np.random.default_rng(0)
        for _ in range(3):
            left, top = (int(rng.integers(MARGIN, side - CROP - MARGIN)) for side in (WIDTH, HEIGHT))
            around = picture[top - MARGIN : top + CROP + MARGIN, left - MARGIN : left + CROP + MARGIN, ::-1]
            inner = slice(SCALE * MARGIN, SCALE * (MARGIN + CROP))
            wanted = upscaler(np.ascontiguousarray(around), scale=SCALE)[inner, inner]
            found = result.crop(SCALE * left, SCALE * top, SCALE * CROP, SCALE * CROP).numpy()
            difference = np.abs(wanted.astype(int) - found)
            print(f"crop at {left},{top}: at most {difference.max()} levels, {(difference == 0).mean():.4f} equal")


if __name__ == "__main__":
    main()
