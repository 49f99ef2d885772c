"""A network that a peer quantized, opened again by its folder.

Light, because its start is timed: what the peer's engine needs is imported, and nothing else.
"""

from __future__ import annotations

from pathlib import Path

from ...engine.base import Engine
from ...engine.select import Choice
from ...errors import EdgeLiifError, EngineError
from ...evaluate.protocol import Enlarger
from ...model.checkpoint import Network, load_network
from ...options import Settings
from ...upscaler import Upscaler
from .kinds import QuantizingPeer

# The float network beside what was made of it: its specification, and the offsets that stay outside the graphs.
NETWORK = "network.safetensors"


def open_quantized(peer: QuantizingPeer, folder: Path, threads: int | None) -> Enlarger:
    """Enlarges as `edge-liif run` does: the same plan, tiles and ensemble, another engine. Raises EngineError."""
    network = load_network(folder / NETWORK)
    try:
        engine = peer.open(network, folder, threads)
    except EdgeLiifError:
        raise
    except Exception as error:  # files that other code made
        raise EngineError(f"can't be opened: {' '.join(str(error).split())[:200]}") from error
    return _With(network, Settings(threads=threads), engine).enlarge_float


class _With(Upscaler):
    """With an engine that was not chosen."""

    def __init__(self, network: Network, settings: Settings, engine: Engine) -> None:
        super().__init__(network, settings)
        self._given = Choice(engine, "a peer")

    def choice(self, sixteen_bit: bool) -> Choice:
        return self._given
