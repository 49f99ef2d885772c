"""Integer arithmetic imitated in torch's floats: what an int8 engine computes, to measure accuracy where none is at
hand.

Weights of a compressed network are multiples of their scales already; what is missing is that every layer reads its
input through the quantizers that compression chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..model.checkpoint import Network
from ..model.quantization import ActivationQuantization
from .base import MemoryFacts
from .integer import PICTURE, activations_of, channel_scales, quantizer
from .torch import TorchEngine, TorchLayers


@dataclass(frozen=True)
class Named:
    """A tensor (1, C, H, W) and the values it is a concatenation of: (name, channels) each."""

    tensor: torch.Tensor
    parts: tuple[tuple[str, int], ...]


def quantized(x: torch.Tensor, quantization: ActivationQuantization, axis: int = 1) -> torch.Tensor:
    """x on the levels of a quantizer; `axis` is that of the channels."""
    low, high = quantization.levels
    if not quantization.steps:
        return torch.fake_quantize_per_tensor_affine(x, quantization.scale, 0, low, high)
    scale = torch.from_numpy(channel_scales(quantization))
    return torch.fake_quantize_per_channel_affine(x, scale, torch.zeros(len(scale)), axis % x.ndim, low, high)


class SimulatedLayers(TorchLayers):
    """`model.layers.Layers` over `Named` values, each convolution reading through quantizers."""

    def __init__(self, network: Network, activations: Mapping[str, ActivationQuantization]) -> None:
        super().__init__(network, torch.float32, torch.device("cpu"))
        self._activations = activations

    def read(self, x: Named) -> torch.Tensor:
        """What a layer reads of a value. Raises EngineError if a quantizer is missing."""
        if x.parts[0][0] == PICTURE:
            return x.tensor
        pieces = []
        for piece, (name, _) in zip(x.tensor.split([n for _, n in x.parts], 1), x.parts, strict=True):
            pieces.append(quantized(piece, quantizer(self._activations, name)))
        return torch.cat(pieces, 1)

    def conv(self, x: Named, name: str) -> Named:  # type: ignore[override]
        y = super().conv(self.read(x), name)
        return Named(y, ((name, y.shape[1]),))

    def relu(self, x: Named) -> Named:  # type: ignore[override]
        return Named(torch.relu(x.tensor), ((f"{x.parts[0][0]}.relu", x.tensor.shape[1]),))

    def add(self, x: Named, y: Named) -> Named:  # type: ignore[override]
        return Named(x.tensor + y.tensor, ((f"{x.parts[0][0]}.sum", x.tensor.shape[1]),))

    def concat(self, xs: list[Named]) -> Named:  # type: ignore[override]
        return Named(torch.cat([x.tensor for x in xs], 1), tuple(part for x in xs for part in x.parts))


class SimulatedEngine(TorchEngine):
    """The torch engine in precision "int8", for networks compressed with activation bits. Slower than fp32."""

    def __init__(self, network: Network, threads: int | None = None) -> None:
        self._activations = activations_of(network)
        super().__init__(network, "fp32", "cpu", threads)
        self.precision = "int8"

    def _make_layers(self) -> SimulatedLayers:
        return SimulatedLayers(self._network, self._activations)

    def encode(self, lr: NDArray[np.float32]) -> torch.Tensor:
        # kernels keep the map of a tile in half precision
        return super().encode(lr).half().float()

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        named = Named(x, ((PICTURE, x.shape[1]),))
        return self._layers.read(self._spec.encoder_module.forward(self._layers, self._spec.encoder, named))

    def _after_relu(self, x: torch.Tensor, layer: int) -> torch.Tensor:
        return quantized(x, quantizer(self._activations, f"imnet.layers.{2 * layer}.relu"), -1)

    @property
    def memory(self) -> MemoryFacts:
        # quantized copies of what is read, and the masks that torch makes with them
        facts = super().memory
        return MemoryFacts(facts.base, 2 * facts.lr_pixel, 2 * facts.evaluation, facts.column)
