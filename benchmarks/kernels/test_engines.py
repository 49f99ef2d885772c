"""Encoder and decoder of every engine and precision that this machine has, one tile of the bundled networks.

extra_info has the arithmetic, 2 x multiply-adds a second, for comparing networks of different size.
"""

from __future__ import annotations

import pytest

from edge_liif.engine.select import open_engine
from edge_liif.model.checkpoint import random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.spec import ModelSpec

from .conftest import ROWS, SCALE, SIDE, Work, ready


def _arithmetic(benchmark, multiply_adds: float) -> None:
    # with --benchmark-disable nothing is timed
    if benchmark.stats is not None:
        benchmark.extra_info["TFLOP/s"] = 2 * multiply_adds / benchmark.stats["median"] / 1e12


def test_encode(benchmark, work: Work) -> None:
    """An LR window to its hidden map, the MLP's first layer included."""
    spec = work.network.spec
    benchmark.group = f"encode {SIDE}x{SIDE}, {spec.name.removesuffix('-int8')}"
    benchmark(work.engine.encode, work.lr)
    _arithmetic(benchmark, SIDE**2 * (spec.encoder_multiply_adds + spec.decoder_multiply_adds[0]))


def test_decode(benchmark, work: Work) -> None:
    """A block of output rows from the hidden map: gather, offsets, MLP, ensemble."""
    spec = work.network.spec
    benchmark.group = f"decode {ROWS} rows of {SIDE * SCALE}, {spec.name.removesuffix('-int8')}"
    hidden = work.engine.encode(work.lr)
    benchmark(work.engine.decode, hidden, work.geometry)
    _arithmetic(benchmark, work.evaluations * spec.decoder_multiply_adds[1])


@pytest.mark.parametrize("kind", ["openvino", "torch"])
def test_gather(benchmark, kind: str) -> None:
    """A decoder with hardly an MLP: what it takes to read 256 channels of the hidden map for every evaluation, add the
    offsets, and mix the ensemble."""
    benchmark.group = f"gather 256 channels for {ROWS} rows of {SIDE * SCALE}"
    network = random_network(ModelSpec("gather", EDSRSpec(8, (8,)), DecoderSpec((256,))), seed=0)
    work = ready(network, open_engine(network, kind, "fp32", "cpu"))
    hidden = work.engine.encode(work.lr)
    benchmark(work.engine.decode, hidden, work.geometry)
