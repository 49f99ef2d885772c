"""What the exact rewrites and the engine bring: `edge-liif run` against the paper's forward pass, literally.

    python benchmarks/warm_run.py [--picture examples/kodim23.png] [--scale 3] [--rounds 3] [--models NAME ...]

Same weights, same picture, same number of threads, one run; the programs take turns, so that a machine that drifts
does not favour one. The command's time is wall clock from process start to exit, caches warm. The literal time is the
forward pass alone, in torch fp32, in a process that has torch loaded and the weights converted already.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_liif.engine.cores import usable_cpus
from edge_liif.evaluate import environment_facts, load_rgb
from edge_liif.model.checkpoint import load_network
from edge_liif.model.reference import literal_enlarge
from edge_liif.model.zoo import resolve
from edge_liif.upscaler import load


def command_seconds(picture: Path, model: str, scale: float, precision: str, threads: int) -> tuple[float, dict]:
    """Wall clock and JSON report of one `edge-liif run`."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["run", str(picture), "--scale", str(scale), "-o", f"{folder}/out.png", "--model", model]
        words += ["--engine", "openvino", "--precision", precision, "--threads", str(threads), "--json", "--quiet"]
        start = time.perf_counter()
        result = subprocess.run([sys.executable, "-m", "edge_liif", *words], capture_output=True, check=True)
        return time.perf_counter() - start, json.loads(result.stdout)


def where_time_goes(picture: np.ndarray, model: str, scale: float, precision: str) -> str:
    """Seconds inside the engine's two calls, and outside them, of one picture in this process."""
    upscaler = load(model, engine="openvino", precision=precision)
    engine = upscaler.choice(False).engine
    seconds = {"encode": 0.0, "decode": 0.0}

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                seconds[name] += time.perf_counter() - start

        return wrapper

    upscaler(picture, scale=scale)
    for name in seconds:
        setattr(engine, name, timed(name, getattr(engine, name)))
    start = time.perf_counter()
    upscaler(picture, scale=scale)
    whole = time.perf_counter() - start
    rest = whole - sum(seconds.values())
    return f"encode {seconds['encode']:.2f}, decode {seconds['decode']:.2f}, all else {rest:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, default=Path(__file__).parents[1] / "examples" / "kodim23.png")
    parser.add_argument("--scale", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["edsr-baseline-liif", "rdn-liif-s"])
    options = parser.parse_args()
    threads = usable_cpus()
    torch.set_num_threads(threads)
    picture = load_rgb(options.picture)
    height, width, _ = picture.shape
    out = (round(height * options.scale), round(width * options.scale))
    lr = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    print(f"{options.picture.name} {width}x{height} x{options.scale:g}, {threads} threads; {environment_facts()}\n")
    print("| model | literal torch fp32 (s) | edge-liif fp32 (s) | edge-liif bf16 (s) | ratio fp32 | ratio bf16 |")
    print("|---|---|---|---|---|---|", flush=True)
    details = []
    for model in options.models:
        network = load_network(resolve(model).path)
        reports: dict[str, dict] = {}
        for precision in ("bf16", "fp32"):
            command_seconds(options.picture, model, options.scale, precision, threads)  # fills the caches
        times: dict[str, list[float]] = {"literal": [], "fp32": [], "bf16": []}
        for _ in range(options.rounds):
            start = time.perf_counter()
            literal_enlarge(network, lr, out)
            times["literal"].append(time.perf_counter() - start)
            for precision in ("fp32", "bf16"):
                seconds, reports[precision] = command_seconds(options.picture, model, options.scale, precision, threads)
                times[precision].append(seconds)
        median = {name: statistics.median(values) for name, values in times.items()}
        ratios = [median["literal"] / median[p] for p in ("fp32", "bf16")]
        spread = {name: f"{median[name]:.2f} ({min(v):.2f}..{max(v):.2f})" for name, v in times.items()}
        print(
            f"| {model} | {spread['literal']} | {spread['fp32']} | {spread['bf16']} | "
            f"{ratios[0]:.1f} | {ratios[1]:.1f} |"
        )
        for precision, report in reports.items():
            split = where_time_goes(picture, model, options.scale, precision)
            details.append(f"{model} {precision}, seconds: command {report['seconds']}; array to array: {split}")
    print("\n" + "\n".join(f"* {line}" for line in details))


if __name__ == "__main__":
    main()
