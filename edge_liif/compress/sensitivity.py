"""What an error in a layer's output costs in the picture: gradients of random projections of the network's output.

For independent errors e_o of variance s_o in output channel o of a layer, the mean squared error of the picture is
about sum_o G_o s_o with G_o = E |d(v . picture) / d y_o|^2 summed over the places of y and divided by the values of the
picture, v random signs (Hutchinson's estimate of the diagonal of J^T J).
"""

from __future__ import annotations

import torch

from ..model.checkpoint import Network
from .queries import Queries
from .watch import watch


def sensitivities(network: Network, lr: torch.Tensor, queries: Queries, seed: int = 0) -> dict[str, torch.Tensor]:
    """G (O,) of every layer by name, in mean squared error of the picture (in -1..1) per squared error of an output.

    lr (n, 3, h, w) in -1..1, one picture at a time.
    """
    generator = torch.Generator().manual_seed(seed)
    total: dict[str, torch.Tensor] = {}
    for i in range(len(lr)):
        outputs: dict[str, torch.Tensor] = {}
        one = Queries(queries.cell[i : i + 1], queries.offset[i : i + 1], queries.size[i : i + 1])
        # a picture that asks for its gradient is what makes torch remember everything behind it
        x = watch(network, lr[i : i + 1].clone().requires_grad_(), one, outputs=outputs.__setitem__)
        signs = torch.randint(0, 2, x.shape, generator=generator) * 2.0 - 1
        gradients = torch.autograd.grad((x * signs).sum(), list(outputs.values()))
        for name, gradient in zip(outputs, gradients, strict=True):
            places = [d for d in range(gradient.ndim) if d != 1]
            share = gradient.square().sum(places) / (x.numel() * len(lr))
            total[name] = total.get(name, torch.zeros_like(share)) + share
    return total
