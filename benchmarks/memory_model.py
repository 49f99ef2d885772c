"""Predicted against measured peak memory: the numbers behind `MemoryFacts` of each engine.

    python benchmarks/memory_model.py [--engines openvino torch] [--precisions fp32 bf16] [--models NAME ...] [--fit]

Each line is a process of its own that enlarges one synthetic picture with one tile shape. --fit prints least-squares
bytes per LR pixel of the window and per evaluation of a block, and the base, of each engine and precision. The model
random-B is configuration B with random weights.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

WORKER = """
import json, sys
import numpy as np
from edge_liif.engine.select import open_engine, known_answer_error
from edge_liif.image.vips import vips
from edge_liif.memory import peak_resident_bytes
from edge_liif.model.checkpoint import load_network
from edge_liif.model.zoo import resolve
from edge_liif.tiling import plan as planning
from edge_liif.tiling.run import Plane, render
from edge_liif.upscaler import window_reader
import rich.progress, typer, cv2

model, name, precision, height, width, scale, block = json.loads(sys.argv[1])
vips()
if model == "random-B":
    sys.path.insert(0, sys.argv[2])
    from configuration_b import configuration_b
    network = configuration_b()
else:
    network = load_network(resolve(model).path)
engine = open_engine(network, name, precision, "cpu")
if network.known_answer is not None:
    known_answer_error(network, engine)
before = peak_resident_bytes()
picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
job = planning.Job(height, width, round(height * scale), round(width * scale), 3, 1, picture.nbytes)
plan = planning.plan_for_core(job, engine.memory, 0, (height, width), block_evaluations=block)
def store(colour):
    return (colour.clip(0, 1) * 255).astype(np.uint8)
for rows in render(plan, engine, [Plane(window_reader(picture, slice(0, 3)), store, slice(0, 3))], np.uint8):
    pass
parts = {k: v for k, v in plan.parts.items() if k not in ("writer", "opening")}
shape = plan.shape
print(json.dumps([before, peak_resident_bytes(), sum(parts.values()), shape.height * shape.width,
                  shape.rows * shape.columns, parts["band"] + parts["input"]]))
"""


def measure(*case: object) -> list[int]:
    result = subprocess.run(
        [sys.executable, "-c", WORKER, json.dumps(case), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["openvino", "torch"])
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp32"])
    parser.add_argument("--models", nargs="+", default=["edsr-baseline-liif", "rdn-liif-s"])
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    print("| model | engine | precision | window | scale | evaluations | before (MiB) | measured | predicted | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    cases = [
        (64, 64, 3, 16384),
        (256, 256, 2, 16384),
        (256, 256, 2, 65536),
        (400, 300, 1.5, 32768),
        (192, 256, 4, 32768),
        (440, 440, 2, 32768),
        (768, 640, 1.5, 32768),
    ]
    for model in options.models:
        for engine in options.engines:
            for precision in options.precisions:
                rows = []
                for height, width, scale, block in cases:
                    before, peak, predicted, pixels, evaluations, rest = measure(
                        model, engine, precision, height, width, scale, block
                    )
                    rows.append((pixels, evaluations, peak - rest))
                    print(
                        f"| {model} | {engine} | {precision} | {width}x{height} | {scale} | {evaluations} | "
                        f"{before / 2**20:.0f} | {peak / 2**20:.0f} | {predicted / 2**20:.0f} | "
                        f"{predicted / peak:.2f} |",
                        flush=True,
                    )
                if options.fit:
                    table = np.array(rows, float)
                    design = np.column_stack([np.ones(len(rows)), table[:, 0], table[:, 1]])
                    fit = np.linalg.lstsq(design, table[:, 2], rcond=None)[0]
                    print(f"  fit: base {fit[0] / 2**20:.0f} MiB, {fit[1]:.0f} B/LR px, {fit[2]:.0f} B/evaluation")


if __name__ == "__main__":
    main()
