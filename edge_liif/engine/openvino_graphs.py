"""The two graphs that OpenVINO executes, in floats: encoder and decoder, built directly with its opset.

Encoder: LR window to hidden map. Decoder: hidden map and geometry of a block of output rows to one colour per
evaluation. `openvino_int8.py` is the same in integers.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as op
from numpy.typing import NDArray

from ..model.checkpoint import Network
from ..model.liif import OUTPUTS, first_layer, layer_names
from .base import TileShape


class FloatGraphs:
    """Graphs of a network whose arithmetic is floats. storage: type in which the hidden map goes from one to the
    other."""

    def __init__(self, network: Network, storage: ov.Type = ov.Type.f32) -> None:
        self.network, self.storage = network, storage

    def encoder(self, height: int, width: int) -> ov.Model:
        """(1, 3, height, width) in 0..1 to the hidden map (height * width, H1), the MLP's first layer included."""
        spec = self.network.spec
        lr = op.parameter([1, 3, height, width], ov.Type.f32, name="lr")
        hidden = self.hidden_map(op.subtract(op.multiply(lr, _number(2)), _number(1)))
        hidden = op.transpose(hidden, op.constant(np.array([0, 2, 3, 1])))
        hidden = op.reshape(hidden, op.constant(np.array([height * width, spec.decoder.hidden[0]])), False)
        return _model(_converted(hidden, self.storage), [lr], f"{spec.name}-encoder")

    def decoder(self, shape: TileShape) -> ov.Model:
        """Rows of the hidden map, cell numbers and offset terms of a block to colours (evaluations, 3) in 0..1.

        A row of evaluations is `cells` LR pixels, each with `per_cell` evaluations: where these are the same for every
        pixel, the offset terms of a whole row are just so many vectors. The ensemble, three channels wide, is mixed
        outside the graph in fp32, because a half-precision graph would round its weights.
        """
        width = self.network.spec.decoder.hidden[0]
        rows, cells, per_cell = shape.rows, shape.cells, shape.pattern.per_cell
        hidden = op.parameter([shape.read_rows * shape.width, width], self.storage, name="hidden")
        numbers = op.parameter([rows * cells], ov.Type.i32, name="cells")
        terms = term_shapes(shape, width)
        along_rows = op.parameter(terms[0], ov.Type.f32, name="along_rows")
        along_columns = op.parameter(terms[1], ov.Type.f32, name="along_columns")
        # Wherever it stands here, OpenVINO converts before it gathers, so a block is given the rows that it reads, not
        # the whole map.
        x = _converted(op.gather(hidden, numbers, op.constant(np.int64(0))), ov.Type.f32)
        x = op.reshape(x, op.constant(np.array([rows, cells, 1, width])), False)
        x = op.relu(op.add(op.add(x, along_rows), along_columns))
        names = layer_names(self.network.spec.decoder)
        flat = op.constant(np.array([rows * cells * per_cell, width]))
        for before, name in itertools.pairwise(names):
            x = self.read(x, f"{before}.relu")
            if before == names[0]:
                x = op.reshape(x, flat, False)
            bias = self.network.tensors[f"{name}.bias"]
            if name == names[-1]:
                # -1..1 to 0..1, folded into the last layer
                bias = bias * np.float32(0.5) + np.float32(0.5)
            x = op.matmul(x, self.matrix(before, name, np.float32(0.5 if name == names[-1] else 1)), False, True)
            x = op.add(x, op.constant(bias.reshape(1, OUTPUTS if name == names[-1] else -1)))
            if name != names[-1]:
                x = op.relu(x)
        parameters = [hidden, numbers, along_rows, along_columns]
        return _model(x, parameters, f"{self.network.spec.name}-decoder")

    def hidden_map(self, lr: Any) -> Any:
        """(1, 3, H, W) in -1..1 to (1, H1, H, W)."""
        spec = self.network.spec
        features = spec.encoder_module.forward(GraphLayers(self.network.tensors), spec.encoder, lr)
        return convolution(features, op.constant(first_layer(self.network.tensors).convolution), None)

    def read(self, x: Any, name: str) -> Any:
        """What a matrix multiplies of value `name`, channels last."""
        return x

    def matrix(self, before: str, name: str, factor: np.float32) -> Any:
        """Weight (O, I) of layer `name` times a factor, for what `read` gives of the layer before."""
        return op.constant(self.network.tensors[f"{name}.weight"] * factor)


def term_shapes(shape: TileShape, width: int) -> tuple[list[int], list[int]]:
    """Shapes of the offset terms along rows and along columns, which are added to (rows, cells, 1, width)."""
    places = shape.pattern.per_cell
    return [shape.rows, 1, 1, width], [1, 1 if shape.pattern.offsets else shape.cells, places, width]


class GraphLayers:
    """`model.layers.Layers` recorded as an OpenVINO graph."""

    def __init__(self, tensors: Any) -> None:
        self._tensors = tensors

    def conv(self, x: Any, name: str) -> Any:
        return convolution(x, op.constant(self._tensors[f"{name}.weight"]), self._tensors[f"{name}.bias"])

    def relu(self, x: Any) -> Any:
        return op.relu(x)

    def add(self, x: Any, y: Any) -> Any:
        return op.add(x, y)

    def concat(self, xs: list[Any]) -> Any:
        return xs[0] if len(xs) == 1 else op.concat(xs, 1)


def convolution(x: Any, weight: Any, bias: NDArray[np.float32] | None) -> Any:
    """Convolution with a weight (O, I, k, k), zero padding k // 2 and an optional bias."""
    pad = [weight.get_output_shape(0)[-1] // 2] * 2
    y = op.convolution(x, weight, [1, 1], pad, pad, [1, 1])
    return y if bias is None else op.add(y, op.constant(bias.reshape(1, -1, 1, 1)))


def _model(result: Any, parameters: list[Any], name: str) -> ov.Model:
    """A graph whose nodes are named by their place in it.

    OpenVINO numbers nodes in the order in which the process makes them, and looks for a compiled graph in its cache by
    their names too: with its numbers only the first graphs of a process that are those of an earlier one are found.
    """
    model = ov.Model([op.result(result)], parameters, name)
    for place, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{place}")
    model.output(0).get_tensor().set_names({"result"})
    return model


def _converted(x: Any, kind: ov.Type) -> Any:
    return x if x.get_output_element_type(0) == kind else op.convert(x, kind)


def _number(value: float) -> Any:
    return op.constant(np.float32(value))
