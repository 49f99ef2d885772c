"""What a quantizing peer makes of a network: made once and kept, opened again by its folder."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...compress.frozen import pictures_digest
from ...engine.base import Engine
from ...engine.select import Choice
from ...evaluate.protocol import Enlarger
from ...model.checkpoint import Network, load_network
from ...model.zoo import sha256_of
from ...options import Settings
from ...upscaler import Upscaler
from ..networks import NetworkFile
from ..store import Store, code_version, key_of
from .kinds import QuantizingPeer

# The float network beside what was made of it: its specification, and the offsets that stay outside the graphs.
NETWORK = "network.safetensors"


def quantized_by(peer: QuantizingPeer, base: NetworkFile, pictures: NDArray[np.uint8], store: Store) -> NetworkFile:
    """The float network `base` after a peer, calibrated on crops (N, H, W, 3). `path` is a folder, and `bytes` the size
    of the graphs in it, which a user of the peer would ship. Raises EngineError."""
    key = key_of("peer", peer.name, base.sha256, pictures_digest(pictures), peer.versions(), code_version())
    folder, facts = store.path(key, ""), store.get(key)
    if facts is None or not folder.is_dir() or _digest(folder) != facts["sha256"]:
        part = store.path(key, ".part")
        for old in (part, folder):
            shutil.rmtree(old, ignore_errors=True)
        part.mkdir()
        shutil.copyfile(base.path, part / NETWORK)
        begin = time.perf_counter()
        peer.make(load_network(base.path), pictures, part)
        seconds = time.perf_counter() - begin
        part.replace(folder)
        facts = {"seconds": seconds, "sha256": _digest(folder)}
        store.put(key, facts)
    size = sum(path.stat().st_size for path in _made(folder))
    return replace(
        base,
        path=folder,
        sha256=facts["sha256"],
        bytes=size,
        integer=True,
        parent_sha256=base.sha256,
        sensitivity={},
    )


def open_quantized(peer: QuantizingPeer, folder: Path, threads: int | None) -> Enlarger:
    """Enlarges as `edge-liif run` does: the same plan, tiles and ensemble, another engine. Raises EngineError."""
    network = load_network(folder / NETWORK)
    return _With(network, Settings(threads=threads), peer.open(network, folder, threads)).enlarge_float


class _With(Upscaler):
    """With an engine that was not chosen."""

    def __init__(self, network: Network, settings: Settings, engine: Engine) -> None:
        super().__init__(network, settings)
        self._given = Choice(engine, "a peer")

    def choice(self, sixteen_bit: bool) -> Choice:
        return self._given


def _made(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != NETWORK)


def _digest(folder: Path) -> str:
    return key_of([(path.name, sha256_of(path)) for path in sorted(folder.iterdir())])
