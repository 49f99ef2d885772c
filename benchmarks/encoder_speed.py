"""Operations a second of an encoder in a window of 256x192 LR pixels: two per multiply-add, hidden map included.

    python benchmarks/encoder_speed.py MODEL:PRECISION ...      # random-B: configuration B, random weights
    python benchmarks/encoder_speed.py chain:int8               # six 3x3 convolutions of 256 channels, nothing else

With int8, random-B is compressed first, by `rtn`, which takes minutes. OpenVINO, compiled, best of five. The chain, in
a window of 128x96, is what OpenVINO's convolutions can do on this machine at best.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as op

from edge_liif.compress import CompressConfig, compress
from edge_liif.engine.base import TileShape, usable_cpus
from edge_liif.engine.openvino import PRECISIONS, OpenVINOEngine
from edge_liif.engine.openvino_core import core
from edge_liif.model.checkpoint import Network, load_network, random_network
from edge_liif.model.liif import DecoderSpec, first_layer
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from edge_liif.model.zoo import resolve

HEIGHT, WIDTH = 192, 256
CHANNELS, LAYERS = 256, 6


def network_of(model: str, precision: str) -> Network:
    if model != "random-B":
        return load_network(Path(resolve(model).path))
    network = random_network(ModelSpec("random-B", RDNSpec.uniform(16, 8, 64), DecoderSpec((256,) * 4)))
    if precision != "int8":
        return network
    return compress(network, CompressConfig(method="rtn", weight_bits=8, activation_bits=8))[0]


def encoder(model: str, precision: str) -> tuple[Callable[[], object], float]:
    """What to run, and its multiply-adds."""
    lr = np.random.default_rng(0).random((1, 3, HEIGHT, WIDTH), np.float32)
    network = network_of(model, precision)
    engine = OpenVINOEngine(network, precision, cache=False)
    engine.prepare(TileShape(HEIGHT, WIDTH, 8, WIDTH))
    weights = [t.size for name, t in network.tensors.items() if name.startswith("encoder.") and t.ndim == 4]
    return lambda: engine.encode(lr), (sum(weights) + first_layer(network.tensors).convolution.size) * HEIGHT * WIDTH


def chain(precision: str) -> tuple[Callable[[], object], float]:
    """The same of convolutions alone."""
    height, width = HEIGHT // 2, WIDTH // 2
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
        "INFERENCE_NUM_THREADS": usable_cpus(),
        "NUM_STREAMS": 1,
    }
    request = core().compile_model(ov.Model([op.result(mean)], [start]), "CPU", options).create_infer_request()
    inputs = rng.random((1, CHANNELS, height, width), np.float32)
    return lambda: request.infer([inputs]), LAYERS * CHANNELS * CHANNELS * 9 * height * width


def main() -> None:
    for argument in sys.argv[1:]:
        model, _, precision = argument.partition(":")
        run, products = chain(precision) if model == "chain" else encoder(model, precision)
        run()
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        print(f"{argument}: {min(seconds):.3f}..{max(seconds):.3f} s, {2e-12 * products / min(seconds):.2f} TOP/s")


if __name__ == "__main__":
    main()
