"""One consumer while it is compressed: its weight in the original network, what it reads there and in the compressed
one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch

from .expected import Expected
from .least_squares import Moments


@dataclass(frozen=True)
class Layer:
    """weight (O, I * taps) and bias (O): of the original, rows that stay only; channels_left: input channels that stay,
    by their numbers in the original; free: trailing columns that are never quantized (coordinates of the MLP);
    steps: of the scales of the channels left, or none; original: the layer's input channels in the original
    network, (n, C, ...); samples: pairs x~ (m, columns left), y (m, O) of what is read now and what the original
    gave; expected: what the original's layers read, by weights alone."""

    name: str
    weight: torch.Tensor
    bias: torch.Tensor
    taps: int
    free: int
    channels_left: torch.Tensor
    steps: tuple[int, ...]
    original: Callable[[], torch.Tensor]
    samples: Callable[[], Iterator[tuple[torch.Tensor, torch.Tensor]]]
    expected: Expected

    @property
    def channels(self) -> int:
        return (self.weight.shape[1] - self.free) // self.taps

    @cached_property
    def left(self) -> torch.Tensor:
        """Columns of `weight` that stay, ascending."""
        columns = (self.channels_left[:, None] * self.taps + torch.arange(self.taps)).reshape(-1)
        return torch.cat([columns, torch.arange(self.channels * self.taps, self.weight.shape[1])])

    @cached_property
    def channels_gone(self) -> torch.Tensor:
        gone = torch.ones(self.channels, dtype=torch.bool)
        gone[self.channels_left] = False
        return torch.nonzero(gone).flatten()

    @cached_property
    def moments(self) -> Moments:
        moments = Moments(len(self.left), len(self.weight))
        for x, y in self.samples():
            moments.add(x, y)
        return moments

    def channel_moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean (C), covariance (C, C)) of the input channels in the original network."""
        x = self.original()
        flat = x.transpose(0, 1).reshape(x.shape[1], -1) if x.ndim == 4 else x[:, : self.channels].T
        mean = flat.mean(1, keepdim=True)
        centred = (flat - mean).float()
        return mean[:, 0].double(), (centred @ centred.T / centred.shape[1]).double()
