"""A whole picture, array to array: plan, tiles, engine, rows."""

from __future__ import annotations

import numpy as np
import pytest

from edge_liif.upscaler import load

from .conftest import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_whole_picture(benchmark, name: str) -> None:
    benchmark.group = "192x128 x3, array to array"
    upscaler = load(name)
    picture = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    large = benchmark(upscaler, picture, scale=3)
    assert large.shape == (384, 576, 3)
