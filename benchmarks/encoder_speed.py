"""Operations a second of an encoder in a window of 256x192 LR pixels: two per multiply-add, hidden map included.

    python benchmarks/encoder_speed.py MODEL:PRECISION ...      # random-B: configuration B, random weights

With int8, random-B is compressed first, by `rtn`, which takes minutes. OpenVINO, compiled, best of five.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from edge_liif.compress import CompressConfig, compress
from edge_liif.engine.base import TileShape
from edge_liif.engine.openvino import OpenVINOEngine
from edge_liif.model.checkpoint import Network, load_network, random_network
from edge_liif.model.liif import DecoderSpec, first_layer
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from edge_liif.model.zoo import resolve

HEIGHT, WIDTH = 192, 256


def network_of(model: str, precision: str) -> Network:
    if model != "random-B":
        return load_network(Path(resolve(model).path))
    network = random_network(ModelSpec("random-B", RDNSpec.uniform(16, 8, 64), DecoderSpec((256,) * 4)))
    if precision != "int8":
        return network
    return compress(network, CompressConfig(method="rtn", weight_bits=8, activation_bits=8))[0]


def main() -> None:
    lr = np.random.default_rng(0).random((1, 3, HEIGHT, WIDTH), np.float32)
    for argument in sys.argv[1:]:
        model, _, precision = argument.partition(":")
        network = network_of(model, precision)
        engine = OpenVINOEngine(network, precision, cache=False)
        engine.prepare(TileShape(HEIGHT, WIDTH, 8, WIDTH))
        engine.encode(lr)
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            engine.encode(lr)
            seconds.append(time.perf_counter() - began)
        weights = [t.size for name, t in network.tensors.items() if name.startswith("encoder.") and t.ndim == 4]
        products = (sum(weights) + first_layer(network.tensors).convolution.size) * HEIGHT * WIDTH
        print(f"{argument}: {min(seconds):.3f}..{max(seconds):.3f} s, {2e-12 * products / min(seconds):.2f} TOP/s")


if __name__ == "__main__":
    main()
