"""How a network's tensors lie in its file: floats as they are, quantized weights as packed levels and scales.

A weight NAME that the specification quantizes is stored as `NAME.packed`, uint8 (see `packing.py`), and `NAME.scale`,
float32 (output channels); there is no tensor NAME then. The columns of the MLP's first layer that read coordinates stay
float, as `NAME.float` (output channels, 4): they are no part of the convolution that integer kernels execute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .levels import from_levels, to_levels
from .liif import float_columns, input_channels
from .packing import pack, packed_size, unpack
from .quantization import SMALLEST_SCALE, WeightQuantization, step_factors
from .spec import ModelSpec

FLOATS = ("F16", "F32")


@dataclass(frozen=True)
class StoredTensor:
    """Shape of a tensor in the file, and the types it may have, in the words of safetensors."""

    shape: tuple[int, ...]
    dtypes: tuple[str, ...] = FLOATS


def layout(spec: ModelSpec) -> dict[str, StoredTensor]:
    """Every tensor that the file of a network must have, by name: all that a header is compared with."""
    quantized = _quantized(spec)
    stored = {}
    for name, shape in spec.tensor_shapes.items():
        if name in quantized:
            rest = float_columns(name)
            size = packed_size(math.prod(_packed_shape(name, shape)), quantized[name].bits)
            stored[f"{name}.packed"] = StoredTensor((size,), ("U8",))
            if rest:
                stored[f"{name}.float"] = StoredTensor((shape[0], rest), ("F32",))
            stored[f"{name}.scale"] = StoredTensor((shape[0],), ("F32",))
        else:
            stored[name] = StoredTensor(shape)
    return stored


def to_stored(
    spec: ModelSpec, tensors: Mapping[str, NDArray[np.float32]], dtype: type[np.floating]
) -> dict[str, NDArray[Any]]:
    """The tensors as they are written; those not quantized become `dtype`.

    Raises ModelError for a quantized weight that is not exactly levels of its bits times a scale per output channel.
    """
    quantized = _quantized(spec)
    stored: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if name in quantized:
            try:
                levels, scale = weight_levels(name, tensor, quantized[name])
            except ModelError as error:
                raise ModelError(f"model {spec.name}: {name}: {error}") from error
            stored[f"{name}.packed"] = pack(levels, quantized[name].bits)
            stored[f"{name}.scale"] = scale
            if float_columns(name):
                stored[f"{name}.float"] = np.ascontiguousarray(tensor[:, levels.shape[1] :])
        else:
            stored[name] = np.ascontiguousarray(tensor.astype(dtype))
    return stored


def from_stored(spec: ModelSpec, stored: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """float32 tensors from stored ones, whose names, shapes and types are those of `layout`.

    Raises ModelError for what no header tells: scales that are not finite and above zero, levels outside the range.
    """
    quantized = _quantized(spec)
    tensors = {}
    for name, shape in spec.tensor_shapes.items():
        if name not in quantized:
            tensors[name] = stored[name].astype(np.float32)
            continue
        scale = stored[f"{name}.scale"]
        smallest = SMALLEST_SCALE if quantized[name].steps else 0
        if not (np.isfinite(scale).all() and (scale > 0).all() and (scale >= smallest).all()):
            raise ModelError(f"tensor {name}.scale holds numbers that are no scales; it is damaged")
        levels = _levels(name, stored[f"{name}.packed"], quantized[name], _packed_shape(name, shape))
        tensors[name] = from_levels(levels, scale, _factors(name, shape, quantized[name]))
        if float_columns(name):
            tensors[name] = np.concatenate([tensors[name], stored[f"{name}.float"]], axis=1)
    return tensors


def weight_levels(
    name: str, tensor: NDArray[np.float32], quantization: WeightQuantization
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Levels int8 and scales float32 (O) of tensor `name`, columns that stay float left out: `from_levels` of them and
    the factors of its input channels is the weight.

    Raises ModelError if it is not exactly levels of its bits times a scale per output channel.
    """
    columns = tensor.shape[1] - float_columns(name)
    return to_levels(
        np.ascontiguousarray(tensor[:, :columns]), quantization, _factors(name, tensor.shape, quantization)
    )


def _factors(name: str, shape: tuple[int, ...], quantization: WeightQuantization) -> NDArray[np.float32]:
    """The factor of each quantized column, in a shape that broadcasts over the tensor."""
    if not quantization.steps:
        return np.ones((1,) * len(shape), np.float32)
    factors = step_factors(quantization.steps)
    taps = (shape[1] - float_columns(name)) // input_channels(name, shape)
    return np.repeat(factors, taps).reshape(1, -1, *[1] * (len(shape) - 2))


def _packed_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[1] - float_columns(name), *shape[2:])


def _quantized(spec: ModelSpec) -> dict[str, WeightQuantization]:
    return spec.compression.weights if spec.compression else {}


def _levels(
    name: str, packed: NDArray[np.uint8], quantization: WeightQuantization, shape: tuple[int, ...]
) -> NDArray[np.int8]:
    try:
        levels = unpack(packed, quantization.bits, math.prod(shape)).reshape(shape)
    except ModelError as error:
        raise ModelError(f"tensor {name}: {error}") from error
    if levels.min() < -quantization.largest:
        raise ModelError(f"tensor {name} has a level below -{quantization.largest}; it is damaged")
    return levels
