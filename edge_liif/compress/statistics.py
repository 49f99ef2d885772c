"""What compression wants to know of a network before it starts: what errors cost, which channels go first, how large
values are. It depends on the network and the calibration pictures alone, not on how far one compresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from ..model.checkpoint import Network
from . import scores
from .queries import Queries
from .scores import Order
from .sensitivity import sensitivities
from .structure import channel_groups
from .watch import watch

# Pictures that sensitivities are measured on; more change the second digit.
SENSITIVITY_PICTURES = 4


@dataclass(frozen=True)
class Range:
    """Per channel (C,) of a layer's output, behind the ReLU if it is a group's: over all places and pictures."""

    mean: torch.Tensor
    variance: torch.Tensor
    lowest: torch.Tensor
    highest: torch.Tensor

    @property
    def energy(self) -> torch.Tensor:
        return self.variance + self.mean.square()


class Statistics:
    """Measured when first asked for, then kept. lr (n, 3, h, w) in -1..1."""

    def __init__(self, network: Network, lr: torch.Tensor, queries: Queries, seed: int) -> None:
        self._network, self._lr, self._queries, self._seed = network, lr, queries, seed
        self._sensitivity: Mapping[str, torch.Tensor] | None = None
        self._damage: Mapping[str, Order] | None = None
        self._ranges: Mapping[str, Range] | None = None

    @property
    def sensitivity(self) -> Mapping[str, torch.Tensor]:
        """G (O,) of every layer: see `sensitivity.py`."""
        if self._sensitivity is None:
            few, queries = slice(0, SENSITIVITY_PICTURES), self._queries
            part = replace(queries, cell=queries.cell[few], offset=queries.offset[few], size=queries.size[few])
            self._sensitivity = sensitivities(self._network, self._lr[few], part, self._seed)
        return self._sensitivity

    @property
    def damage(self) -> Mapping[str, Order]:
        """Order of every group by predicted squared error of the picture."""
        if self._damage is None:
            self._damage = scores.by_damage(self._network, self._lr, self._queries, self.sensitivity)
        return self._damage

    @property
    def ranges(self) -> Mapping[str, Range]:
        """Of every layer's output, by the layer's name."""
        if self._ranges is None:
            self._ranges = ranges(self._network, self._lr, self._queries)
        return self._ranges

    def orders(self, score: str) -> Mapping[str, Order]:
        """Order of every group by "damage", "energy", "expected", "magnitude" or "filter"."""
        if score == "damage":
            return self.damage
        if score == "energy":
            return scores.by_energy(self._network, {name: found.energy for name, found in self.ranges.items()})
        return scores.by_weights(self._network, score)


def ranges(network: Network, lr: torch.Tensor, queries: Queries) -> dict[str, Range]:
    """`Statistics.ranges`, in one pass over the pictures lr (n, 3, h, w) in -1..1."""
    rectified = {group.producer for group in channel_groups(network.spec)}
    found: dict[str, Range] = {}

    def seen(name: str, y: torch.Tensor) -> None:
        values = F.relu(y) if name in rectified else y
        rows = values.transpose(0, 1).flatten(1)
        found[name] = Range(rows.mean(1), rows.var(1, correction=0), rows.amin(1), rows.amax(1))

    with torch.inference_mode():
        watch(network, lr, queries, outputs=seen)
    return found
