"""Moments of Gaussians through layers: the formulas against drawn numbers, and compression without any picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edge_liif.compress.analytic import PICTURE_DEVIATION, through_weight
from edge_liif.compress.config import CompressConfig
from edge_liif.compress.methods import METHODS
from edge_liif.compress.pipeline import compress
from edge_liif.compress.prior import rectified
from edge_liif.compress.structure import multiply_adds
from edge_liif.errors import UsageError
from tests.compress.test_pipeline import enlarged, network


def test_rectified_gaussians_have_the_moments_that_drawing_gives():
    generator = torch.Generator().manual_seed(0)
    mean, deviation = torch.tensor([-3.0, -1.0, 0.0, 0.7, 4.0]), torch.tensor([0.5, 2.0, 1.0, 0.1, 1.5])
    drawn = F.relu(mean + deviation * torch.randn(400_000, 5, generator=generator))
    found = rectified(torch.stack([mean, deviation.square()]))
    assert torch.allclose(found[0], drawn.mean(0), atol=8e-3)
    assert torch.allclose(found[1], drawn.var(0), atol=2e-2)
    still = rectified(torch.tensor([[-2.0, 3.0], [0.0, 0.0]]))
    assert torch.allclose(still, torch.tensor([[0.0, 3.0], [0.0, 0.0]]), atol=1e-6)


def test_a_layer_gives_the_moments_that_drawing_gives():
    generator = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(4, 3 * 9, generator=generator), torch.randn(4, generator=generator)
    mean, deviation = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([1.0, 0.3, 2.0])
    x = mean[:, None] + deviation[:, None] * torch.randn(200_000, 3, 9, generator=generator)
    y = x.flatten(1) @ weight.T + bias
    found = through_weight(torch.stack([mean, deviation.square()]), weight, bias, 9)
    assert torch.allclose(found[0], y.mean(0), atol=0.1)
    assert torch.allclose(found[1], y.var(0), rtol=0.02)


@pytest.mark.parametrize("kind", ["rdn", "edsr"])
@pytest.mark.parametrize("method", [name for name, m in METHODS.items() if not m.needs_samples])
def test_it_needs_no_picture(kind, method, monkeypatch):
    from edge_liif.compress import synthetic

    def refuse(recipe):
        raise AssertionError("a picture was painted")

    monkeypatch.setattr(synthetic, "synthesize", refuse)
    net = network(kind)
    config = CompressConfig(method, 0.2, 8, 8, statistics="analytic")
    small, report = compress(net, config)
    assert report.statistics == "analytic" and report.error == {}
    assert multiply_adds(small.spec, 3) < multiply_adds(net.spec, 3)
    assert small.spec.compression.config["calibration"] == "analytic"
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    assert np.isfinite(enlarged(small, picture, "int8")).all()


def test_rounding_alone_survives_analytic_ranges():
    net = network("rdn")
    small, _ = compress(net, CompressConfig("rtn", 0.0, 8, 8, statistics="analytic"))
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    there, here = enlarged(net, picture), enlarged(small, picture, "int8")
    assert np.square(here - there).mean() < 0.05 * np.square(there - there.mean()).mean()


def test_means_are_restored_by_prediction():
    """dfq's bias correction: at 3 bits the predicted mean of an output is the original's."""
    net = network("edsr")
    run = {}
    for method in ("magnitude", "dfq"):
        config = CompressConfig(method, weight_bits=3, statistics="analytic", equalise=False)
        small, _ = compress(net, config)
        moments = torch.tensor([[0.0] * 3, [PICTURE_DEVIATION**2] * 3])
        after = []
        for tensors in (net.tensors, small.tensors):
            x = moments
            for name in ("encoder.head.0", "encoder.body.0.body.0"):
                weight, bias = (torch.from_numpy(tensors[f"{name}.{part}"]) for part in ("weight", "bias"))
                x = through_weight(x, weight.flatten(1), bias, 9)
            after.append(x[0])
        run[method] = float((after[0] - after[1]).abs().max())
    assert run["dfq"] < 1e-5 < run["magnitude"]


@pytest.mark.parametrize("method", ["moments", "lockstep"])
def test_methods_across_channels_are_refused(method):
    with pytest.raises(UsageError, match="needs moments across channels"):
        CompressConfig(method, weight_bits=8, statistics="analytic")


def test_pictures_and_analytic_statistics_exclude_each_other():
    config = CompressConfig("dfq", weight_bits=8, statistics="analytic")
    with pytest.raises(UsageError, match="look at no pictures"):
        compress(network("edsr"), config, np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(UsageError, match="is not one of synthetic, analytic"):
        CompressConfig("dfq", weight_bits=8, statistics="guessed")
