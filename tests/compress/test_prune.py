"""Which channels go: the budget, the order, and what a loss is predicted to cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edge_liif.compress import prune, scores
from edge_liif.compress.queries import mlp_inputs, random_queries
from edge_liif.compress.scores import Order
from edge_liif.compress.sensitivity import sensitivities
from edge_liif.compress.statistics import ranges
from edge_liif.compress.structure import channel_groups, multiply_adds, narrowed
from edge_liif.errors import UsageError
from edge_liif.model.checkpoint import Network, random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from tests.conftest import tamed


@pytest.fixture(scope="module")
def network() -> Network:
    spec = ModelSpec("wide", RDNSpec(16, ((32, 32),) * 2, 16), DecoderSpec((48, 48)))
    return tamed(random_network(spec, seed=6))


@pytest.fixture(scope="module")
def lr() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(3, 3, 6, 6, generator=generator) * 2 - 1
    return F.interpolate(coarse, (24, 24), mode="bicubic", antialias=True).clamp(-1, 1)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_the_budget_is_met_and_no_more_than_a_chunk_beyond(network, share):
    orders = scores.by_weights(network, "magnitude")
    kept = prune.choose(network, orders, share, 3, 16)
    left = multiply_adds(narrowed(network, kept).spec, 3) / multiply_adds(network.spec, 3)
    assert 1 - share - 0.17 < left <= 1 - share
    assert all(len(channels) % 16 == 0 and channels == sorted(channels) for channels in kept.values())


def test_without_costs_all_groups_go_in_equal_shares(network):
    orders = scores.by_weights(network, "filter")
    assert all(order.costs is None for order in orders.values())
    kept = prune.choose(network, orders, 0.5, 3, 16)
    groups = channel_groups(network.spec)
    gone = [1 - len(kept.get(g.producer, range(g.width))) / g.width for g in groups]
    # none went on while the next chunk of another would have left that one with less gone
    following = [share + 16 / g.width for share, g in zip(gone, groups, strict=True)]
    assert max(gone) <= min(share for share in following if share < 1) + 1e-9
    assert len(kept) >= 3


def test_widths_can_be_multiples_of_32():
    """As tensor cores want them; groups of 32 channels are whole then."""
    spec = ModelSpec("wider", RDNSpec(16, ((64, 32),) * 2, 16), DecoderSpec((96, 96)))
    wide = tamed(random_network(spec, seed=6))
    kept = prune.choose(wide, scores.by_weights(wide, "magnitude"), 0.25, 3, 32)
    widths = {g.producer: g.width for g in channel_groups(spec)}
    assert kept and all(len(channels) % 32 == 0 and widths[name] > 32 for name, channels in kept.items())


def test_with_costs_the_cheapest_per_multiply_add_goes(network):
    cheap = channel_groups(network.spec)[1].producer
    orders = {
        g.producer: Order(list(range(g.width - 16)), [0.0 if g.producer == cheap else 1.0] * (g.width - 16))
        for g in channel_groups(network.spec)
    }
    kept = prune.choose(network, orders, 0.01, 3, 16)
    assert list(kept) == [cheap] and len(kept[cheap]) == 16
    assert kept[cheap] == list(range(16, 32))


def test_more_than_there_is_is_refused(network):
    with pytest.raises(UsageError, match="at most 0"):
        prune.choose(network, scores.by_weights(network, "filter"), 0.95, 3, 16)


def test_dead_and_copied_channels_go_first(network, lr):
    """A channel that is always zero, and one of two equal ones, cost nothing by damage; large filters don.t help."""
    producer = channel_groups(network.spec)[0].producer
    tensors = {name: value.copy() for name, value in network.tensors.items()}
    tensors[f"{producer}.bias"][5] = -1e3  # dead behind its ReLU
    for part in ("weight", "bias"):
        tensors[f"{producer}.{part}"][9] = tensors[f"{producer}.{part}"][2]
    odd = Network(network.spec, tensors)
    queries = random_queries(3, 24, 24, 256, 3.0, 0)
    order = scores.by_damage(odd, lr, queries, sensitivities(odd, lr, queries))[producer]
    assert 5 in order.channels[:2] and order.channels[0] in (5, 2, 9) and order.channels[1] in (5, 2, 9)
    assert max(order.costs[:2]) < 1e-2 * order.costs[-1]
    assert 5 not in scores.by_weights(odd, "filter")[producer].channels  # the mistake of weights alone
    energies = {name: found.energy for name, found in ranges(odd, lr, queries).items()}
    assert scores.by_energy(odd, energies)[producer].channels[0] == 5


def test_sensitivity_is_what_noise_costs(lr):
    """White noise of variance s on a layer's output moves the picture by the mean squared error that G predicts."""
    net = tamed(random_network(ModelSpec("one", EDSRSpec(8, (8,)), DecoderSpec((12, 12))), seed=2))
    queries = random_queries(3, 24, 24, 600, 2.0, 1)
    predicted = sensitivities(net, lr, queries, seed=0)["imnet.layers.2"]
    tensors = {k: torch.from_numpy(v) for k, v in net.tensors.items()}
    from edge_liif.engine.torch import TorchLayers

    layers = TorchLayers(net, torch.float32, torch.device("cpu"))
    with torch.inference_mode():
        x = mlp_inputs(net.spec.encoder_module.forward(layers, net.spec.encoder, lr), queries)
        hidden = F.relu(F.linear(x, tensors["imnet.layers.0.weight"], tensors["imnet.layers.0.bias"]))
        y = F.linear(hidden, tensors["imnet.layers.2.weight"], tensors["imnet.layers.2.bias"])
        noise = 1e-3 * torch.randn(y.shape, generator=torch.Generator().manual_seed(3))

        def out(z: torch.Tensor) -> torch.Tensor:
            return F.linear(F.relu(z), tensors["imnet.layers.4.weight"], tensors["imnet.layers.4.bias"])

        measured = float((out(y + noise) - out(y)).square().mean())
    assert measured == pytest.approx(float(predicted.sum()) * 1e-6, rel=0.15)
    assert np.isfinite(measured)


