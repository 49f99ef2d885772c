"""Functions that enlarge, by the words that processes are given: a model file, or a peer beside us."""

from __future__ import annotations

from pathlib import Path

from ..evaluate.protocol import Enlarger
from ..options import Settings
from ..upscaler import open_upscaler
from .peers.kinds import QuantizingPeer
from .peers.opened import open_quantized
from .peers.table import BY_NAME

PEER = "peer:"


def enlarger(model: str, engine: str, precision: str, threads: int | None) -> Enlarger:
    """`model`: a model file, or `peer:NAME`, or `peer:NAME:FOLDER` for a network that a peer quantized. Raises
    EngineError, ModelError; KeyError for a peer nobody knows."""
    if not model.startswith(PEER):
        return open_upscaler(model, Settings(engine, precision, "cpu", threads=threads)).enlarge_float
    name, _, folder = model.removeprefix(PEER).partition(":")
    peer = BY_NAME[name]
    if isinstance(peer, QuantizingPeer):
        return open_quantized(peer, Path(folder), threads)
    return peer.open(threads)
