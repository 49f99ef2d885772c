"""Predicted against measured time of enlarging: from the self-check's tile, and from an earlier run.

    python benchmarks/reliability/times.py PHOTO [--size 512x384] [--only MODEL]

Each engine begins on a machine that knows nothing. Its runs come one after the other, each at another scale; a run from
which nothing is learned (short, and slower than the self-check's tile) leaves the last columns of the next row empty.
What the self-check alone would have said is asked of a second home, in which nothing is ever run.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import cv2
from watched import watch

CASES = [
    ("edsr-baseline-liif-int8", "openvino", "int8"),
    ("edsr-baseline-liif", "openvino", "fp32"),
    *(("rdn-liif-s", engine, "fp32") for engine in ("openvino", "torch", "onnx")),
]
SCALES = ("3", "2", "4", "1.5")


def reported(home: Path, *words: str) -> dict:
    """The report of `edge-liif WORDS --json` where `home` has the caches."""
    os.environ["EDGE_LIIF_HOME"] = str(home)
    done = watch([*words, "--json"])
    if done.status:
        raise SystemExit(done.errors)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--size", default="512x384")
    parser.add_argument("--only", help="Cases whose model contains this.", default="")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    print("| model | engine | scale | measured s | self-check said | of measured | an earlier run said | of measured |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for model, engine, precision in (case for case in CASES if options.only in case[0]):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            cv2.imwrite(str(folder / "in.png"), cv2.resize(cv2.imread(str(options.photo)), (width, height)))
            for scale in SCALES:
                words = [str(folder / "in.png"), "--scale", scale, "-o", str(folder / f"x{scale}.png")]
                words += ["--model", model, "--engine", engine, "--precision", precision]
                told = reported(folder / "untouched", "plan", *words)["predicted_seconds"]
                run = reported(folder / "home", "run", *words)
                measured = run["seconds"]["enlarge"]
                row = f"| {model} | {engine} {precision} | {scale} | {measured:.1f} | {told:.1f} | "
                row += f"{told / measured:.2f} |"
                if run["predicted_from"] == "an earlier run":
                    row += f" {run['predicted_seconds']:.1f} | {run['predicted_seconds'] / measured:.2f} |"
                else:
                    row += " | |"
                print(row, flush=True)


if __name__ == "__main__":
    main()
