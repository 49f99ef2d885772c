"""Memory caps against measured peaks.

    python benchmarks/reliability/caps.py [--caps 512 1024 2048 4096] [--size 640x3600] [--seconds 600]

Each line is `edge-liif run --memory CAP` on a picture of noise, watched from outside. The run is interrupted after five
seconds and twice the time that the plan predicts for a band of tiles: what it takes later is the same again. "early"
marks those that `--seconds` ended before, or that had written next to nothing by then. Configuration B (22 M
parameters, random weights, exact halo) stands for large networks.
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
                # two bands of tiles, as long as they will take; the whole picture where nobody knows
                bands = 2 * plan["tile"][1] / plan["input_size"][1]
                enough = 5 + bands * (plan["predicted_seconds"] or float("inf"))

                written: list[bool] = []

                def stop(seconds: float, enough: float = enough, written: list[bool] = written) -> bool:
                    # of a band that is not done when it should be, less than half is written
                    if not written and any(p.stat().st_size > 100_000 for p in folder.glob(".out.png.*.part")):
                        written.append(True)
                    return seconds > min(options.seconds, enough)

                done = watch(["run", *words, "--quiet"], stop)
                if done.status not in (0, 130):
                    print(f"{head} failed ({done.status}): {done.errors.strip()[-200:]} |", flush=True)
                    continue
                out.unlink(missing_ok=True)
                window, tile = plan["window"], plan["tile"]
                early = " early" if done.status and not (written and done.seconds >= enough) else ""
                print(
                    f"{head} {tile[0]}x{tile[1]} | {window[0] * window[1] / (tile[0] * tile[1]):.2f} | "
                    f"{plan['predicted_peak_bytes'] / 2**20:.0f} | {done.peak / 2**20:.0f} | "
                    f"{done.peak / 2**20 / cap:.0%} | {done.seconds:.0f}{early} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
