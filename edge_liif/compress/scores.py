"""Which channels of each group go first, and what that costs: one list per group, by any of the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ..model.checkpoint import Network
from ..model.layers import ChannelGroup
from .expected import Expected
from .least_squares import Moments, Reader, eliminate, ridged
from .places import Places
from .queries import Queries
from .read_together import encoder_inputs
from .structure import channel_groups
from .watch import watch

# Channels of a group that no elimination takes: a layer without outputs is no layer.
FEWEST_LEFT = 16


@dataclass(frozen=True)
class Order:
    """Channels of a group in the order in which they would go, and the cost of each going after those before it. costs:
    None where the score says nothing across layers, as norms of weights do without BatchNorm."""

    channels: list[int]
    costs: list[float] | None


def by_weights(network: Network, score: str) -> dict[str, Order]:
    """ "filter": squared norm of a channel's filter and bias; "magnitude": times that of all its readers' weights;
    "expected": see `by_expectation`."""
    if score == "expected":
        return by_expectation(network)
    orders = {}
    for group in channel_groups(network.spec):
        weight = torch.from_numpy(network.tensors[f"{group.producer}.weight"]).flatten(1)
        bias = torch.from_numpy(network.tensors[f"{group.producer}.bias"])
        value = weight.square().sum(1) + bias.square()
        if score == "magnitude":
            value = value * _reader_norms(network, group)
        orders[group.producer] = Order(_sorted(value).channels, None)
    return orders


def by_energy(network: Network, energy: Mapping[str, torch.Tensor]) -> dict[str, Order]:
    """E[A_j^2] (energy, by producer) times the squared norm of all readers' weights, A_j the activation after the ReLU:
    scale-invariant."""
    orders = {}
    for group in channel_groups(network.spec):
        value = energy[group.producer] * _reader_norms(network, group)
        orders[group.producer] = _sorted(value / value.mean())
    return orders


def by_damage(
    network: Network, lr: torch.Tensor, queries: Queries, sensitivity: Mapping[str, torch.Tensor]
) -> dict[str, Order]:
    """Joint elimination by predicted squared error of the picture: OBS cost at every reader, weighted by what an error
    of its outputs costs. Groups that share readers (the convolutions of one dense block) are eliminated together."""
    groups = channel_groups(network.spec)
    orders: dict[str, Order] = {}
    covariances: dict[str, torch.Tensor] = {}
    waiting = []
    for cluster in _clusters(groups):
        widest = _widest_readers(network, _readers(cluster))
        waiting.append((cluster, widest, set(widest.values())))

    def seen(name: str, x: torch.Tensor) -> None:
        for cluster, widest, missing in waiting:
            if name in missing:
                covariances[name] = _covariance(network, name, x)
                missing.discard(name)
                if not missing:
                    orders.update(_eliminated(network, cluster, widest, covariances, sensitivity))
                    for reader in widest.values():
                        covariances.pop(reader, None)

    with torch.inference_mode():
        watch(network, lr, queries, inputs=seen)
    return orders


def by_expectation(network: Network) -> dict[str, Order]:
    """Joint elimination as in `by_damage`, by moments that are expected from weights; every reader's error counts
    relative to the variance that its outputs should have, since what it costs the picture is not known."""
    expected = Expected(network)
    orders = {}
    for cluster in _clusters(channel_groups(network.spec)):
        widest = _widest_readers(network, _readers(cluster))
        covariances = {name: expected.inputs(name)[1] for name in set(widest.values())}
        weights = {}
        for name, holder in widest.items():
            filters = torch.from_numpy(network.tensors[f"{name}.weight"]).flatten(1).double()
            inputs = filters.shape[1]
            variance = ((filters @ covariances[holder][:inputs, :inputs]) * filters).sum()
            weights[name] = torch.full((len(filters),), 1 / max(float(variance), 1e-20), dtype=torch.float64)
        orders.update(_eliminated(network, cluster, widest, covariances, weights))
    return orders


def _readers(cluster: Sequence[ChannelGroup]) -> list[str]:
    """Every layer that reads one of these groups, once, in the order in which they are named."""
    return list(dict.fromkeys(name for group in cluster for name, _ in group.consumers))


def _widest_readers(network: Network, readers: Sequence[str]) -> dict[str, str]:
    """For each of these layers the one, among them, whose inputs begin with all that it reads, and are the most: its
    covariance holds theirs, as the last convolution's of a dense block does."""
    inputs = encoder_inputs(network.spec)
    kernels = {name: network.tensors[f"{name}.weight"].shape[2:] for name in readers}
    widest = {}
    for name in readers:
        # the decoder's layers have one reader each
        mine = inputs.get(name, ())
        holders = [
            other
            for other in readers
            if other == name or (mine and kernels[other] == kernels[name] and inputs[other][: len(mine)] == mine)
        ]
        widest[name] = max(holders, key=lambda other: len(inputs.get(other, ())))
    return widest


