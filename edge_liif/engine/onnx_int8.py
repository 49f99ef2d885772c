"""The graphs of a compressed network in integers: explicit quantization, as ONNX Runtime and TensorRT read it.

QuantizeLinear makes levels, one scale per value; DequantizeLinear stands before every convolution and matrix product,
on int8 levels of the weight with a scale per output channel as well: runtimes execute such a group on integers. Scales
per channel differ by factors, which are multiplied out before QuantizeLinear: in the weights and the bias of the
convolution behind whose ReLU the value lies, for nothing, elsewhere by a node of its own.

Zero points are 0. Where all unsigned levels fit, they are int8 as well, so that a network compressed with 7 bits or
fewer between layers has no uint8 in it, which TensorRT does not take. Signed and unsigned parts of a concatenation are
convolved apart even then: their scales need not be whole steps apart.

Biases of the MLP are added behind the products: a bias inside would be rounded to whole products of levels by whatever
executes the group on integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.checkpoint import Network
from ..model.liif import FirstLayer, layer_names
from ..model.quantization import ActivationQuantization, step_factors
from .integer import IntegerLayers, IntegerWeight, Named, activations_of, integer_weight, quantizer
from .onnx_graphs import FloatGraphs, convolution, convolve
from .onnx_recorder import Recorder

Factor = NDArray[np.float32] | None
"""Per channel; None for 1."""


class IntegerGraphs(FloatGraphs):
    """Graphs of a compressed network whose arithmetic is integers. Raises EngineError if it has no quantizers."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._activations = activations_of(network)

    def hidden_map(self, graph: Recorder, lr: str) -> str:
        spec = self.network.spec
        layers = _GraphLayers(self.network, graph)
        features = spec.encoder_module.forward(layers, spec.encoder, layers.picture(_Value(lambda _: lr)))
        name = layer_names(spec.decoder)[0]
        return layers.integer(features, name, None).times(self._factor(name))

    def first(self) -> FirstLayer:
        first = super().first()
        factor = self._factor(layer_names(self.network.spec.decoder)[0])
        if factor is None:
            return first
        column = factor[:, None]
        return FirstLayer(
            first.convolution * factor[:, None, None, None],
            first.offset * column,
            first.cell * column,
            first.bias * factor,
        )

    def linear(self, graph: Recorder, x: str, before: str, name: str, factor: np.float32, shift: np.float32) -> str:
        read = quantizer(self._activations, f"{before}.relu")
        levels = quantize(graph, x, read, unsigned_type(self._activations), rectified=True)
        weight = integer_weight(self.network, name)
        own = self._factor(name)
        factors = np.full(len(weight.scale), factor) * (1 if own is None else own)
        bias = self.network.tensors[f"{name}.bias"] * factors + shift
        own_weight = dequantized_weight(graph, weight.levels, weight.scale * factors, name)
        products = graph.node("Gemm", [dequantized(graph, levels), own_weight], name, transB=1)
        return graph.node("Add", [products, graph.constant(bias, f"{name}.bias")], f"{name}.bias")

    def _factor(self, name: str) -> Factor:
        """What layer `name` of the MLP is multiplied with for the sake of its reader's levels."""
        read = self._activations.get(f"{name}.relu")
        return None if read is None else reciprocals(read)


LevelType = type[np.int8] | type[np.uint8]


def unsigned_type(activations: Mapping[str, ActivationQuantization]) -> LevelType:
    """The type of all unsigned levels of a network: one, because parts of a concatenation must agree."""
    fit = all(read.levels[1] <= np.iinfo(np.int8).max for read in activations.values())
    return np.int8 if fit else np.uint8


def reciprocals(quantization: ActivationQuantization) -> Factor:
    """What each channel is multiplied with so that all have the value's scale."""
    return np.float32(1) / step_factors(quantization.steps) if any(quantization.steps) else None


@dataclass(frozen=True)
class Levels:
    """Whole numbers in the graph, their type, and what one of them stands for."""

    tensor: str
    scale: float
    dtype: LevelType


def quantize(
    graph: Recorder, x: str, quantization: ActivationQuantization, unsigned: LevelType, rectified: bool
) -> Levels:
    """Levels of a value whose factors have been multiplied out. unsigned: the type of levels without sign;
    rectified: nothing in the value is below zero."""
    low, high = quantization.levels
    dtype: LevelType = np.int8 if quantization.signed else unsigned
    kind = np.iinfo(dtype)
    scale = np.float32(quantization.scale)
    # QuantizeLinear itself stops at the ends of the type only
    lower = graph.constant(np.float32(low) * scale) if low > kind.min and not rectified else ""
    upper = graph.constant(np.float32(high) * scale) if high < kind.max else ""
    if lower or upper:
        x = graph.node("Clip", [x, lower, upper] if upper else [x, lower])
    parameters = [graph.constant(scale, "scale"), graph.constant(dtype(0), "zero")]
    return Levels(graph.node("QuantizeLinear", [x, *parameters]), quantization.scale, dtype)


