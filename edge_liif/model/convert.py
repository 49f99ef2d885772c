"""From a LIIF checkpoint (.pth) to a model file of ours, known answer included."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import EngineError
from . import selfcheck
from .checkpoint import Network, read_liif_checkpoint, save_network


def require_torch() -> None:
    """Raises EngineError, saying how to install it, if torch is missing."""
    if importlib.util.find_spec("torch") is None:
        raise EngineError("reading .pth checkpoints needs torch: pip install 'edge-liif[torch]'")


def with_known_answer(network: Network) -> Network:
    """The network with the literal reference's fp32 answer on the self-check picture. Needs torch."""
    require_torch()
    import torch

    from .reference import literal_enlarge

    answer = literal_enlarge(
        network, torch.from_numpy(selfcheck.picture()), selfcheck.OUT_SIZE, area_guard=0.0, offset_guard=1e-15
    )
    return replace(network, known_answer=answer.numpy())


def convert_checkpoint(
    source: Path,
    target: Path,
    name: str,
    *,
    half: bool = False,
    licence: str = "unknown",
    authors: str = "unknown",
    origin: str = "",
) -> Network:
    """Convert `source` (.pth of the LIIF authors' layout) to `target` (.safetensors). `half` stores float16.

    The known answer is computed from the numbers as stored, so that it holds for what is loaded later.
    Raises ModelError if the source is no such checkpoint or the target can't be written.
    """
    network = read_liif_checkpoint(source, name)
    dtype = np.float16 if half else np.float32
    stored = {key: tensor.astype(dtype).astype(np.float32) for key, tensor in network.tensors.items()}
    spec = replace(network.spec, licence=licence, authors=authors, source=origin or source.name)
    network = with_known_answer(Network(spec, stored))
    save_network(network, target, dtype)
    return network