def _eliminated(
    network: Network,
    cluster: Sequence[ChannelGroup],
    widest: Mapping[str, str],
    covariances: Mapping[str, torch.Tensor],
    sensitivity: Mapping[str, torch.Tensor],
) -> dict[str, Order]:
    members = [(group, channel) for group in cluster for channel in range(group.width)]
    readers = []
    for name in widest:
        weight = torch.from_numpy(network.tensors[f"{name}.weight"]).double()
        taps = weight[0, 0].numel()
        columns = torch.full((len(members), taps), -1)
        for i, (group, channel) in enumerate(members):
            for consumer, first in group.consumers:
                if consumer == name:
                    columns[i] = (first + channel) * taps + torch.arange(taps)
        scaled = weight.flatten(1) * sensitivity[name].double().sqrt()[:, None]
        inputs = scaled.shape[1]
        readers.append(Reader(ridged(covariances[widest[name]][:inputs, :inputs]), scaled, columns))
    left = {group.producer: group.width for group in cluster}

    def may_drop(i: int) -> bool:
        return left[members[i][0].producer] > FEWEST_LEFT

    def dropping(i: int) -> None:
        left[members[i][0].producer] -= 1

    result = eliminate(readers, len(members), may_drop, dropping)
    channels: dict[str, list[int]] = {group.producer: [] for group in cluster}
    costs: dict[str, list[float]] = {group.producer: [] for group in cluster}
    for i, cost in zip(result.dropped, result.costs, strict=True):
        group, channel = members[i]
        channels[group.producer].append(channel)
        costs[group.producer].append(cost)
    return {producer: Order(channels[producer], costs[producer]) for producer in channels}


def _clusters(groups: Sequence[ChannelGroup]) -> list[list[ChannelGroup]]:
    clusters: list[list[ChannelGroup]] = []
    for group in groups:
        names = {name for name, _ in group.consumers}
        for cluster in clusters:
            if any(names & {name for name, _ in other.consumers} for other in cluster):
                cluster.append(group)
                break
        else:
            clusters.append([group])
    return clusters


def _covariance(network: Network, name: str, x: torch.Tensor) -> torch.Tensor:
    """Of what a layer reads, without a ridge."""
    kernel = 1 if x.ndim == 2 else network.tensors[f"{name}.weight"].shape[-1]
    moments = Moments(x.shape[1] * kernel * kernel, 0)
    if x.ndim == 2:
        moments.add(x, x[:, :0])
    else:
        places = Places.enough_for(x, kernel)
        for i in range(len(x)):
            samples = places.patches(x, i, kernel)
            moments.add(samples, samples[:, :0])
    return moments.centred()[0]


def _reader_norms(network: Network, group: ChannelGroup) -> torch.Tensor:
    total = torch.zeros(group.width)
    for name, first in group.consumers:
        weight = torch.from_numpy(network.tensors[f"{name}.weight"])[:, first : first + group.width]
        total += weight.transpose(0, 1).flatten(1).square().sum(1)
    return total


def _sorted(value: torch.Tensor) -> Order:
    channels = value.argsort().tolist()[: max(0, len(value) - FEWEST_LEFT)]
    return Order(channels, [float(value[c]) for c in channels])
