"""Which channels of each group go first, and what that costs: one list per group, by any of the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..engine.torch import TorchLayers
from ..model.checkpoint import Network
from ..model.layers import ChannelGroup
from ..model.liif import COORDINATES, layer_names
from .least_squares import Moments, Reader, eliminate, patches
from .lockstep import Lockstep
from .queries import Queries, mlp_inputs
from .structure import channel_groups

# Channels of a group that no elimination takes: a layer without outputs is no layer.
FEWEST_LEFT = 16


@dataclass(frozen=True)
class Order:
    """Channels of a group in the order in which they would go, and the cost of each going after those before it. costs:
    None where the score says nothing across layers, as norms of weights do without BatchNorm."""

    channels: list[int]
    costs: list[float] | None


def by_weights(network: Network, score: str) -> dict[str, Order]:
    """ "filter": squared norm of a channel's filter and bias; "magnitude": times that of all its readers' weights."""
    orders = {}
    for group in channel_groups(network.spec):
        weight = torch.from_numpy(network.tensors[f"{group.producer}.weight"]).flatten(1)
        bias = torch.from_numpy(network.tensors[f"{group.producer}.bias"])
        value = weight.square().sum(1) + bias.square()
        if score == "magnitude":
            value = value * _reader_norms(network, group)
        orders[group.producer] = Order(_sorted(value).channels, None)
    return orders


def by_energy(network: Network, lr: torch.Tensor, queries: Queries) -> dict[str, Order]:
    """E[A_j^2] times the squared norm of all readers' weights, A_j the activation after the ReLU: scale-invariant."""
    energy: dict[str, torch.Tensor] = {}

    def seen(name: str, x: torch.Tensor) -> None:
        energy[name] = F.relu(x).square().mean([d for d in range(x.ndim) if d != 1])

    _watch(network, lr, queries, outputs=seen)
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
    clusters = _clusters(groups)
    orders: dict[str, Order] = {}
    waiting = {i: {name for g in cluster for name, _ in g.consumers} for i, cluster in enumerate(clusters)}
    covariances: dict[str, torch.Tensor] = {}

    def seen(name: str, x: torch.Tensor) -> None:
        for i, names in waiting.items():
            if name in names:
                covariances[name] = _covariance(network, name, x)
                names.discard(name)
                if not names:
                    orders.update(_eliminated(network, clusters[i], covariances, sensitivity))
                    for group in clusters[i]:
                        for reader, _ in group.consumers:
                            covariances.pop(reader, None)

    _watch(network, lr, queries, inputs=seen)
    return orders


def _eliminated(
    network: Network,
    cluster: Sequence[ChannelGroup],
    covariances: Mapping[str, torch.Tensor],
    sensitivity: Mapping[str, torch.Tensor],
) -> dict[str, Order]:
    members = [(group, channel) for group in cluster for channel in range(group.width)]
    readers = []
    for name in dict.fromkeys(name for group in cluster for name, _ in group.consumers):
        weight = torch.from_numpy(network.tensors[f"{name}.weight"]).double()
        taps = weight[0, 0].numel()
        columns = torch.full((len(members), taps), -1)
        for i, (group, channel) in enumerate(members):
            for consumer, first in group.consumers:
                if consumer == name:
                    columns[i] = (first + channel) * taps + torch.arange(taps)
        scaled = weight.flatten(1) * sensitivity[name].double().sqrt()[:, None]
        readers.append(Reader(covariances[name], scaled, columns))
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
    weight = network.tensors[f"{name}.weight"]
    if x.ndim == 2:
        moments = Moments(x.shape[1], 1)
        moments.add(x, x[:, :1])
        return moments.covariance()[0]
    kernel = weight.shape[-1]
    moments = Moments(x.shape[1] * kernel * kernel, 1)
    step = Lockstep.step(x, kernel)
    for i in range(len(x)):
        samples = patches(x[i : i + 1], kernel, step, (i % step, (i // step) % step))
        moments.add(samples, samples[:, :1])
    return moments.covariance()[0]


class _WatchedLayers(TorchLayers):
    def __init__(self, network: Network, inputs, outputs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(network, torch.float32, torch.device("cpu"))
        self._inputs, self._outputs = inputs, outputs

    def conv(self, x: torch.Tensor, name: str) -> torch.Tensor:
        self._inputs(name, x)
        y = super().conv(x, name)
        self._outputs(name, y)
        return y

    def relu(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x)


def _watch(  # type: ignore[no-untyped-def]
    network: Network,
    lr: torch.Tensor,
    queries: Queries,
    inputs=lambda name, x: None,
    outputs=lambda name, x: None,
) -> None:
    """Run the original network once and show every layer's input and output (before the ReLU)."""
    names = layer_names(network.spec.decoder)
    with torch.inference_mode():
        layers = _WatchedLayers(network, inputs, outputs)
        features = network.spec.encoder_module.forward(layers, network.spec.encoder, lr)
        x = mlp_inputs(features, queries)
        for name in names:
            inputs(name, x if name != names[0] else x[:, :-COORDINATES])
            weight, bias = (torch.from_numpy(network.tensors[f"{name}.{part}"]) for part in ("weight", "bias"))
            x = F.linear(x, weight, bias)
            outputs(name, x)
            x = F.relu(x)


def _reader_norms(network: Network, group: ChannelGroup) -> torch.Tensor:
    total = torch.zeros(group.width)
    for name, first in group.consumers:
        weight = torch.from_numpy(network.tensors[f"{name}.weight"])[:, first : first + group.width]
        total += weight.transpose(0, 1).flatten(1).square().sum(1)
    return total


def _sorted(value: torch.Tensor) -> Order:
    channels = value.argsort().tolist()[: max(0, len(value) - FEWEST_LEFT)]
    return Order(channels, [float(value[c]) for c in channels])
