"""What a quantizing peer makes of a network: made once and kept. `opened.py` executes it."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...compress.frozen import pictures_digest
from ...errors import EdgeLiifError, EngineError
from ...model.checkpoint import load_network
from ...model.zoo import sha256_of
from ..networks import NetworkFile
from ..store import Store, code_version, key_of
from .kinds import QuantizingPeer
from .opened import NETWORK


def quantized_by(peer: QuantizingPeer, base: NetworkFile, pictures: NDArray[np.uint8], store: Store) -> NetworkFile:
    """The float network `base` after a peer, calibrated on crops (N, H, W, 3). `path` is a folder, and `bytes` the size
    of the graphs in it, which a user of the peer would ship. Raises EngineError, whatever the peer's code raises."""
    key = key_of("peer", peer.name, base.sha256, pictures_digest(pictures), peer.versions(), code_version())
    folder, facts = store.path(key, ""), store.get(key)
    if facts is None or not folder.is_dir() or _digest(folder) != facts["sha256"]:
        part = store.path(key, f".{os.getpid()}.part")
        try:
            part.mkdir()
            shutil.copyfile(base.path, part / NETWORK)
            begin = time.perf_counter()
            peer.make(load_network(base.path), pictures, part)
            seconds = time.perf_counter() - begin
            shutil.rmtree(folder, ignore_errors=True)
            part.replace(folder)
        except EdgeLiifError:
            raise
        except Exception as error:  # code that we don't know, and whose exceptions share no base
            raise EngineError(f"failed: {' '.join(str(error).split())[:200]}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
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


def _made(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != NETWORK)


def _digest(folder: Path) -> str:
    return key_of([(path.name, sha256_of(path)) for path in sorted(folder.iterdir())])
