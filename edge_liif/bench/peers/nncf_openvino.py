"""Post-training quantization by NNCF, executed by OpenVINO through our own engine, in our own tiles.

NNCF wants graphs of fixed shapes, so it is given those of a calibration crop. What it inserts does not depend on the
shapes (activations have one scale for all positions), and so the graphs it returns are given any other shape
afterwards: that of the tiles which the planner would choose for our own int8 networks.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as op
from numpy.typing import NDArray

from ...engine.base import TileShape
from ...engine.openvino import OpenVINOEngine
from ...engine.openvino_core import core
from ...engine.openvino_graphs import FloatGraphs
from ...errors import EngineError
from ...model.checkpoint import Network
from .calibration import blocks, in_turns, windows

# Of the hidden map between the graphs, as our int8 engine has it.
STORAGE = ov.Type.f16
GRAPHS = ("encoder", "decoder")


def quantize(network: Network, pictures: NDArray[np.uint8], folder: Path, preset: str, floats_as_ours: bool) -> None:
    """Write both graphs of a float network, quantized on crops (N, H, W, 3), into a folder. Raises what NNCF raises."""
    inputs = _calibration(network, pictures)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars; our own output may be JSON
        import logging

        import nncf

        nncf.set_log_level(logging.ERROR)
        for kind, (model, data) in zip(GRAPHS, inputs, strict=True):
            ignored = nncf.IgnoredScope(names=_floats_in_ours(model)) if floats_as_ours else None
            quantized = nncf.quantize(
                model,
                nncf.Dataset(data),
                preset=nncf.QuantizationPreset(preset),
                subset_size=len(data),
                ignored_scope=ignored,
            )
            ov.save_model(quantized, folder / f"{kind}.xml", compress_to_fp16=False)


def _calibration(network: Network, pictures: NDArray[np.uint8]) -> list[tuple[ov.Model, list[list[NDArray]]]]:
    """The float graphs and the inputs of both."""
    side = pictures.shape[1]
    geometry = blocks(side)
    shape = TileShape(side, side, max(block.rows.evaluations for block in geometry), geometry[0].columns.evaluations)
    graphs = FloatGraphs(network, STORAGE)
    engine = OpenVINOEngine(network, "fp32", cache=False, graphs=graphs)
    engine.prepare(shape)
    given = windows(pictures)
    recorder = engine._decode = _Recorder(engine._decode)
    for crop, block in in_turns(len(given), side):
        engine.decode(engine.encode(given[crop]), block)
    return [
        (graphs.encoder(side, side), [[window] for window in given]),
        (graphs.decoder(shape), recorder.inputs),
    ]


class _Recorder:
    """An inference request that remembers what it was given."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._given: dict[int, NDArray] = {}
        self.inputs: list[list[NDArray]] = []

    def set_input_tensor(self, index: int, tensor: ov.Tensor) -> None:
        self._given[index] = tensor.data.copy()
        self._request.set_input_tensor(index, tensor)

    def infer(self) -> None:
        self.inputs.append([self._given[i] for i in sorted(self._given)])
        self._request.infer()

    def get_output_tensor(self) -> ov.Tensor:
        return self._request.get_output_tensor()


def _floats_in_ours(model: ov.Model) -> list[str]:
    """Names of the nodes that edge-liif computes in floats: sums of two computed values, and what reads the picture."""

    def computed(value: Any) -> bool:
        return value.get_source_output().get_node().get_type_name() != "Constant"

    names = []
    for node in model.get_ordered_ops():
        kind, inputs = node.get_type_name(), node.inputs()
        first = kind == "Convolution" and inputs[1].get_shape()[1] == 3
        if first or (kind == "Add" and all(map(computed, inputs))):
            names.append(node.get_friendly_name())
    return names


def open_engine(network: Network, folder: Path, threads: int | None) -> OpenVINOEngine:
    """Executes what `quantize` has written."""
    return OpenVINOEngine(network, "int8", threads=threads, graphs=_QuantizedGraphs(network, folder))


class _QuantizedGraphs(FloatGraphs):
    """Graphs that NNCF made, in any shape."""

    def __init__(self, network: Network, folder: Path) -> None:
        super().__init__(network, STORAGE)
        self._folder = folder

    def encoder(self, height: int, width: int) -> ov.Model:
        return self._shaped("encoder", super().encoder(height, width))

    def decoder(self, shape: TileShape) -> ov.Model:
        return self._shaped("decoder", super().decoder(shape))

    def _shaped(self, kind: str, like: ov.Model) -> ov.Model:
        """A quantized graph with the shapes of the float graph that it came from: its inputs', and those that its
        Reshape nodes have as constants."""
        model = core().read_model(self._folder / f"{kind}.xml")
        inputs = [[p.get_friendly_name() for p in m.get_parameters()] for m in (model, like)]
        if inputs[0] != inputs[1] or len(_reshapes(model)) != len(_reshapes(like)):
            raise EngineError(
                f"NNCF changed the {kind}'s inputs or shapes; its version is not one that this code knows"
            )
        for own, wanted in zip(model.get_parameters(), like.get_parameters(), strict=True):
            own.set_partial_shape(wanted.get_partial_shape())
        for own, wanted in zip(_reshapes(model), _reshapes(like), strict=True):
            target = wanted.input_value(1).get_node().get_data()
            own.input(1).replace_source_output(op.constant(target).output(0))
        model.validate_nodes_and_infer_types()
        return model


def _reshapes(model: ov.Model) -> list[Any]:
    return [node for node in model.get_ordered_ops() if node.get_type_name() == "Reshape"]
