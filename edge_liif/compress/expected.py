"""What a layer's inputs are expected to be like, from the filters that make them and `prior.py`, without any picture.

The channels of a group are taken for Gaussians, which its producer's filters make of what that reads, behind a ReLU:
filters that are alike make channels that go together, and deep in a dense block or in the MLP one group's moments
follow from another's. Everything else (the residual stream, the MLP's coordinates) is as the prior has it, which makes
too much of the coordinates: offsets vary less, the cell hardly. Channels of different groups have nothing to do with
each other but their means.
"""

from __future__ import annotations

import functools

import torch

from ..model.checkpoint import Network
from ..model.liif import float_columns, input_channels
from .least_squares import ridged
from .prior import correlation, rectified_together
from .structure import channel_groups

# How far what is only expected is trusted when one input's rounding error is made good by others: a share of the mean
# of the variances of a layer's inputs is added to that of each. Not of E[x^2]: a channel that carries a linear result
# is lifted over its ReLU by a constant, which says how far the channel reaches, not how much of it is unknown.
# `benchmarks/results/compression_parts.md` has the numbers.
DOUBT = 0.3


class Expected:
    """Moments of what the layers of a network read."""

    def __init__(self, network: Network) -> None:
        self._tensors = network.tensors
        self._read: dict[str, list[tuple[str, int, int]]] = {}
        for group in channel_groups(network.spec):
            for name, first in group.consumers:
                self._read.setdefault(name, []).append((group.producer, first, first + group.width))
        # a group is read by several layers
        self._made = functools.cache(self._made_by)

    def channels(self, layer: str) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean (C), covariance (C, C)) of a layer's input channels."""
        size = input_channels(f"{layer}.weight", self._tensors[f"{layer}.weight"].shape)
        mean, covariance = torch.zeros(size, dtype=torch.float64), torch.eye(size, dtype=torch.float64)
        for producer, first, stop in self._read.get(layer, ()):
            mean[first:stop], covariance[first:stop, first:stop] = self._made(producer)
        return mean, covariance

    def inputs(self, layer: str) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean (D), covariance (D, D)) of a layer's inputs: taps of its channels, then the MLP's coordinates."""
        mean, covariance = self.channels(layer)
        size = self._tensors[f"{layer}.weight"][0].size
        taps = (size - float_columns(f"{layer}.weight")) // len(mean)
        used = taps * len(mean)
        means, whole = torch.zeros(size, dtype=torch.float64), torch.eye(size, dtype=torch.float64)
        means[:used] = mean.repeat_interleave(taps)
        whole[:used, :used] = torch.kron(covariance, correlation(taps))
        return means, whole

    def products(self, layer: str, left: torch.Tensor) -> torch.Tensor:
        """E[x x^T], (L, L), of the inputs `left` (L) of a layer, variances doubted: keeps means in rounding, too."""
        mean, covariance = self.inputs(layer)
        mean = mean[left]
        return ridged(covariance[left[:, None], left], DOUBT) + torch.outer(mean, mean)

    def _made_by(self, producer: str) -> tuple[torch.Tensor, torch.Tensor]:
        weight, bias = (torch.from_numpy(self._tensors[f"{producer}.{part}"]).double() for part in ("weight", "bias"))
        filters = weight.flatten(1)
        mean, covariance = self.inputs(producer)
        return rectified_together(filters @ mean + bias, filters @ covariance @ filters.T)
