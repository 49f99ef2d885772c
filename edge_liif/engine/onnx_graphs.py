"""The two graphs of a network in ONNX, in floats: encoder and decoder. `onnx_int8.py` is the same in integers.

A stranger to this package can run them: all weights are inside, the offsets' and the cell's as well, and what comes
from outside is the picture and where to look (`geometry.axis_queries`), so every scale is free. The ensemble, three
channels wide, is mixed outside in fp32, because half-precision kernels would round its weights.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..model.checkpoint import Network
from ..model.liif import OUTPUTS, FirstLayer, first_layer, layer_names
from .onnx_recorder import Port, Recorder

Tile = tuple[int, int] | None
"""(height, width) of the window in LR pixels, or None if it stays free."""

_LR = "RGB window of the picture, 0..1"
_HIDDEN = "hidden map of the window: features and the first layer of the MLP on them, one vector per LR pixel"
_ROWS = "for each row of evaluations: the row of the window that it reads"
_COLUMNS = "for each column of evaluations: the column of the window that it reads"
_OFFSET = "for each {} of evaluations: its distance from the centre of the LR pixel read, in halves of an LR pixel"
_CELL = "height and width of an output pixel in halves of an LR pixel: 2 / scale per axis"
_COLOURS = "RGB of each evaluation, nominally 0..1, not clamped; to be mixed to output pixels"


class FloatGraphs:
    """Graphs of a network whose arithmetic is floats."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def encoder(self, tile: Tile = None) -> onnx.ModelProto:
        """lr (1, 3, height, width) to hidden (height, width, H1)."""
        graph = Recorder()
        x = graph.node("Mul", ["lr", graph.constant(np.float32(2))], "range")
        x = graph.node("Sub", [x, graph.constant(np.float32(1))], "range")
        hidden = self.hidden_map(graph, x)
        hidden = graph.node("Transpose", [hidden], perm=[0, 2, 3, 1])
        graph.node("Squeeze", [hidden, graph.constant([0])], output="hidden")
        height, width = _sides(tile)
        return graph.model(
            f"{self.network.spec.name}-encoder",
            [Port("lr", (1, 3, height, width), _LR)],
            [self._hidden_port(tile)],
            "Encoder of a LIIF network: a window of the small picture to its hidden map",
        )

    def decoder(self, tile: Tile = None) -> onnx.ModelProto:
        """hidden (height, width, H1) and geometry to colours (rows, columns, 3): an evaluation of the MLP for each
        pair of a row and a column of evaluations."""
        graph = Recorder()
        first = self.first()
        # rows first: their offsets are added before the columns multiply what there is
        x = graph.node("Gather", ["hidden", "row_cells"], "rows", axis=0)
        offsets = graph.node("Unsqueeze", ["row_offsets", graph.constant([1, 2])])
        x = graph.node("Add", [x, graph.node("Mul", [offsets, graph.constant(first.offset[:, 0])], "along_rows")])
        x = graph.node("Gather", [x, "column_cells"], "columns", axis=1)
        offsets = graph.node("Unsqueeze", ["column_offsets", graph.constant([1])])
        along = graph.node("Mul", [offsets, graph.constant(first.offset[:, 1])], "along_columns")
        bias = graph.node("MatMul", ["cell", graph.constant(first.cell.T)], "of_cell")
        bias = graph.node("Add", [bias, graph.constant(first.bias)], "bias")
        x = graph.node("Add", [x, graph.node("Add", [along, bias], "along_columns")], "first_layer")
        x = graph.node("Relu", [x])
        x = graph.node("Flatten", [x], "evaluations", axis=2)
        names = layer_names(self.network.spec.decoder)
        for before, name in itertools.pairwise(names):
            # -1..1 to 0..1, folded into the last layer
            last = name == names[-1]
            factor, shift = (np.float32(0.5), np.float32(0.5)) if last else (np.float32(1), np.float32(0))
            x = self.linear(graph, x, before, name, factor, shift)
            if not last:
                x = graph.node("Relu", [x])
        sides = [graph.node("Shape", [name]) for name in ("row_cells", "column_cells")]
        shape = graph.node("Concat", [*sides, graph.constant([OUTPUTS])], "shape", axis=0)
        graph.node("Reshape", [x, shape], output="colours")
        ports = [
            self._hidden_port(tile),
            Port("row_cells", ("rows",), _ROWS, np.int32),
            Port("column_cells", ("columns",), _COLUMNS, np.int32),
            Port("row_offsets", ("rows",), _OFFSET.format("row")),
            Port("column_offsets", ("columns",), _OFFSET.format("column")),
            Port("cell", (2,), _CELL),
        ]
        return graph.model(
            f"{self.network.spec.name}-decoder",
            ports,
            [Port("colours", ("rows", "columns", OUTPUTS), _COLOURS)],
            "Decoder of a LIIF network: its MLP for every pair of a row and a column of evaluations",
        )

    def hidden_map(self, graph: Recorder, lr: str) -> str:
        """(1, 3, H, W) in -1..1 to (1, H1, H, W)."""
        spec = self.network.spec
        features = spec.encoder_module.forward(_GraphLayers(graph, self.network.tensors), spec.encoder, lr)
        return convolution(graph, features, self.first().convolution, None, "hidden_map")

    def first(self) -> FirstLayer:
        """The MLP's first layer."""
        return first_layer(self.network.tensors)

    def linear(self, graph: Recorder, x: str, before: str, name: str, factor: np.float32, shift: np.float32) -> str:
        """Layer `name`, times a factor and shifted, of x (evaluations, I): what layer `before` gave, rectified."""
        weight, bias = (self.network.tensors[f"{name}.{part}"] * factor for part in ("weight", "bias"))
        inputs = [x, graph.constant(weight, f"{name}.weight"), graph.constant(bias + shift, f"{name}.bias")]
        return graph.node("Gemm", inputs, name, transB=1)

    def _hidden_port(self, tile: Tile) -> Port:
        return Port("hidden", (*_sides(tile), self.network.spec.decoder.hidden[0]), _HIDDEN)


class _GraphLayers:
    """`model.layers.Layers` recorded as an ONNX graph."""

    def __init__(self, graph: Recorder, tensors: Any) -> None:
        self._graph, self._tensors = graph, tensors

    def conv(self, x: str, name: str) -> str:
        return convolution(self._graph, x, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"], name)

    def relu(self, x: str) -> str:
        return self._graph.node("Relu", [x])

    def add(self, x: str, y: str) -> str:
        return self._graph.node("Add", [x, y])

    def concat(self, xs: list[str]) -> str:
        return xs[0] if len(xs) == 1 else self._graph.node("Concat", xs, axis=1)


def convolution(graph: Recorder, x: str, weight: NDArray, bias: NDArray | None, name: str) -> str:
    """Convolution with a weight (O, I, k, k), zero padding k // 2 and an optional bias."""
    return convolve(graph, x, graph.constant(weight, f"{name}.weight"), weight.shape[-1], bias, name)


def convolve(graph: Recorder, x: str, weight: str, kernel: int, bias: NDArray | None, name: str) -> str:
    """`convolution` with a weight that is in the graph already."""
    inputs = [x, weight] if bias is None else [x, weight, graph.constant(bias, f"{name}.bias")]
    return graph.node("Conv", inputs, name, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)


def _sides(tile: Tile) -> tuple[int | str, int | str]:
    return tile if tile is not None else ("height", "width")
