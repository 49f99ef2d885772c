"""Integer arithmetic imitated in torch's floats: what OpenVINO's int8 kernels compute, to the last bit where they sum
in 32-bit integers (seen with AVX-512 VNNI and with AMX), so that accuracy can be measured and explained where no such
kernel is at hand. Windows of less than 8 pixels, which the OpenVINO engine leaves to floats, are integers here too.

A float that differs in its last bit tips a level, and sixteen residual blocks amplify that into a grey level here and
there. So the floats between the integers are computed as the kernels do: the first convolution adds one product after
the other by fused multiply-add, channels innermost; sums of integers are exact; products with scales, biases, residuals
and the two steps of a quantizer are rounded each by itself.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..geometry import Geometry
from ..model.checkpoint import Network
from ..model.liif import layer_names
from ..model.quantization import ActivationQuantization
from .base import MemoryFacts
from .integer import IntegerLayers, IntegerWeight, activations_of, channel_scales, integer_weight, quantizer
from .processor import shifts_signed_levels
from .torch import TorchEngine

# Whole numbers below this are exact in float32, sums of them in any order.
_EXACT = 2**24


def quantized(x: torch.Tensor, quantization: ActivationQuantization, axis: int = 1) -> torch.Tensor:
    """x rounded to the levels of a quantizer, in the units of x; `axis` is that of the channels."""
    low, high = quantization.levels
    if not quantization.steps:
        return torch.fake_quantize_per_tensor_affine(x, quantization.scale, 0, low, high)
    scale = torch.from_numpy(channel_scales(quantization))
    return torch.fake_quantize_per_channel_affine(x, scale, torch.zeros(len(scale)), axis % x.ndim, low, high)


def levels_of(
    x: torch.Tensor, quantization: ActivationQuantization, axis: int, shifted: bool | None = None
) -> torch.Tensor:
    """The levels of x as kernels find them: a factor and, where kernels read signed levels as unsigned ones, a shift,
    both in float32, then the nearest whole number. A value within some 1e-5 of the middle between two levels can fall
    on the other side than in exact arithmetic. shifted: None as this processor's kernels do."""
    low, high = quantization.levels
    least, most = (-128, 127) if quantization.signed else (0, 255)
    scale = channel_scales(quantization)
    # numpy's: torch divides a number by a tensor through its reciprocal, which rounds twice
    factor = np.float32(most - least) / (np.float32(most) * scale - np.float32(least) * scale)
    shift = -(np.float32(least) * scale) * factor
    shape = [1] * x.ndim
    shape[axis] = len(scale)
    scales, factors, shifts = (torch.from_numpy(a).reshape(shape) for a in (scale, factor, shift))
    x = torch.minimum(torch.maximum(x, low * scales), high * scales).mul_(factors)
    if least and (shifts_signed_levels() if shifted is None else shifted):
        x = x.add_(shifts).round_().add_(least)
    return x.round_().to(torch.int8 if least else torch.uint8)