def test_one_covariance_serves_a_dense_block(lr, monkeypatch):
    """The last convolution's holds those of all before it, LFF has its own; costs are those of separate ones."""
    spec = ModelSpec("dense", RDNSpec(8, ((24, 24, 24), (24, 20)), 8), DecoderSpec((32, 32)))
    net = tamed(random_network(spec, seed=3))
    queries = random_queries(3, 24, 24, 256, 3.0, 0)
    sensitivity = sensitivities(net, lr, queries)
    measured = []
    covariance = scores._covariance
    monkeypatch.setattr(scores, "_covariance", lambda n, name, x: measured.append(name) or covariance(n, name, x))
    shared = scores.by_damage(net, lr, queries, sensitivity)
    assert [name for name in measured if name.startswith("encoder.")] == [
        "encoder.RDBs.0.convs.2.conv.0",
        "encoder.RDBs.0.LFF",
        "encoder.RDBs.1.convs.1.conv.0",
        "encoder.RDBs.1.LFF",
    ]
    measured.clear()
    monkeypatch.setattr(scores, "_widest_readers", lambda network, readers: {name: name for name in readers})
    separate = scores.by_damage(net, lr, queries, sensitivity)
    assert "encoder.RDBs.0.convs.1.conv.0" in measured
    for producer, order in separate.items():
        assert shared[producer].channels == order.channels
        assert shared[producer].costs == pytest.approx(order.costs, rel=1e-3)


def test_statistics_are_the_same_to_the_last_bit(network, lr):
    """Costs decide between channels; what differs in the last bit differs, one day, in a channel."""
    queries = random_queries(3, 24, 24, 512, 3.0, 0)
    first, second = (sensitivities(network, lr, queries) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