def dequantized(graph: Recorder, levels: Levels) -> str:
    parameters = [graph.constant(np.float32(levels.scale), "scale"), graph.constant(levels.dtype(0), "zero")]
    return graph.node("DequantizeLinear", [levels.tensor, *parameters])


def dequantized_weight(graph: Recorder, levels: NDArray[np.int8], scale: NDArray[np.float32], name: str) -> str:
    """A weight (O, ...) from int8 levels and a scale (O)."""
    parameters = [
        graph.constant(levels, f"{name}.weight"),
        graph.constant(scale.astype(np.float32), f"{name}.scale"),
        graph.constant(np.zeros(len(scale), np.int8), f"{name}.zero"),
    ]
    return graph.node("DequantizeLinear", parameters, f"{name}.weight.float", axis=0)


class _Value:
    """A float value that is recorded when it is first needed, so that a factor may still go into its weights."""

    def __init__(self, record: Callable[[Factor], str], rectified: bool = False) -> None:
        self._record, self.rectified = record, rectified
        self._tensor: str | None = None

    @property
    def recorded(self) -> bool:
        return self._tensor is not None

    @property
    def tensor(self) -> str:
        if self._tensor is None:
            self._tensor = self._record(None)
        return self._tensor

    def times(self, factor: Factor) -> str:
        """The value times a factor per channel, recorded for itself."""
        return self.tensor if factor is None else self._record(factor)


class _GraphLayers(IntegerLayers):
    def __init__(self, network: Network, graph: Recorder) -> None:
        super().__init__(network)
        self._graph = graph
        self._layer = layer_names(network.spec.decoder)[0]

    def conv(self, x: Named, name: str) -> Named:
        before, self._layer = self._layer, name
        result = super().conv(x, name)
        self._layer = before
        return result

    def quantize(self, x: Any, quantization: ActivationQuantization) -> Levels:
        factor = reciprocals(quantization)
        # Only what a ReLU makes is read through quantizers and by nobody else; the residual stream is needed as it is.
        tensor = x.times(factor) if x.rectified else self._multiplied(x.tensor, factor)
        return quantize(self._graph, tensor, quantization, unsigned_type(self._activations), x.rectified)

    def integer_conv(self, levels: Any, weight: IntegerWeight, bias: NDArray[np.float32] | None) -> _Value:
        scale, name = weight.scale / np.float32(levels.scale), self._layer

        def record(factor: Factor) -> str:
            factors = np.float32(1) if factor is None else factor
            own = dequantized_weight(self._graph, weight.levels, scale * factors, name)
            scaled = None if bias is None else bias * factors
            kernel = weight.levels.shape[-1]
            return convolve(self._graph, dequantized(self._graph, levels), own, kernel, scaled, name)

        return _Value(record)

    def float_conv(self, x: Any, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> _Value:
        name = self._layer

        def record(factor: Factor) -> str:
            factors = np.ones(len(bias), np.float32) if factor is None else factor
            return convolution(self._graph, x.tensor, weight * factors[:, None, None, None], bias * factors, name)

        return _Value(record)

    def rectified(self, x: Any) -> _Value:
        def record(factor: Factor) -> str:
            before = self._multiplied(x.tensor, factor) if x.recorded else x.times(factor)
            return self._graph.node("Relu", [before])

        return _Value(record, rectified=True)

    def sum(self, x: Any, y: Any) -> _Value:
        if x.recorded or y.recorded:
            tensor = self._graph.node("Add", [x.tensor, y.tensor])
            result = _Value(lambda factor: self._multiplied(tensor, factor))
            assert result.tensor == tensor
            return result
        # signed and unsigned parts of one convolution
        return _Value(lambda factor: self._graph.node("Add", [x.times(factor), y.times(factor)]))

    def join(self, xs: list[Any]) -> Levels:
        tensor = self._graph.node("Concat", [x.tensor for x in xs], axis=1)
        return Levels(tensor, max(x.scale for x in xs), xs[0].dtype)

    def _multiplied(self, x: str, factor: Factor) -> str:
        if factor is None:
            return x
        return self._graph.node("Mul", [x, self._graph.constant(factor.reshape(1, -1, 1, 1))])
