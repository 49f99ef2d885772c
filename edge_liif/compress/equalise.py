"""Cross-layer equalisation (Nagel et al., arXiv 1906.04721): the same function, ranges made even.

A ReLU channel may be scaled by 1/s if all who read it scale it back: relu(x / s) * s = relu(x). With s_j = sqrt(r1 /
r2), r1 the largest weight of the channel's filter and r2 the largest that any reader gives it, both become sqrt(r1 r2).
"""

from __future__ import annotations

import numpy as np

from ..model.checkpoint import Network
from .structure import channel_groups

ROUNDS = 3


def equalised(network: Network) -> Network:
    """The network with the ranges of every channel group made even; equal to it up to float32 rounding."""
    tensors = {name: tensor.copy() for name, tensor in network.tensors.items()}
    for _ in range(ROUNDS):
        for group in channel_groups(network.spec):
            weight, bias = tensors[f"{group.producer}.weight"], tensors[f"{group.producer}.bias"]
            own = np.abs(weight.reshape(group.width, -1)).max(1)
            reads = [tensors[f"{name}.weight"][:, first : first + group.width] for name, first in group.consumers]
            read = np.max([np.abs(np.moveaxis(r, 1, 0).reshape(group.width, -1)).max(1) for r in reads], axis=0)
            alive = (own > 1e-8) & (read > 1e-8)
            scale = np.where(alive, np.sqrt(np.where(alive, own, 1) / np.where(alive, read, 1)), 1).astype(np.float32)
            weight /= scale.reshape(-1, *[1] * (weight.ndim - 1))
            bias /= scale
            for part in reads:
                part *= scale.reshape(1, -1, *[1] * (part.ndim - 2))
    return Network(network.spec, tensors)
