"""The LIIF decoder (arXiv 2012.09161) in its exact fast form, as numbers: which tensors, split how.

The reference feeds an MLP with [3x3-unfolded features, offset, cell] for four neighbours of every output pixel. Exactly
the same numbers come out of this arrangement (`reference.py` keeps the literal one, for tests):

* the first layer on unfolded features is a 3x3 convolution, made once per LR pixel: the *hidden map*;
* the first layer on the cell is a constant of the run and joins its bias;
* the first layer on the offset is one vector per evaluation row plus one per evaluation column;
* the last layer commutes with the ensemble's weighted sum, so either may come first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .layers import ChannelGroup, checked_widths

OUTPUTS = 3
# Inputs of the first layer that are not features: offset (row, column) and cell (row, column).
COORDINATES = 4


@dataclass(frozen=True)
class DecoderSpec:
    """hidden: width of each hidden layer of the MLP; its ReLU follows each."""

    hidden: tuple[int, ...]

    @staticmethod
    def from_dict(data: dict[str, Any]) -> DecoderSpec:
        return DecoderSpec(checked_widths(data["hidden"], "hidden"))


@dataclass(frozen=True)
class FirstLayer:
    """The MLP's first layer (W, b) taken apart: convolution (H1, F, 3, 3) on features, offset (H1, 2), cell (H1, 2),
    bias (H1)."""

    convolution: NDArray[np.float32]
    offset: NDArray[np.float32]
    cell: NDArray[np.float32]
    bias: NDArray[np.float32]

    def bias_for(self, cell: tuple[float, float]) -> NDArray[np.float64]:
        """Bias (H1) with the cell of this run folded in; in float64, geometry is never computed in half precision."""
        return self.bias.astype(np.float64) + self.cell.astype(np.float64) @ np.asarray(cell, np.float64)


def first_layer(tensors: Mapping[str, NDArray[np.float32]]) -> FirstLayer:
    """Split `imnet.layers.0`, whose inputs are ch * 9 + ky * 3 + kx, then offset and cell (row before column)."""
    weight = tensors["imnet.layers.0.weight"]
    features = (weight.shape[1] - COORDINATES) // 9
    return FirstLayer(
        convolution=np.ascontiguousarray(weight[:, :-COORDINATES]).reshape(-1, features, 3, 3),
        offset=weight[:, -4:-2],
        cell=weight[:, -2:],
        bias=tensors["imnet.layers.0.bias"],
    )


def layer_names(spec: DecoderSpec) -> list[str]:
    """Linear layers of the MLP in order; odd numbers of the reference's Sequential are its ReLUs."""
    return [f"imnet.layers.{2 * i}" for i in range(len(spec.hidden) + 1)]


def float_columns(name: str) -> int:
    """How many of the last columns of a weight stay float when it is quantized: the coordinates of the first layer."""
    return COORDINATES if name == "imnet.layers.0.weight" else 0


def input_channels(name: str, shape: tuple[int, ...]) -> int:
    """Input channels of a weight: features, not their unfolded taps, for the MLP's first layer."""
    return (shape[1] - COORDINATES) // 9 if name == "imnet.layers.0.weight" else shape[1]


def detect(shapes: Mapping[str, tuple[int, ...]], features: int) -> DecoderSpec:
    """The MLP that a checkpoint's shapes describe. Raises ModelError for LIIF variants that the fast form does not
    cover (no feature unfolding, no cell decoding)."""
    hidden: list[int] = []
    while f"imnet.layers.{2 * len(hidden) + 2}.weight" in shapes:
        hidden.append(shapes[f"imnet.layers.{2 * len(hidden)}.weight"][0])
    if not hidden:
        raise ModelError("the checkpoint has no LIIF decoder (no tensors imnet.layers.*)")
    inputs = shapes["imnet.layers.0.weight"][1]
    if inputs != 9 * features + COORDINATES:
        raise ModelError(
            f"the decoder takes {inputs} inputs, not 9 x {features} features + 4 coordinates; LIIF variants without "
            "feature unfolding or cell decoding are not supported"
        )
    return DecoderSpec(tuple(hidden))


def tensor_shapes(spec: DecoderSpec, features: int) -> dict[str, tuple[int, ...]]:
    widths = [9 * features + COORDINATES, *spec.hidden, OUTPUTS]
    shapes: dict[str, tuple[int, ...]] = {}
    for name, inputs, outputs in zip(layer_names(spec), widths, widths[1:], strict=False):
        shapes[f"{name}.weight"] = (outputs, inputs)
        shapes[f"{name}.bias"] = (outputs,)
    return shapes


def multiply_adds(spec: DecoderSpec, features: int) -> tuple[int, int]:
    """(per LR pixel: the first layer's convolution; per evaluation: everything after it)."""
    widths = [*spec.hidden, OUTPUTS]
    return 9 * features * spec.hidden[0], sum(a * b for a, b in itertools.pairwise(widths))


def channel_groups(spec: DecoderSpec) -> list[ChannelGroup]:
    """The hidden units of every layer: read by the next layer alone."""
    names = layer_names(spec)
    return [
        ChannelGroup(name, width, ((following, 0),))
        for name, following, width in zip(names, names[1:], spec.hidden, strict=False)
    ]


PAPER = "LIIF: Learning Continuous Image Representation with Local Implicit Image Function, arXiv 2012.09161"
