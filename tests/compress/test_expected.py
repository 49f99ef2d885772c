"""Moments expected from weights alone: the formulas against drawn numbers, and what they are good for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edge_liif.compress import CompressConfig, compress, scores
from edge_liif.compress.expected import DOUBT, Expected
from edge_liif.compress.prior import NEIGHBOURS, correlation, rectified_together
from edge_liif.model.checkpoint import Network, random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from tests.compress.test_pipeline import error, pictures  # noqa: F401, a fixture
from tests.conftest import tamed

DRAWS = 200_000


def deep(kind: str) -> Network:
    encoder = RDNSpec(8, ((32, 32, 32),) * 3, 8) if kind == "rdn" else EDSRSpec(8, (64,) * 4)
    return tamed(random_network(ModelSpec("deep", encoder, DecoderSpec((48, 48))), seed=4))


def test_taps_a_pixel_apart_are_correlated_as_neighbours_are() -> None:
    found = correlation(9)
    assert found.shape == (9, 9) and torch.equal(found.diagonal(), torch.ones(9).double())
    assert found[0, 1] == found[0, 3] == pytest.approx(NEIGHBOURS)
    assert found[0, 8] == pytest.approx(NEIGHBOURS**8**0.5)
    assert torch.equal(correlation(1), torch.ones(1, 1).double())


def test_rectified_gaussians_go_together_as_drawn_ones_do() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([-1.0, 0.0, 0.5, 2.0, 0.3, -0.4]).double()
    mixing = torch.randn(6, 6, generator=generator).double()
    mixing[5] = -mixing[4]  # opposites
    covariance = mixing @ mixing.T
    drawn = F.relu(mean + torch.randn(DRAWS, 6, generator=generator).double() @ mixing.T)
    first, together = rectified_together(mean, covariance)
    true = torch.cov(drawn.T)
    deviation = true.diagonal().sqrt()
    assert torch.allclose(first, drawn.mean(0), atol=0.02)
    assert torch.allclose(together.diagonal(), true.diagonal(), rtol=0.02)
    # two terms of the series
    assert ((together - true) / torch.outer(deviation, deviation)).abs().max() < 0.06
    assert torch.linalg.eigvalsh(together).min() > -1e-9


def test_a_networks_moments_are_those_of_gaussians_drawn_through_it() -> None:
    """Two layers of the MLP deep, where what one group gives makes the next."""
    net = deep("edsr")
    generator = torch.Generator().manual_seed(1)
    root = torch.linalg.cholesky(correlation(9))
    taps = torch.randn(DRAWS, 8, 9, generator=generator).double() @ root.T
    x = torch.cat([taps.flatten(1), torch.randn(DRAWS, 4, generator=generator).double()], 1)
    expected = Expected(net)
    # the second layer's inputs are no Gaussians
    for layer, reader, near in (("imnet.layers.0", "imnet.layers.2", 0.05), ("imnet.layers.2", "imnet.layers.4", 0.25)):
        weight, bias = (torch.from_numpy(net.tensors[f"{layer}.{part}"]).double() for part in ("weight", "bias"))
        x = F.relu(x @ weight.T + bias)
        mean, covariance = expected.channels(reader)
        true = torch.cov(x.T)
        assert torch.allclose(mean, x.mean(0), atol=0.05 * float(x.std()))
        assert (covariance - true).norm() < near * true.norm()


def test_coordinates_are_no_taps() -> None:
    """With few features they could be taken for some: 4 features of 9 taps and 4 coordinates are 40 = 4 x 10."""
    net = tamed(random_network(ModelSpec("narrow", EDSRSpec(4, (16,)), DecoderSpec((32,))), seed=1))
    mean, covariance = Expected(net).inputs("imnet.layers.0")
    assert len(mean) == 40 and torch.equal(covariance[36:, 36:], torch.eye(4).double())
    assert torch.equal(covariance[27:36, 27:36], correlation(9)) and not covariance[:36, 36:].any()


def test_a_group_is_where_its_readers_have_it() -> None:
    net = deep("rdn")
    expected = Expected(net)
    mean, covariance = expected.channels("encoder.RDBs.1.LFF")
    assert len(mean) == 8 + 96
    # the residual stream is as the prior has it, growth channels are as their filters make them
    assert not mean[:8].any() and torch.equal(covariance[:8, :8], torch.eye(8).double())
    assert (mean[8:] > 0).all() and not covariance[:40, 40:72].any()
    earlier = expected.channels("encoder.RDBs.1.convs.2.conv.0")
    assert torch.equal(earlier[0], mean[:72]) and torch.equal(earlier[1], covariance[:72, :72])


def test_a_constant_is_not_doubted() -> None:
    """Channels that are lifted far over their ReLU are not trusted less for it."""
    net = deep("rdn")
    producer, reader = "encoder.RDBs.1.convs.0.conv.0", "encoder.RDBs.1.convs.1.conv.0"
    tensors = {name: tensor.copy() for name, tensor in net.tensors.items()}
    tensors[f"{producer}.bias"] += 10
    left = torch.arange(9 * 40)
    expected = Expected(replace(net, tensors=tensors))
    mean, covariance = expected.inputs(reader)
    assert mean[72:].min() > 9
    doubted = expected.products(reader, left) - torch.outer(mean, mean) - covariance
    share = DOUBT * covariance.diagonal().mean() * torch.eye(len(left)).double()
    assert torch.allclose(doubted, share, atol=1e-9)


@pytest.mark.parametrize("kind", ["rdn", "edsr"])
def test_a_twin_goes_first(kind: str) -> None:
    net = deep(kind)
    producer = "encoder.RDBs.1.convs.1.conv.0" if kind == "rdn" else "encoder.body.1.body.0"
    tensors = {name: tensor.copy() for name, tensor in net.tensors.items()}
    for part in ("weight", "bias"):
        tensors[f"{producer}.{part}"][7] = 1.5 * tensors[f"{producer}.{part}"][20]
    order = scores.by_weights(replace(net, tensors=tensors), "expected")[producer]
    assert order.channels[0] in (7, 20)
    alone = scores.by_weights(net, "expected")[producer]
    assert order.costs is not None and alone.costs is not None and order.costs[0] < 0.6 * alone.costs[0]


@pytest.mark.parametrize("kind", ["rdn", "edsr"])
def test_how_large_a_channel_is_written_does_not_matter(kind: str) -> None:
    """Without BatchNorm a filter times t and its readers divided by t are the same network."""
    net = deep(kind)
    producer = "encoder.RDBs.0.convs.1.conv.0" if kind == "rdn" else "encoder.body.0.body.0"
    tensors = {name: tensor.copy() for name, tensor in net.tensors.items()}
    for part in ("weight", "bias"):
        tensors[f"{producer}.{part}"][:16] *= 8
    readers = ["encoder.RDBs.0.convs.2.conv.0", "encoder.RDBs.0.LFF"] if kind == "rdn" else ["encoder.body.0.body.2"]
    first = 40 if kind == "rdn" else 0
    for reader in readers:
        tensors[f"{reader}.weight"][:, first : first + 16] /= 8
    orders = [scores.by_weights(n, "expected")[producer] for n in (net, replace(net, tensors=tensors))]
    assert orders[0].channels[:10] == orders[1].channels[:10]
    other = [scores.by_weights(n, "filter")[producer] for n in (net, replace(net, tensors=tensors))]
    assert other[0].channels != other[1].channels


@pytest.mark.parametrize("kind", ["rdn", "edsr"])
@pytest.mark.parametrize("setting", [{"prune": 0.3}, {"weight_bits": 3}, {"weight_bits": 4}], ids=str)
def test_weights_alone_tell_enough_to_repair_by(kind: str, setting: dict, pictures: np.ndarray) -> None:  # noqa: F811
    net = deep(kind)
    loss = {}
    for method in ("rtn", "magnitude", "udfc"):
        small, _ = compress(net, CompressConfig(method, **setting), pictures[:2])
        loss[method] = error(net, small, pictures)
    assert loss["udfc"] < 0.75 * min(loss["rtn"], loss["magnitude"])


def test_no_picture_is_looked_at(pictures: np.ndarray) -> None:  # noqa: F811
    net = deep("rdn")
    results = [
        compress(net, CompressConfig("udfc", prune=0.3, weight_bits=4), given)[0]
        for given in (pictures[:2], pictures[3:])
    ]
    for name, tensor in results[0].tensors.items():
        assert np.array_equal(tensor, results[1].tensors[name]), name
