"""Filters as they are heard: products are expected products of outputs."""

from __future__ import annotations

import math

import pytest
import torch

from edge_liif.compress.prior import NEIGHBOURS, heard


@pytest.mark.parametrize(("taps", "free"), [(9, 0), (9, 4), (1, 0)])
def test_products_are_expected_products_of_outputs(taps: int, free: int) -> None:
    """Against the matrix of second moments, written out number by number."""
    rectified = torch.tensor([False, True, True, False])
    size, side = len(rectified) * taps, math.isqrt(taps)
    moments = torch.eye(size + free + 1, dtype=torch.float64)
    for i in range(size):
        for j in range(size):
            (c, a), (d, b) = divmod(i, taps), divmod(j, taps)
            away = math.hypot(a // side - b // side, a % side - b % side)
            value = (0.5 - 0.5 / math.pi if rectified[c] else 1.0) * NEIGHBOURS**away if c == d else 0.0
            moments[i, j] = value + (0.5 / math.pi if rectified[c] and rectified[d] else 0.0)
        if rectified[i // taps]:
            moments[i, -1] = moments[-1, i] = 1 / math.sqrt(2 * math.pi)
    filters = torch.randn(6, size + free + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = heard(filters, taps, rectified)
    assert rows.shape == filters.shape
    assert torch.allclose(rows @ rows.T, filters @ moments @ filters.T)


def test_a_channel_behind_a_relu_is_a_rectified_gaussian() -> None:
    x = torch.randn(1_000_000, 2, generator=torch.Generator().manual_seed(1)).double()
    x[:, 1].relu_()
    filters = torch.tensor([[1.0, -2.0, 0.5], [0.3, 1.0, -1.0]]).double()
    outputs = x @ filters[:, :2].T + filters[:, 2]
    rows = heard(filters, 1, torch.tensor([False, True]))
    assert torch.allclose(rows @ rows.T, outputs.T @ outputs / len(x), atol=0.02)
