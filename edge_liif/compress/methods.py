"""The family of methods, weakest to strongest, as data: how channels are chosen, damage is repaired, numbers rounded.

rtn        channels by the norm of their filter; no repair; rounding to nearest, scales from the largest magnitude
magnitude  channels by the norm of their filter times that of all their readers; otherwise as rtn
dfq        as magnitude, after cross-layer equalisation, with bias correction (Nagel et al., arXiv 1906.04721)
udfc       as magnitude; other filters stand in for a damaged one (L0: UDFC, arXiv 2308.07209, without BatchNorm)
moments    channels by energy times norm of readers; second moments after the ReLU (L2); bias correction
lockstep   channels by predicted error of the picture (OBS cost times sensitivity); least squares against the original's
           own output (L3); GPTQ; bias correction

A new method is one entry in METHODS and, if its repair is new, one function in REPAIRS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .layer import Layer
from .least_squares import RIDGE

# Of a filter's energy, what rounding may add to it for least squares on filters to be right: about 5 bits.
FINE = 0.01
# Ridge of least squares for a layer that has lost no input itself. Its own weight is wrong only by what pruning and
# rounding did to layers before it; where synthetic pictures hardly vary, what they say against it holds for them alone.
# `benchmarks/results/compression_parts.md` has the numbers.
STAY = 0.3

# What channels can be chosen by: `statistics.Statistics.orders`.
SCORES = ("filter", "magnitude", "energy", "damage")

Repair = Callable[[Layer], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Method:
    """score: one of SCORES; repair: a key of REPAIRS; gptq: else round to nearest;
    weighted_scale: weight scales by weighted squared error, else by largest magnitude; bias: mean of the output
    restored; equalise: cross-layer equalisation first."""

    score: str
    repair: str
    gptq: bool = False
    weighted_scale: bool = False
    bias: bool = False
    equalise: bool = False

    @property
    def needs_samples(self) -> bool:
        """Whether it looks at values of several channels at once; means and variances are enough for the others."""
        across = self.score in ("energy", "damage") or self.repair in ("moments", "least squares")
        return across or self.gptq or self.weighted_scale


def _nothing(layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    return layer.weight[:, layer.left], layer.bias


def _stand_in(layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """L0: other filters of the producer stand in for a damaged one; the stand-in goes into the readers. How alike two
    filters are is how alike their outputs are expected to be (`prior.py`).

    A pruned channel j: alpha = (M^T M + l I)^-1 M^T w_j over the filters M that are left, W'_K = W_K + W_P alpha. A
    channel that was only rounded: a scalar on its own column, s_j = <w_j, w^_j> / |w^_j|^2. Inputs that no group covers
    (residual stream, coordinates) have no filters to compare.

    This scalar makes a channel weaker by what rounding adds to it. Where that is more than FINE of its energy it makes
    all channels of all layers too weak together, which adds up where errors don't; there it is |w_j| / |w^_j|, which
    keeps the channel's energy. `benchmarks/results/compression_parts.md` has the numbers.
    """
    taps = layer.taps
    weight = layer.weight[:, layer.left].double().clone()
    position = {int(c): i for i, c in enumerate(layer.left.tolist())}
    for source in layer.sources():
        original, rounded = source.original.double(), source.rounded.double()
        kept = source.kept
        gone = sorted(set(range(len(original))) - set(kept))
        energy, left = original[kept].square().sum(1), rounded.square().sum(1).clamp_min(1e-12)
        fine = (rounded - original[kept]).square().sum(1) <= FINE * energy
        own = torch.where(fine, (original[kept] * rounded).sum(1) / left, (energy / left).sqrt())
        gram = rounded @ rounded.T
        level = RIDGE * gram.diagonal().mean()
        alpha = torch.linalg.solve(gram + level * torch.eye(len(gram), dtype=gram.dtype), rounded @ original[gone].T)
        for tap in range(taps):
            columns = [position[(source.first + c) * taps + tap] for c in kept]
            lost = [(source.first + c) * taps + tap for c in gone]
            weight[:, columns] = weight[:, columns] * own + layer.weight[:, lost].double() @ alpha.T
    return weight.float(), layer.bias


def _moments(layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """L2: S = C_PK (C_KK + l I)^-1 over channels after the ReLU, pushed into every tap; t = mu_P - S mu_K into the
    bias."""
    kept, pruned = layer.channels_left, layer.channels_gone
    weight = layer.weight[:, layer.left].double().clone()
    bias = layer.bias.double().clone()
    if len(pruned) == 0:
        return weight.float(), bias.float()
    covariance, mean = layer.channel_moments()
    taps = layer.taps
    kk = covariance[kept][:, kept]
    level = RIDGE * kk.diagonal().mean()
    share = torch.linalg.solve(kk + level * torch.eye(len(kk), dtype=kk.dtype), covariance[kept][:, pruned]).T
    rest = mean[pruned] - share @ mean[kept]
    full = layer.weight.double()
    for tap in range(taps):
        gone = full[:, pruned * taps + tap]
        weight[:, tap::taps][:, : len(kept)] += gone @ share
        bias += gone @ rest
    return weight.float(), bias.float()


def _least_squares(layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """L3: [W' b'] = argmin E |W x + b - W' x~ - b'|^2, a ridge pulling towards W_K, harder where no input
    is gone (W_K is W)."""
    ridge = RIDGE if len(layer.channels_gone) else STAY
    weight, bias = layer.moments.solution(near=layer.weight[:, layer.left], ridge=ridge)
    return weight.float(), bias.float()


REPAIRS: dict[str, Repair] = {
    "none": _nothing,
    "filters": _stand_in,
    "moments": _moments,
    "least squares": _least_squares,
}

METHODS: dict[str, Method] = {
    "rtn": Method("filter", "none"),
    "magnitude": Method("magnitude", "none"),
    "dfq": Method("magnitude", "none", bias=True, equalise=True),
    "udfc": Method("magnitude", "filters"),
    "moments": Method("energy", "moments", bias=True),
    "lockstep": Method("damage", "least squares", gptq=True, weighted_scale=True, bias=True),
}
