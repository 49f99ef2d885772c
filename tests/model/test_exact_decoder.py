"""The fast decoder against LIIF written out literally: float64 within 1e-12, fp32 within 1e-5, rims included."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge_liif.engine.torch import TorchEngine
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network
from edge_liif.model.reference import literal_enlarge
from edge_liif.upscaler import load

SCALES = [(s, s) for s in (1, 1.7, 2, 2.5, 3, 4, 5, 6.3, 8)] + [(2, 3), (1.3, 4.7), (5, 1)]
SHAPES = [(13, 17), (1, 9), (8, 1), (2, 2), (1, 1)]


def fast(engine: TorchEngine, lr: np.ndarray, out: tuple[int, int]) -> np.ndarray:
    height, width = lr.shape[2:]
    rows, columns = axis_queries(height, out[0], 0, out[0]), axis_queries(width, out[1], 0, out[1])
    return engine.decode(engine.encode(lr), Geometry(rows, columns, (2 * height / out[0], 2 * width / out[1])))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", SHAPES)
def test_float64(small_rdn: Network, small_edsr: Network, shape: tuple[int, int], scale: tuple[float, float]) -> None:
    out = (round(shape[0] * scale[0]), round(shape[1] * scale[1]))
    lr = np.random.default_rng(3).random((1, 3, *shape))
    for network in (small_rdn, small_edsr):
        expected = literal_enlarge(
            network, torch.from_numpy(lr), out, dtype=torch.float64, area_guard=0, offset_guard=1e-15
        )
        result = fast(TorchEngine(network, "fp64"), lr, out)
        assert np.abs(result - expected.numpy()).max() < 1e-12


@pytest.mark.parametrize("scale", SCALES)
def test_fp32_on_a_real_network_and_photograph(photograph: np.ndarray, scale: tuple[float, float]) -> None:
    network = load("edsr-baseline-liif").network
    lr = (photograph[:40, :36].astype(np.float32) / 255).transpose(2, 0, 1)[None]
    out = (round(40 * scale[0]), round(36 * scale[1]))
    expected = literal_enlarge(network, torch.from_numpy(lr), out, area_guard=0, offset_guard=1e-15).numpy()
    result = fast(TorchEngine(network, "fp32"), lr, out)
    assert np.abs(result - expected).max() < 1e-5


@pytest.mark.parametrize("scale", [1, 3, 5])
def test_only_the_rim_knows_the_authors_guard(photograph: np.ndarray, scale: int) -> None:
    """The authors' 1e-9 on the areas changes nothing but the one row and column whose areas are all zero, which lie
    in the border that every benchmark cuts off; and there little."""
    network = load("edsr-baseline-liif").network
    lr = (photograph[:24, :28].astype(np.float32) / 255).transpose(2, 0, 1)[None]
    out = (24 * scale, 28 * scale)
    authors = literal_enlarge(network, torch.from_numpy(lr), out).numpy()
    difference = np.abs(fast(TorchEngine(network, "fp32"), lr, out) - authors).max(axis=2)
    row, column = out[0] - 1 - scale // 2, out[1] - 1 - scale // 2
    inside = np.delete(np.delete(difference, row, 0), column, 1)
    assert inside.max() < 1e-5
    assert difference.max() < 0.1


def test_a_wrong_weight_is_seen(small_rdn: Network) -> None:
    """The comparison above can fail: swap the two offset columns and it does."""
    tensors = dict(small_rdn.tensors)
    tensors["imnet.layers.0.weight"] = tensors["imnet.layers.0.weight"].copy()
    tensors["imnet.layers.0.weight"][:, [-4, -3]] = tensors["imnet.layers.0.weight"][:, [-3, -4]]
    lr = np.random.default_rng(3).random((1, 3, 9, 9))
    good = fast(TorchEngine(small_rdn, "fp64"), lr, (27, 27))
    bad = fast(TorchEngine(Network(small_rdn.spec, tensors), "fp64"), lr, (27, 27))
    assert np.abs(good - bad).max() > 1e-3
