"""What an error in a layer's output costs in the picture: gradients of random projections of the network's output.

For independent errors e_o of variance s_o in output channel o of a layer, the mean squared error of the picture is
about sum_o G_o s_o with G_o = E |d(v . picture) / d y_o|^2 summed over the places of y and divided by the values of the
picture, v random signs (Hutchinson's estimate of the diagonal of J^T J).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..engine.torch import TorchLayers
from ..model.checkpoint import Network
from ..model.liif import layer_names
from .queries import Queries, mlp_inputs


class _RecordingLayers(TorchLayers):
    """Executes eagerly and keeps every convolution's output, so that its gradient can be asked for."""

    def __init__(self, network: Network) -> None:
        super().__init__(network, torch.float32, torch.device("cpu"))
        for tensor in self.tensors.values():
            tensor.requires_grad_()
        self.outputs: dict[str, torch.Tensor] = {}

    def conv(self, x: torch.Tensor, name: str) -> torch.Tensor:
        y = super().conv(x, name)
        self.outputs[name] = y
        return y


def sensitivities(network: Network, lr: torch.Tensor, queries: Queries, seed: int = 0) -> dict[str, torch.Tensor]:
    """G (O,) of every layer by name, in mean squared error of the picture (in -1..1) per squared error of an output.

    lr (n, 3, h, w) in -1..1, one picture at a time.
    """
    generator = torch.Generator().manual_seed(seed)
    total: dict[str, torch.Tensor] = {}
    names = layer_names(network.spec.decoder)
    tensors = {n: torch.from_numpy(network.tensors[n].copy()) for n in network.tensors if n.startswith("imnet.")}
    for i in range(len(lr)):
        layers = _RecordingLayers(network)
        features = network.spec.encoder_module.forward(layers, network.spec.encoder, lr[i : i + 1])
        one = Queries(queries.cell[i : i + 1], queries.offset[i : i + 1], queries.size[i : i + 1])
        x = mlp_inputs(features, one)
        outputs = dict(layers.outputs)
        for name in names:
            x = F.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])
            outputs[name] = x
            if name != names[-1]:
                x = F.relu(x)
        signs = torch.randint(0, 2, x.shape, generator=generator) * 2.0 - 1
        gradients = torch.autograd.grad((x * signs).sum(), list(outputs.values()))
        for name, gradient in zip(outputs, gradients, strict=True):
            places = [d for d in range(gradient.ndim) if d != 1]
            share = gradient.square().sum(places) / (x.numel() * len(lr))
            total[name] = total.get(name, torch.zeros_like(share)) + share
    return total
