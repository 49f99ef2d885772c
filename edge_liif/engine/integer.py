"""What integer engines share: which value is read through which quantizer, and what a layer multiplies.

A compressed network's weights are whole levels times a scale per output channel, its activations whole levels times a
scale per value, both times factors per channel that cancel out. So a layer is a convolution of whole levels
followed by one factor and one bias per output channel; sums and ReLU stay in floats. An engine brings the arithmetic,
this module the bookkeeping.

Values are named as `compress/lockstep.py` names them: a convolution's output by the layer, `.relu` and `.sum` behind
it; a concatenation keeps the names of its parts.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from ..model.checkpoint import Network
from ..model.liif import layer_names
from ..model.quantization import ActivationQuantization, step_factors
from ..model.stored import weight_levels

PICTURE = "lr"
"""Name of the encoder's input, which is read as it is: the first convolution is computed in float."""


def activations_of(network: Network) -> Mapping[str, ActivationQuantization]:
    """The quantizers of a network's activations. Raises EngineError if it was not compressed with any."""
    compression = network.spec.compression
    if compression is None or not compression.activations:
        raise EngineError(
            f"model {network.spec.name} has no integer activations; make them with: edge-liif compress "
            "--weight-bits 8 --activation-bits 8"
        )
    return compression.activations


def quantizer(activations: Mapping[str, ActivationQuantization], name: str) -> ActivationQuantization:
    """The quantizer of a value. Raises EngineError if the model has none."""
    if name not in activations:
        raise EngineError(f"the compressed model has no quantizer for {name}; compress it again")
    return activations[name]


def channel_scales(quantization: ActivationQuantization) -> NDArray[np.float32]:
    """Scale of each channel (C), or one scale for all (1)."""
    return np.float32(quantization.scale) * step_factors(quantization.steps or [0])


@dataclass(frozen=True)
class IntegerWeight:
    """levels: int8 (O, I, ...), to be multiplied with the levels of the input; scale: float32 (O), of the products."""

    levels: NDArray[np.int8]
    scale: NDArray[np.float32]

    def reading(self, start: int, stop: int, scale: float) -> IntegerWeight:
        """For some channels of the input, which have this scale."""
        return IntegerWeight(np.ascontiguousarray(self.levels[:, start:stop]), self.scale * np.float32(scale))


def integer_weight(network: Network, name: str) -> IntegerWeight:
    """What layer `name` multiplies the levels of its input with; products are still in units of the input's scale.

    The MLP's first layer is shaped as the convolution (H1, F, 3, 3) that it is, without its coordinates.
    Raises EngineError if the weight was not quantized.
    """
    compression = network.spec.compression
    if compression is None or f"{name}.weight" not in compression.weights:
        raise EngineError(f"the compressed model's {name} has no whole levels; compress it again")
    levels, scale = weight_levels(
        f"{name}.weight", network.tensors[f"{name}.weight"], compression.weights[f"{name}.weight"]
    )
    if name == layer_names(network.spec.decoder)[0]:
        levels = levels.reshape(len(levels), -1, 3, 3)
    return IntegerWeight(levels, scale)


@dataclass(frozen=True)
class Named:
    """A value of the framework, or several to be concatenated, with name and channels of each."""

    pieces: tuple[Any, ...]
    names: tuple[str, ...]
    widths: tuple[int, ...]


class IntegerLayers(ABC):
    """`model.layers.Layers` over `Named` values, every convolution but the first on whole levels."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._activations = activations_of(network)
        self._levels: dict[str, Any] = {}

    @staticmethod
    def picture(x: Any) -> Named:
        """The encoder's input, (1, 3, H, W) in -1..1."""
        return Named((x,), (PICTURE,), (3,))

    def conv(self, x: Named, name: str) -> Named:
        bias = self.network.tensors[f"{name}.bias"]
        if x.names == (PICTURE,):
            y = self.float_conv(x.pieces[0], self.network.tensors[f"{name}.weight"], bias)
        else:
            y = self.integer(x, name, bias)
        return Named((y,), (name,), (len(bias),))

    def integer(self, x: Named, name: str, bias: NDArray[np.float32] | None) -> Any:
        """A layer on the levels of x. Signed and unsigned parts are convolved apart and added: no integer type that
        kernels have holds both."""
        read = [quantizer(self._activations, part) for part in x.names]
        weight = integer_weight(self.network, name)
        stops = list(itertools.accumulate(x.widths))
        result = None
        for _, group in itertools.groupby(range(len(read)), lambda i: read[i].signed):
            parts = list(group)
            levels = [self._levels_of(x.pieces[i], x.names[i], read[i]) for i in parts]
            start, stop = stops[parts[0]] - x.widths[parts[0]], stops[parts[-1]]
            joined = levels[0] if len(levels) == 1 else self.join(levels)
            # parts with smaller scales have the difference, a factor, in the weight
            part = weight.reading(start, stop, max(read[i].scale for i in parts))
            # the bias comes once
            y = self.integer_conv(joined, part, bias if result is None else None)
            result = y if result is None else self.sum(result, y)
        return result

    def relu(self, x: Named) -> Named:
        return Named((self.rectified(x.pieces[0]),), (f"{x.names[0]}.relu",), x.widths)

    def add(self, x: Named, y: Named) -> Named:
        return Named((self.sum(x.pieces[0], y.pieces[0]),), (f"{x.names[0]}.sum",), x.widths)

    def concat(self, xs: list[Named]) -> Named:
        def joined(values: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
            return tuple(itertools.chain.from_iterable(values))

        return Named(joined(x.pieces for x in xs), joined(x.names for x in xs), joined(x.widths for x in xs))

    def _levels_of(self, x: Any, name: str, quantization: ActivationQuantization) -> Any:
        if name not in self._levels:
            self._levels[name] = self.quantize(x, quantization)
        return self._levels[name]

    @abstractmethod
    def quantize(self, x: Any, quantization: ActivationQuantization) -> Any:
        """The levels of a value (1, C, H, W)."""

    @abstractmethod
    def integer_conv(self, levels: Any, weight: IntegerWeight, bias: NDArray[np.float32] | None) -> Any:
        """Convolution of levels, zero padding k // 2, times the scales, plus the bias: floats."""

    @abstractmethod
    def float_conv(self, x: Any, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> Any: ...

    @abstractmethod
    def rectified(self, x: Any) -> Any: ...

    @abstractmethod
    def sum(self, x: Any, y: Any) -> Any: ...

    @abstractmethod
    def join(self, xs: list[Any]) -> Any:
        """Concatenation of channels."""
