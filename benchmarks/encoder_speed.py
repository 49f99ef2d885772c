"""Operations a second of an encoder: two per multiply-add, hidden map included.

    python benchmarks/encoder_speed.py MODEL:PRECISION ...      # random-B: configuration B, random weights
                                       [--windows 256x192 ...] [--rounds 5]

The model "chain" is six 3x3 convolutions of 256 channels and nothing else: what OpenVINO's convolutions can do on this
machine at best. With int8, random-B is compressed first, by `rtn`, which takes minutes. OpenVINO, compiled; all cases
take turns, in windows of so many LR pixels, a turn being as many windows as make 256x192. Medians of the turns; the
lowest and highest show how steady the machine was.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as op
from configuration_b import RANDOM_B, configuration_b

from edge_liif.compress import CompressConfig, compress
from edge_liif.engine.base import TileShape
from edge_liif.engine.openvino import PRECISIONS, OpenVINOEngine
from edge_liif.engine.openvino_core import core
from edge_liif.model.checkpoint import Network, load_network
from edge_liif.model.liif import first_layer
from edge_liif.model.zoo import resolve

PIXELS = 256 * 192
CHANNELS, LAYERS = 256, 6


@functools.cache
def network_of(model: str, precision: str) -> Network:
    if model != RANDOM_B:
        return load_network(Path(resolve(model).path))
    network = configuration_b()
    if precision != "int8":
        return network
    return compress(network, CompressConfig(method="rtn", weight_bits=8, activation_bits=8))[0]


def encoder(model: str, precision: str, height: int, width: int) -> tuple[Callable[[], object], float]:
    """What to run, and its multiply-adds."""
    lr = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    network = network_of(model, precision)
    engine = OpenVINOEngine(network, precision, cache=False)
    engine.prepare(TileShape(height, width, 8, width))
    weights = [t.size for name, t in network.tensors.items() if name.startswith("encoder.") and t.ndim == 4]
    return lambda: engine.encode(lr), (sum(weights) + first_layer(network.tensors).convolution.size) * height * width


def chain(precision: str, height: int, width: int) -> tuple[Callable[[], object], float]:
    """The same of convolutions alone."""
    rng = np.random.default_rng(0)
    x = start = op.parameter([1, CHANNELS, height, width], ov.Type.f32)
    for _ in range(LAYERS):
        shape = (CHANNELS, CHANNELS, 3, 3)
        if precision == "int8":
            ends = (op.constant(np.full((1, 1, 1, 1), end, np.float32)) for end in (0, 3, 0, 255))
            x = op.fake_quantize(x, *ends, 256)
            levels = op.convert(op.constant(rng.integers(-127, 128, shape, np.int8)), ov.Type.f32)
            weight = op.multiply(levels, op.constant(np.full((CHANNELS, 1, 1, 1), 1e-5, np.float32)))
        else:
            weight = op.constant(rng.standard_normal(shape, np.float32) * np.float32(0.03))
        x = op.relu(op.convolution(x, weight, [1, 1], [1, 1], [1, 1], [1, 1]))
    mean = op.reduce_mean(x, op.constant(np.array([2, 3])))
    options = {
        "INFERENCE_PRECISION_HINT": ov.Type.f32 if precision == "int8" else PRECISIONS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    request = core().compile_model(ov.Model([op.result(mean)], [start]), "CPU", options).create_infer_request()
    inputs = rng.random((1, CHANNELS, height, width), np.float32)
    return lambda: request.infer([inputs]), LAYERS * CHANNELS * CHANNELS * 9 * height * width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", metavar="MODEL:PRECISION")
    parser.add_argument("--windows", nargs="+", default=["256x192"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ready: dict[tuple[str, str], tuple[Callable[[], object], float, int]] = {}
    for case, window in itertools.product(options.cases, options.windows):
        model, _, precision = case.partition(":")
        width, height = map(int, window.split("x"))
        run, products = (
            chain(precision, height, width) if model == "chain" else encoder(model, precision, height, width)
        )
        run()
        ready[case, window] = (run, products, max(1, round(PIXELS / (height * width))))
    speeds: dict[tuple[str, str], list[float]] = {key: [] for key in ready}
    for _ in range(options.rounds):
        for key, (run, products, times) in ready.items():
            began = time.perf_counter()
            for _ in range(times):
                run()
            speeds[key].append(2e-12 * products * times / (time.perf_counter() - began))
    print(f"| network | window | TOP/s, median of {options.rounds} | lowest..highest |")
    print("|---|---|---:|---:|")
    for (case, window), found in speeds.items():
        print(f"| {case} | {window} | {statistics.median(found):.2f} | {min(found):.2f}..{max(found):.2f} |")


if __name__ == "__main__":
    main()
