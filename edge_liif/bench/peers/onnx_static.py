"""Post-training quantization by ONNX Runtime's `quantize_static`, executed by ONNX Runtime in our own tiles.

QDQ, weights int8 with a scale per output channel, activations uint8 with one scale each: what its documentation
recommends for x86 with VNNI, and the fastest of its forms here. Ranges are its default, lowest and highest value.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.base import Engine
from ...model.checkpoint import Network
from .calibration import in_turns, windows
from .kinds import REAL_PICTURES, QuantizingPeer

PRODUCTS = ["Conv", "Gemm"]


def onnx_runtime_peer(name: str, floats_as_ours: bool = False) -> QuantizingPeer:
    """ONNX Runtime with its defaults. floats_as_ours: only what convolutions and matrix products read becomes integers,
    and the first convolution stays float."""
    return QuantizingPeer(
        name,
        {"onnx": "onnx", "onnxruntime": "onnxruntime"},
        "pip install 'edge-liif[peers]'",
        REAL_PICTURES,
        engine="onnx",
        make=functools.partial(_make, floats_as_ours=floats_as_ours),
        open=_open,
    )


def _make(network: Network, pictures: NDArray[np.uint8], folder: Path, floats_as_ours: bool) -> None:
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    from ...engine.onnx import ONNXEngine, geometry_inputs
    from ...engine.onnx_graphs import FloatGraphs

    graphs, engine = FloatGraphs(network), ONNXEngine(network)
    given = windows(pictures)
    decoded = (
        {"hidden": engine.encode(given[crop]).numpy(), **geometry_inputs(block)}
        for crop, block in in_turns(len(given), pictures.shape[1])
    )
    for kind, model, inputs in (
        ("encoder", graphs.encoder(), ({"lr": window} for window in given)),
        ("decoder", graphs.decoder(), decoded),
    ):
        options: dict[str, Any] = {}
        if floats_as_ours:
            options = {
                "op_types_to_quantize": PRODUCTS,
                "nodes_to_exclude": _reading_the_picture(model),
                "extra_options": {"OpTypesToExcludeOutputQuantization": PRODUCTS},
            }
        with tempfile.TemporaryDirectory() as place, _quiet():
            source = Path(place) / "float.onnx"
            onnx.save(model, source)
            quantize_static(
                source,
                folder / f"{kind}.onnx",
                _reader(inputs),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                **options,
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without its warnings, which recommend a preprocessing that our graphs have no use for."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _reading_the_picture(model: Any) -> list[str]:
    """Names of the convolutions of three channels."""
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    return [n.name for n in model.graph.node if n.op_type == "Conv" and shapes[n.input[1]][1] == 3]


def _reader(inputs: Iterable[dict[str, NDArray]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, NDArray] | None:
            return next(self._left, None)

    return Reader()


def _open(network: Network, folder: Path, threads: int | None) -> Engine:
    from ...engine.onnx import ONNXEngine

    encoder, decoder = ((folder / f"{kind}.onnx").read_bytes() for kind in ("encoder", "decoder"))
    return ONNXEngine(network, "int8", threads=threads, models=(encoder, decoder))
