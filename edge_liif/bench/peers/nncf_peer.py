"""NNCF as a peer. Light: OpenVINO and NNCF are imported when it works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...engine.base import Engine
from ...model.checkpoint import Network
from .kinds import REAL_PICTURES, QuantizingPeer


def nncf_peer(name: str, preset: str, floats_as_ours: bool = False) -> QuantizingPeer:
    """NNCF with one of its presets. floats_as_ours: what edge-liif leaves in floats is left so by NNCF, too."""

    def make(network: Network, pictures: NDArray[np.uint8], folder: Path) -> None:
        from .nncf_openvino import quantize

        quantize(network, pictures, folder, preset, floats_as_ours)

    def opened(network: Network, folder: Path, threads: int | None) -> Engine:
        from .nncf_openvino import open_engine

        return open_engine(network, folder, threads)

    # OpenVINO computes what NNCF is shown, and writes the graphs
    packages = {"nncf": "nncf", "openvino": "openvino"}
    install = "pip install 'edge-liif[peers]'"
    return QuantizingPeer(name, packages, install, REAL_PICTURES, engine="openvino", make=make, open=opened)
