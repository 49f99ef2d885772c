"""A network run once, and every layer's input and output shown on the way: the one watcher of this folder.

Who watches decides what to keep; nothing is kept here. Gradients flow if the caller lets them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ..engine.torch import TorchLayers
from ..model.checkpoint import Network
from ..model.layers import Layers
from ..model.liif import layer_names
from .queries import Queries, mlp_inputs

Seen = Callable[[str, torch.Tensor], None]


def _nothing(name: str, x: torch.Tensor) -> None:
    return None


class Watched:
    """`model.layers.Layers` over torch tensors (n, C, h, w): executes with `layers`, and shows what each convolution
    reads and gives (before the ReLU)."""

    def __init__(self, layers: Layers, inputs: Seen = _nothing, outputs: Seen = _nothing) -> None:
        self._layers, self._inputs, self._outputs = layers, inputs, outputs

    def conv(self, x: torch.Tensor, name: str) -> torch.Tensor:
        self._inputs(name, x)
        y = self._layers.conv(x, name)
        self._outputs(name, y)
        return y

    def relu(self, x: torch.Tensor) -> torch.Tensor:
        # never in place: whoever watched may have kept x
        return F.relu(x)

    def add(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._layers.add(x, y)

    def concat(self, xs: list[torch.Tensor]) -> torch.Tensor:
        return self._layers.concat(xs)


def watch(
    network: Network, lr: torch.Tensor, queries: Queries, inputs: Seen = _nothing, outputs: Seen = _nothing
) -> torch.Tensor:
    """Run a network on LR pictures (n, 3, h, w) in -1..1 and show every layer's input and output by the layer's name:
    (n, C, h, w) in the encoder, (n * Q, C) in the decoder, the first layer's coordinates included.

    Returns the decoder's colours (n * Q, 3) in -1..1.
    """
    layers = Watched(TorchLayers(network, torch.float32, torch.device("cpu")), inputs, outputs)
    features = network.spec.encoder_module.forward(layers, network.spec.encoder, lr)
    x = mlp_inputs(features, queries)
    names = layer_names(network.spec.decoder)
    for name in names:
        weight, bias = (torch.from_numpy(network.tensors[f"{name}.{part}"]) for part in ("weight", "bias"))
        inputs(name, x)
        y = F.linear(x, weight, bias)
        outputs(name, y)
        x = y if name == names[-1] else F.relu(y)
    return x
