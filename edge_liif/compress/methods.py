"""The family of methods, weakest to strongest, as data: how channels are chosen, damage is repaired, numbers rounded.

rtn        channels by the norm of their filter; no repair; rounding to nearest, scales from the largest magnitude
magnitude  channels by the norm of their filter times that of all their readers; otherwise as rtn
dfq        as magnitude, after cross-layer equalisation, with bias correction (Nagel et al., arXiv 1906.04721)
udfc       UDFC (arXiv 2308.07209) without BatchNorm, by moments expected from weights alone (L0, `expected.py`):
           channels by their readers' error, the others stand in for those that go; GPTQ
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
from .least_squares import RIDGE, ridged

# Ridge of least squares for a layer that has lost no input itself. Its own weight is wrong only by what pruning and
# rounding did to layers before it; where synthetic pictures hardly vary, what they say against it holds for them alone.
# `benchmarks/results/compression_parts.md` has the numbers.
STAY = 0.3

# What channels can be chosen by: `statistics.Statistics.orders`.
SCORES = ("filter", "magnitude", "expected", "energy", "damage")

Repair = Callable[[Layer], tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Method:
    """score: one of SCORES; repair: a key of REPAIRS; gptq: else round to nearest;
    weighted_scale: weight scales by weighted squared error, else by largest magnitude; bias: mean of the output
    restored; equalise: cross-layer equalisation first; expected: scales and GPTQ go by moments that are expected, not
    measured (`expected.py`)."""

    score: str
    repair: str
    gptq: bool = False
    weighted_scale: bool = False
    bias: bool = False
    equalise: bool = False
    expected: bool = False

    @property
    def needs_samples(self) -> bool:
        """Whether it looks at values of several channels at once; means and variances are enough for the others."""
        across = self.score in ("energy", "damage") or self.repair in ("moments", "least squares")
        return across or (not self.expected and (self.gptq or self.weighted_scale))


def _nothing(layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    return layer.weight[:, layer.left], layer.bias


def _expected(layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """L0: as L2, with moments that are expected from the producers' filters."""
    return _stand_in(layer, *layer.expected.channels(layer.name))


def _moments(layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """L2: with moments of the channels after the ReLU, measured in the original network."""
    return _stand_in(layer, *layer.channel_moments())


def _stand_in(layer: Layer, mean: torch.Tensor, covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Channels left stand in for those that go: S = C_PK (C_KK + l I)^-1, pushed into every tap; t = mu_P - S mu_K into
    the bias."""
    kept, pruned = layer.channels_left, layer.channels_gone
    weight = layer.weight[:, layer.left].double().clone()
    bias = layer.bias.double().clone()
    if len(pruned) == 0:
        return weight.float(), bias.float()
    taps = layer.taps
    kk = ridged(covariance[kept][:, kept])
    share = torch.linalg.solve(kk, covariance[kept][:, pruned]).T
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
    "expected": _expected,
    "moments": _moments,
    "least squares": _least_squares,
}

METHODS: dict[str, Method] = {
    "rtn": Method("filter", "none"),
    "magnitude": Method("magnitude", "none"),
    "dfq": Method("magnitude", "none", bias=True, equalise=True),
    "udfc": Method("expected", "expected", gptq=True, weighted_scale=True, expected=True),
    "moments": Method("energy", "moments", bias=True),
    "lockstep": Method("damage", "least squares", gptq=True, weighted_scale=True, bias=True),
}
