"""The graphs of a compressed network in integers: OpenVINO executes every convolution and matrix product on int8.

Levels are made by FakeQuantize, whose input range is per channel and whose output is the whole numbers themselves;
weights are int8 constants, converted and scaled per output channel. These are the forms that OpenVINO's low-precision
transformations recognise: what is between a convolution and the next FakeQuantize becomes part of the convolution, and
what goes through memory is 8 bits wide. Sums and the residual stream are floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as op
from numpy.typing import NDArray

from ..model.checkpoint import Network
from ..model.liif import layer_names
from ..model.quantization import ActivationQuantization
from .integer import IntegerLayers, IntegerWeight, activations_of, channel_scales, integer_weight, quantizer
from .openvino_graphs import FloatGraphs, convolution

# FakeQuantize has kernels for these many levels; fewer bits use the lowest of them.
LEVELS = 256


class IntegerGraphs(FloatGraphs):
    """Graphs of a compressed network whose arithmetic is integers. Raises EngineError if it has no quantizers."""

    def __init__(self, network: Network, storage: ov.Type = ov.Type.f32) -> None:
        super().__init__(network, storage)
        self._activations = activations_of(network)

    def hidden_map(self, lr: Any) -> Any:
        layers = _GraphLayers(self.network)
        spec = self.network.spec
        features = spec.encoder_module.forward(layers, spec.encoder, layers.picture(lr))
        return layers.integer(features, layer_names(spec.decoder)[0], None)

    def read(self, x: Any, name: str) -> Any:
        return _levels(x, quantizer(self._activations, name), -1)

    def matrix(self, before: str, name: str, factor: np.float32) -> Any:
        scale = quantizer(self._activations, f"{before}.relu").scale
        weight = integer_weight(self.network, name)
        return _weight(weight.reading(0, weight.levels.shape[1], scale), factor)


class _GraphLayers(IntegerLayers):
    def quantize(self, x: Any, quantization: ActivationQuantization) -> Any:
        return _levels(x, quantization, 1)

    def integer_conv(self, levels: Any, weight: IntegerWeight, bias: NDArray[np.float32] | None) -> Any:
        return convolution(levels, _weight(weight), bias)

    def float_conv(self, x: Any, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> Any:
        return convolution(x, op.constant(weight), bias)

    def rectified(self, x: Any) -> Any:
        return op.relu(x)

    def sum(self, x: Any, y: Any) -> Any:
        return op.add(x, y)

    def join(self, xs: list[Any]) -> Any:
        return op.concat(xs, 1)


def _levels(x: Any, quantization: ActivationQuantization, axis: int) -> Any:
    low, high = quantization.levels
    scale = channel_scales(quantization)
    dimensions = len(x.get_output_shape(0))
    shape = [1] * dimensions
    shape[axis] = len(scale)
    scale = scale.reshape(shape)
    if high - low + 1 < LEVELS:
        x = op.minimum(x, op.constant(high * scale))
        if low:
            x = op.maximum(x, op.constant(low * scale))
        low, high = (-LEVELS // 2, LEVELS // 2 - 1) if quantization.signed else (0, LEVELS - 1)
    ones = np.ones([1] * dimensions, np.float32)
    ends = (low * scale, high * scale, low * ones, high * ones)
    return op.fake_quantize(x, *(op.constant(end.astype(np.float32)) for end in ends), LEVELS)


def _weight(weight: IntegerWeight, factor: float | np.float32 = 1) -> Any:
    levels = op.convert(op.constant(weight.levels), ov.Type.f32)
    shape = [-1] + [1] * (weight.levels.ndim - 1)
    return op.multiply(levels, op.constant((weight.scale * np.float32(factor)).reshape(shape)))
