"""An ONNX graph while it is written down: nodes and constants in order, then one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

# The oldest that has everything we use, so that old runtimes read the files, too: TensorRT 8.5 and ONNX Runtime 1.12.
OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True)
class Port:
    """An input or output of a graph. shape: numbers, or names of sizes that stay free; meaning: for people."""

    name: str
    shape: Sequence[int | str]
    meaning: str
    dtype: type[np.generic] = np.float32

    def info(self) -> onnx.ValueInfoProto:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        return helper.make_tensor_value_info(self.name, kind, list(self.shape), self.meaning)


class Recorder:
    """Values are named by the node that makes them."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._taken: dict[str, int] = {}

    def node(self, operator: str, inputs: Sequence[str], name: str = "", output: str = "", **attributes: Any) -> str:
        """Name of the value that an operator makes; an empty input stands for one left out."""
        name = self._free(name or operator)
        output = output or name
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name, **attributes))
        return output

    def constant(self, value: NDArray | np.generic | list[int], name: str = "constant") -> str:
        """Name of a constant; lists become int64, as the shapes and axes of ONNX are."""
        array = np.asarray(value, np.int64) if isinstance(value, list) else np.ascontiguousarray(value)
        # ascontiguousarray makes vectors of scalars
        tensor = numpy_helper.from_array(array.reshape(np.shape(value)), "")
        name = self._free(name)
        tensor.name = name
        self._constants[name] = tensor
        return name

    def model(self, name: str, inputs: Sequence[Port], outputs: Sequence[Port], meaning: str) -> onnx.ModelProto:
        """All that was recorded, as a model."""
        graph = helper.make_graph(
            self._nodes,
            name,
            [port.info() for port in inputs],
            [port.info() for port in outputs],
            list(self._constants.values()),
            meaning,
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="edge-liif",
            doc_string=meaning,
        )

    def _free(self, name: str) -> str:
        count = self._taken.get(name, 0)
        self._taken[name] = count + 1
        return f"{name}_{count}" if count else name
