"""What may be removed from a network, and how: channel groups, declared by the network's own module.

A group's channel lives in one row of its producer (weight and bias) and in one input channel (all its taps) of *every*
consumer. The residual streams are no groups: everything that adds to them is coupled to everything that reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..model import edsr, liif, rdn
from ..model.checkpoint import Network
from ..model.layers import ChannelGroup
from ..model.liif import layer_names
from ..model.spec import ModelSpec
from ..work import work_of

Kept = Mapping[str, Sequence[int]]


def channel_groups(spec: ModelSpec) -> list[ChannelGroup]:
    """All groups of a network, encoder first, in the order in which the layers run."""
    return spec.encoder_module.channel_groups(spec.encoder) + liif.channel_groups(spec.decoder)


def details(group: ChannelGroup, spec: ModelSpec) -> str:
    """A group as a person would want to see it: who makes the channels, who reads them, what one of them weighs."""
    shapes = spec.tensor_shapes
    own = int(np.prod(shapes[f"{group.producer}.weight"][1:])) + 1
    lines = [f"{group.producer}: {group.width} channels"]
    total = own
    for name, start in group.consumers:
        shape = shapes[f"{name}.weight"]
        each = shape[0] * int(np.prod(shape[2:]))
        total += each
        lines.append(f"  read by {name} as inputs {start}..{start + group.width - 1}, {each} weights a channel")
    lines.append(f"  one channel removed: {total} parameters less")
    return "\n".join(lines)


def inputs_left(spec: ModelSpec, kept: Kept) -> dict[str, list[int]]:
    """For every layer that reads a group: the input channels that stay, by their numbers in the whole network."""
    shapes = spec.tensor_shapes
    gone: dict[str, set[int]] = {}
    for group in channel_groups(spec):
        if group.producer in kept:
            removed = set(range(group.width)) - set(kept[group.producer])
            for name, start in group.consumers:
                gone.setdefault(name, set()).update(start + channel for channel in removed)
    return {name: [c for c in range(shapes[f"{name}.weight"][1]) if c not in removed] for name, removed in gone.items()}


def narrowed(network: Network, kept: Kept) -> Network:
    """The network without the channels of each group that are not in `kept` (producer -> channel numbers, ascending).

    Groups not named stay whole. Exactly the network with those channels held at zero.
    Raises ValueError if a producer is no group or nothing of it would be left.
    """
    widths = {group.producer: group.width for group in channel_groups(network.spec)}
    for producer, channels in kept.items():
        if producer not in widths or not channels or not set(channels) <= set(range(widths[producer])):
            raise ValueError(f"{producer}: not a group of this network, or no valid channels of it are kept")
    inputs = inputs_left(network.spec, kept)
    tensors = {}
    for name, tensor in network.tensors.items():
        layer = name.rsplit(".", 1)[0]
        if layer in kept:
            tensor = tensor[list(kept[layer])]
        if layer in inputs and name.endswith(".weight"):
            tensor = tensor[:, inputs[layer]]
        tensors[name] = np.ascontiguousarray(tensor)
    return Network(spec_of(network.spec, {name: t.shape for name, t in tensors.items()}), tensors)


def spec_of(spec: ModelSpec, shapes: Mapping[str, tuple[int, ...]]) -> ModelSpec:
    """The specification `spec` with the widths that tensors of these shapes have."""
    encoder = rdn.detect(shapes) or edsr.detect(shapes)
    assert encoder is not None
    return replace(spec, encoder=encoder, decoder=liif.detect(shapes, encoder.features))


def multiply_adds(spec: ModelSpec, scale: float) -> float:
    """Multiply-adds of the exact fast form per LR pixel at a scale, encoder and decoder together."""
    return work_of(spec, 1, evaluations(scale)).total


def evaluations(scale: float) -> float:
    """Decoder evaluations per LR pixel at a scale: 4 s^2 less those of weight zero (25 instead of 36 at x3)."""
    from ..tiling.plan import evaluations_before

    cells = 60
    return float(evaluations_before(cells, round(cells * scale))[-1] / cells) ** 2


def costs_per_channel(spec: ModelSpec, scale: float) -> dict[str, float]:
    """Multiply-adds per LR pixel that one channel of each group costs at the widths of `spec`, by producer."""
    shapes = spec.tensor_shapes
    decoder = layer_names(spec.decoder)
    times = {name: evaluations(scale) for name in decoder[1:]}
    costs = {}
    for group in channel_groups(spec):
        shape = shapes[f"{group.producer}.weight"]
        # the first MLP layer is a convolution; its coordinate inputs are no multiply-adds of it
        inputs = 9 * spec.encoder.features if group.producer == decoder[0] else int(np.prod(shape[1:]))
        cost = times.get(group.producer, 1.0) * inputs
        for name, _ in group.consumers:
            shape = shapes[f"{name}.weight"]
            cost += times.get(name, 1.0) * shape[0] * int(np.prod(shape[2:]))
        costs[group.producer] = cost
    return costs