def exact_sums(levels: torch.Tensor, weight: NDArray[np.int8]) -> torch.Tensor:
    """Convolution (O, I, k, k; zero padding k // 2) or product (O, I) of whole numbers, rounded once, to float32."""
    if weight.ndim == 2:
        wide = torch.float32 if _largest(weight) < _EXACT else torch.float64
        return F.linear(levels.to(wide), torch.from_numpy(weight).to(wide)).float()
    # in parts of the input's channels: float64 convolutions are slow and take much memory
    pieces = 1 + _largest(weight) // _EXACT
    numbers = torch.from_numpy(weight).float()
    while True:
        size = -(-weight.shape[1] // pieces)
        starts = range(0, weight.shape[1], size)
        if size == 1 or all(_largest(weight[:, start : start + size]) < _EXACT for start in starts):
            break
        pieces += 1
    parts = (
        F.conv2d(
            levels[:, start : start + size].float(), numbers[:, start : start + size], padding=weight.shape[-1] // 2
        )
        for start in starts
    )
    total = next(parts)
    if len(starts) > 1:
        total = total.double()
        for part in parts:
            total += part
    return total.float()


def _largest(weight: NDArray[np.int8]) -> int:
    """What a sum of products with levels, which are at most 255, can't exceed."""
    return 255 * int(np.abs(weight.astype(np.int32)).reshape(len(weight), -1).sum(1).max())


class SimulatedLayers(IntegerLayers):
    """`model.layers.Layers` in torch's floats, for one picture: every value's levels are kept."""

    def quantize(self, x: torch.Tensor, quantization: ActivationQuantization) -> torch.Tensor:
        return levels_of(x, quantization, 1)

    def integer_conv(
        self, levels: torch.Tensor, weight: IntegerWeight, bias: NDArray[np.float32] | None
    ) -> torch.Tensor:
        y = exact_sums(levels, weight.levels) * torch.from_numpy(weight.scale)[:, None, None]
        return y if bias is None else y + torch.from_numpy(bias)[:, None, None]

    def float_conv(self, x: torch.Tensor, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> torch.Tensor:
        _, channels, height, width = x.shape
        size = weight.shape[-1]
        wide = F.pad(x, [size // 2] * 4).double()
        factors = torch.from_numpy(weight).double()
        total = torch.zeros(1, len(weight), height, width)
        for row, column, channel in itertools.product(range(size), range(size), range(channels)):
            part = wide[:, channel : channel + 1, row : row + height, column : column + width]
            # a product of two floats is exact in float64, so this is a fused multiply-add, but for rounding twice once
            # in half a billion times
            total = (total + part * factors[:, channel, row, column][:, None, None]).float()
        return total + torch.from_numpy(bias)[:, None, None]

    def rectified(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)

    def sum(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y

    def join(self, xs: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(xs, 1)


class SimulatedEngine(TorchEngine):
    """The torch engine in precision "int8", for networks compressed with activation bits. Slower than fp32."""

    def __init__(self, network: Network, threads: int | None = None) -> None:
        self._activations = activations_of(network)
        super().__init__(network, "fp32", "cpu", threads)
        self.precision = "int8"

    def encode(self, lr: NDArray[np.float32]) -> torch.Tensor:
        # kernels keep the map of a tile in half precision
        return super().encode(lr).half().float()

    def _hidden_map(self, x: torch.Tensor) -> torch.Tensor:
        layers = SimulatedLayers(self._network)
        features = self._spec.encoder_module.forward(layers, self._spec.encoder, layers.picture(x))
        hidden: torch.Tensor = layers.integer(features, layer_names(self._spec.decoder)[0], None)
        return hidden

    def decode_tensor(self, hidden: Any, geometry: Geometry) -> torch.Tensor:
        rows, columns = geometry.rows, geometry.columns
        x = hidden[self._index(rows)][:, self._index(columns)]
        along_rows = rows.offset.astype(np.float32)[:, None] * self._first.offset[:, 0]
        along_columns = columns.offset.astype(np.float32)[:, None] * self._first.offset[:, 1]
        along_columns = along_columns + self._first.bias_for(geometry.cell).astype(np.float32)
        x = x.add_(torch.from_numpy(along_rows)[:, None]).add_(torch.from_numpy(along_columns)[None])
        names = layer_names(self._spec.decoder)
        for before, name in itertools.pairwise(names):
            read = quantizer(self._activations, f"{before}.relu")
            weight = integer_weight(self._network, name)
            scale, bias = weight.scale * np.float32(read.scale), self._network.tensors[f"{name}.bias"]
            if name == names[-1]:
                # -1..1 to 0..1, folded into the last layer
                scale, bias = scale * np.float32(0.5), bias * np.float32(0.5) + np.float32(0.5)
            x = exact_sums(levels_of(torch.relu(x), read, -1), weight.levels)
            x = x.mul_(torch.from_numpy(scale)).add_(torch.from_numpy(bias))
        return torch.from_numpy(columns.mix(rows.mix(x.numpy(), 0), 1))

    @property
    def memory(self) -> MemoryFacts:
        # every value's levels, a byte each, are kept to the end of the encoder; the sums of the hidden map are made in
        # parts, in float64. Measured in windows of 256x256: 8.5 to 9.7 kB a pixel of EDSR-baseline, 11.2 of rdn-liif-s
        facts = super().memory
        pixel = 2 * facts.lr_pixel + 20 * self._spec.decoder.hidden[0]
        return MemoryFacts(facts.base, pixel, 2 * facts.evaluation, facts.column)
