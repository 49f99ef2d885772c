"""Memory caps against measured peaks.

    python benchmarks/reliability/caps.py [--caps 512 1024 2048 4096] [--size 640x3600] [--seconds 600]

Each line is `edge-liif run --memory CAP` on a picture of noise, watched from outside. The run is interrupted once it
has written the first band of rows and gone on for two seconds and 0.4 of the time which that took: what it takes
later is the same again. "early" marks those that `--seconds` ended before. Configuration B (22 M parameters, random
weights, exact halo) stands for large networks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from watched import COMMAND, watch

from edge_liif.model.checkpoint import save_network
from edge_liif.model.convert import with_known_answer

sys.path.insert(0, str(Path(__file__).parent.parent))
from configuration_b import configuration_b

# (model, engine, precision, scale)
CASES = [
    ("edsr-baseline-liif-int8", "openvino", "auto", "3"),
    *(("rdn-liif-s", engine, "fp32", scale) for engine in ("openvino", "torch", "onnx") for scale in "234"),
    *(("B", engine, "fp32", scale) for engine in ("openvino", "torch", "onnx") for scale in "234"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--caps", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--size", default="640x3600")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--only", help="Cases whose model contains this.", default="")
    parser.add_argument("--scales", nargs="+", choices="234", default="234", help="Cases at these scales.")
    parser.add_argument("--engine", choices=("openvino", "torch", "onnx"), help="Cases of this engine.")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    print("| model | engine | precision | scale | cap MiB | tile | halo x | predicted | measured | of cap | seconds |")
    print("|---|---|---|---:|---:|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cv2.imwrite(str(folder / "in.png"), np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
        large = folder / "B.safetensors"
        if options.only in "B":
            save_network(with_known_answer(configuration_b()), large)
        for model, engine, precision, scale in CASES:
            if options.only not in model or options.engine not in (None, engine) or scale not in options.scales:
                continue
            for cap in options.caps:
                out = folder / "out.png"
                words = [str(folder / "in.png"), "--scale", scale, "-o", str(out), "--memory", f"{cap}MiB"]
                words += ["--model", str(large) if model == "B" else model, "--engine", engine]
                words += ["--precision", precision]
                head = f"| {model} | {engine} | {precision} | {scale} | {cap} |"
                told = subprocess.run([*COMMAND, "plan", *words, "--json"], capture_output=True, text=True, check=False)
                if told.returncode:
                    print(f"{head} refused: {told.stderr.strip().splitlines()[-1].rsplit('; ', 1)[-1]} |", flush=True)
                    continue
                plan = json.loads(told.stdout)
                first: list[float] = []

                def stop(seconds: float, first: list[float] = first) -> bool:
                    parts = list(folder.glob(".out.png.*.part"))
                    if not first and any(p.stat().st_size > 100_000 for p in parts):
                        first.append(seconds)
                    return seconds > options.seconds or (bool(first) and seconds > 1.4 * first[0] + 2)

                done = watch(["run", *words, "--quiet"], stop)
                if done.status not in (0, 130):
                    print(f"{head} failed ({done.status}): {done.errors.strip()[-200:]} |", flush=True)
                    continue
                out.unlink(missing_ok=True)
                window, tile = plan["window"], plan["tile"]
                early = "" if first or not done.status else " early"
                print(
                    f"{head} {tile[0]}x{tile[1]} | {window[0] * window[1] / (tile[0] * tile[1]):.2f} | "
                    f"{plan['predicted_peak_bytes'] / 2**20:.0f} | {done.peak / 2**20:.0f} | "
                    f"{done.peak / 2**20 / cap:.0%} | {done.seconds:.0f}{early} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
