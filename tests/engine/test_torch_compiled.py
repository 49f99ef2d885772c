"""The network compiled by torch.compile gives what the eager one gives, and is tried only where it is named."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch._dynamo.utils

from edge_liif.engine.base import TileShape
from edge_liif.engine.select import candidates, open_engine
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network


def test_it_is_tried_only_by_name() -> None:
    assert not [way for way in candidates() if way[0] == "torch-compiled"]
    assert ("torch-compiled", "cpu", "fp32") in candidates("torch-compiled")


@pytest.mark.skipif(shutil.which("g++") is None, reason="TorchInductor needs a C++ compiler")
def test_compiled_and_eager_agree(small_edsr: Network) -> None:
    """Two shapes of windows and of blocks; the second makes the encoder one for all shapes."""
    eager, compiled = (open_engine(small_edsr, name, "fp32", "cpu") for name in ("torch", "torch-compiled"))
    generator = np.random.default_rng(0)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for height, width, scale in ((12, 15, 3), (10, 21, 2)):
        lr = generator.random((1, 3, height, width)).astype(np.float32)
        rows, columns = (axis_queries(side, side * scale, 0, side * scale) for side in (height, width))
        geometry = Geometry(rows, columns, (2 / scale, 2 / scale))
        shape = TileShape(height, width, rows.evaluations, columns.evaluations)
        for engine in (eager, compiled):
            engine.prepare(shape)
        expected = eager.decode(eager.encode(lr), geometry)
        assert np.abs(compiled.decode(compiled.encode(lr), geometry) - expected).max() < 1e-5
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= before + 3, "both were compiled, one of them twice"
