"""Which layers cause the loss: what each adds to the squared error of the picture, by prediction.

Rounding: the squared error that it makes in a layer's outputs times what an error there costs (`sensitivity.py`).
Pruning: what the elimination said that a group's lost channels would cost, repair included (`scores.by_damage`). Errors
of different layers are taken for independent, so their squares add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from .lockstep import Lockstep
from .scores import Order


@dataclass(frozen=True)
class LayerLoss:
    """One layer. bits: of its weight, None for float; error: of its output, relative to the output's variance, all that
    layers before it have damaged included; weights, inputs, pruned: predicted mean squared error of the picture (in
    -1..1) from rounding its weight, rounding what it reads, and losing output channels (None where the score predicts
    none); share: of the sum over all layers, 0..1."""

    layer: str
    bits: int | None
    error: float
    weights: float
    inputs: float
    pruned: float | None
    share: float

    @property
    def total(self) -> float:
        return self.weights + self.inputs + (self.pruned or 0.0)


def layer_table(
    run: Lockstep,
    sensitivity: Mapping[str, torch.Tensor],
    orders: Mapping[str, Order] | None,
    kept: Mapping[str, Sequence[int]],
) -> list[LayerLoss]:
    """A row for each layer, in the order in which they run. `run` has kept account; orders: by damage, None where
    channels were chosen otherwise or not at all."""
    rows = []
    for name, rounding in run.roundings.items():
        stay = list(kept.get(name, range(len(sensitivity[name]))))
        cost = sensitivity[name][stay].double()
        gone = len(sensitivity[name]) - len(stay)
        lost: float | None = 0.0
        if gone:
            costs = orders[name].costs if orders else None
            lost = None if costs is None else sum(costs[:gone])
        quantization = run.weights.get(f"{name}.weight")
        rows.append(
            LayerLoss(
                name,
                quantization.bits if quantization else None,
                run.errors[name],
                float((cost * rounding.weights.double()).sum()),
                float((cost * rounding.inputs.double()).sum()),
                lost,
                0.0,
            )
        )
    whole = sum(row.total for row in rows) or 1.0
    return [LayerLoss(r.layer, r.bits, r.error, r.weights, r.inputs, r.pruned, r.total / whole) for r in rows]
