"""Steps of compression: the parts that grow fastest with a network's width, and one small network from end to end."""

from __future__ import annotations

import numpy as np
import torch

from edge_liif.compress.config import CompressConfig
from edge_liif.compress.least_squares import Reader, eliminate
from edge_liif.compress.pipeline import compress
from edge_liif.compress.quantize import gptq, row_scales
from edge_liif.model.checkpoint import random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.spec import ModelSpec

COLUMNS, ROWS = 576, 64  # of a convolution of 64 to 64 channels, 3 x 3


def _covariance(size: int) -> torch.Tensor:
    """Of inputs that depend on each other, as neighbouring channels do."""
    draws = torch.randn(4 * size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mixed = draws @ torch.linspace(0, 1, size * size, dtype=torch.float64).reshape(size, size).sin()
    return (draws + mixed / size).T @ (draws + mixed / size) / len(draws)


def test_gptq_of_a_convolution(benchmark) -> None:
    """64 filters of 64 x 3 x 3 to 4 bits."""
    benchmark.group = "GPTQ"
    weight = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(1))
    covariance = _covariance(COLUMNS)
    scale = row_scales(weight, 4)
    benchmark(gptq, weight, covariance, scale, 4)


def test_eliminate_a_quarter(benchmark) -> None:
    """16 of 64 channels dropped one by one, each time the one whose loss its reader makes good best."""
    benchmark.group = "elimination"
    weight = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(1))
    columns = torch.arange(COLUMNS).reshape(64, 9)
    reader = Reader(_covariance(COLUMNS), weight, columns)
    found = benchmark(eliminate, [reader], 16)
    assert len(found.dropped) == 16


def test_compress_a_small_network(benchmark) -> None:
    """Statistics, pruning, least squares, GPTQ and activation ranges of a network of 16 channels."""
    benchmark.group = "compress"
    network = random_network(ModelSpec("small", EDSRSpec(16, (16, 16)), DecoderSpec((32, 32))), seed=0)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), np.uint8)
    config = CompressConfig(prune=0.25, weight_bits=8, activation_bits=8, multiple=8)
    small, _ = benchmark(compress, network, config, pictures)
    assert small.spec.parameters < network.spec.parameters
