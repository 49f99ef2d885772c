"""Accuracy of compressed networks: every method at every setting, one table. Resumable: measured points are kept.

    python benchmarks/compression.py edsr-baseline-liif --data Set14 --real train --points points.jsonl

PSNR-Y to the originals and to the uncompressed network's own output. Networks with integer activations run on
OpenVINO's int8 kernels, the others in fp32. The last column is calibrated on real pictures and is marked so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_liif.bench.quality import remembered
from edge_liif.compress.config import CompressConfig
from edge_liif.compress.methods import METHODS
from edge_liif.compress.pipeline import compress
from edge_liif.compress.real_pictures import crops
from edge_liif.compress.recipe import Recipe
from edge_liif.evaluate import BICUBIC, Dataset, environment_facts, find_datasets
from edge_liif.evaluate.fidelity import Fidelity, measure_fidelity
from edge_liif.model.checkpoint import Network, load_network
from edge_liif.model.convert import with_known_answer
from edge_liif.model.zoo import resolve
from edge_liif.options import Settings
from edge_liif.upscaler import Upscaler

REAL = "lockstep, real pictures (not data-free)"


@dataclass(frozen=True)
class Setting:
    """prune: share of multiply-adds; weights, activations: bits, None for float."""

    name: str
    prune: float = 0.0
    weights: int | None = None
    activations: int | None = None


SETTINGS = [
    *(Setting(f"prune {share:.1%}", share) for share in (0.125, 0.25, 0.375, 0.5)),
    *(Setting(f"W{bits}A8", 0.0, bits, 8) for bits in (8, 6, 4, 3)),
    Setting("25% + W8A8", 0.25, 8, 8),
    Setting("30% + W6A8", 0.3, 6, 8),
    Setting("50% + W4A8", 0.5, 4, 8),
]


def point(
    network: Network,
    original: Callable,
    setting: Setting,
    method: str,
    pictures: NDArray[np.uint8] | None,
    datasets: list[Dataset],
    arguments: argparse.Namespace,
) -> dict:
    """Compress, measure, and say everything about it in one dictionary."""
    config = CompressConfig(
        "lockstep" if method == REAL else method,
        setting.prune,
        setting.weights,
        setting.activations,
        arguments.scale,
        multiple=arguments.multiple,
    )
    begin = time.perf_counter()
    small, report = compress(network, config, pictures if method == REAL else None)
    seconds = time.perf_counter() - begin
    precision = "fp32" if setting.activations is None else "int8"
    upscaler = Upscaler(with_known_answer(small), Settings(engine="openvino", precision=precision))
    rows = measure_fidelity(
        (network.spec.name, original),
        {"small": upscaler.enlarge_float},
        datasets,
        arguments.scale,
        limit=arguments.limit,
    )
    return {
        "setting": asdict(setting),
        "method": method,
        "bytes": report.bits // 8,
        "multiply_adds": report.multiply_adds,
        "compress_seconds": round(seconds, 1),
        "error": report.error,
        "rows": [asdict(row) for row in rows],
    }


def key_of(
    network: Network,
    setting: Setting,
    method: str,
    pictures: NDArray[np.uint8] | None,
    arguments: argparse.Namespace,
) -> str:
    """What a point's numbers depend on, the pictures by their names; the code itself is the commit's business."""
    data = [str(p) for folder in arguments.data for p in sorted(Path(folder).rglob("*"))]
    calibration = hashlib.sha256(pictures.tobytes()).hexdigest() if method == REAL else Recipe().to_toml()
    what = [network.sha256, asdict(setting), method, arguments.scale, arguments.limit, arguments.multiple, data]
    what.append(calibration)
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def table(points: list[dict], name: str) -> str:
    """Settings down, methods across: PSNR-Y to the originals / to the original network."""
    datasets = list(dict.fromkeys(row["dataset"] for p in points for row in p["rows"]))
    lines = []
    for dataset in datasets:
        rows = {(p["setting"]["name"], p["method"]): _row(p, dataset, "small") for p in points}
        methods = [m for m in [*METHODS, REAL] if any(m == method for _, method in rows)]
        first = points[0]
        base, own = _row(first, dataset, BICUBIC), _row(first, dataset, name)
        lines += [
            f"### {dataset} ({own.n} pictures): {name} {own.psnr_y:.2f} dB, bicubic {base.psnr_y:.2f} dB",
            "",
            "| setting | " + " | ".join(methods) + " |",
            "|---|" + "---:|" * len(methods),
        ]
        for setting in dict.fromkeys(s for s, _ in rows):
            cells = [rows.get((setting, m)) for m in methods]
            texts = ["–" if c is None else f"{c.psnr_y:.2f} / {c.fidelity:.1f}" for c in cells]
            lines.append(f"| {setting} | " + " | ".join(texts) + " |")
        lines.append("")
    return "\n".join(lines)


def _row(p: dict, dataset: str, method: str) -> Fidelity:
    return next(Fidelity(**r) for r in p["rows"] if r["dataset"] == dataset and r["method"] == method)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of pictures to measure on")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="folders of pictures for the reference row")
    parser.add_argument("--scale", type=float, default=3.0)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--multiple", type=int, default=16)
    parser.add_argument("--settings", nargs="*", default=[s.name for s in SETTINGS])
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--points", type=Path, required=True, help="measured points, one JSON a line; continued")
    arguments = parser.parse_args()
    resolved = resolve(arguments.model)
    network = load_network(resolved.path, resolved.sha256_expected)
    datasets = find_datasets(arguments.data)
    original = remembered(Upscaler(network, Settings(engine="openvino", precision="fp32")).enlarge_float)
    known = {}
    if arguments.points.exists():
        lines = arguments.points.read_text().splitlines(keepends=True)
        # a last line without its end was being written when the run was stopped
        known = {p["key"]: p for p in map(json.loads, (line for line in lines if line.endswith("\n")))}
    pictures = crops(arguments.real) if arguments.real else None
    methods = [*arguments.methods, *([REAL] if arguments.real else [])]
    points = []
    for setting in SETTINGS:
        for method in methods if setting.name in arguments.settings else []:
            key = key_of(network, setting, method, pictures, arguments)
            if key not in known:
                known[key] = {"key": key, **point(network, original, setting, method, pictures, datasets, arguments)}
                with arguments.points.open("a") as file:
                    file.write(json.dumps(known[key]) + "\n")
                small = [r for r in known[key]["rows"] if r["method"] == "small"]
                values = ", ".join(f"{r['dataset']} {r['psnr_y']:.3f} / {r['fidelity']:.2f}" for r in small)
                print(f"{setting.name}, {method}: {values}", file=sys.stderr, flush=True)
            points.append(known[key])
    print(table(points, network.spec.name))
    print("PSNR-Y in dB to the originals / to the uncompressed network's own output; LR by MATLAB bicubic.")
    print("Measured on: " + ", ".join(f"{k} {v}" for k, v in environment_facts().items()) + ".\n")
    print(f"    {shlex.join(['python', *sys.argv])}")


if __name__ == "__main__":
    main()
