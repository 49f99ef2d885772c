"""One thing that is measured: a network after a recipe, or a peer."""

from __future__ import annotations

from dataclasses import dataclass

from ..evaluate.protocol import Enlarger
from .enlargers import PEER, enlarger
from .networks import NetworkFile
from .peers.kinds import EnlargingPeer, QuantizingPeer
from .recipe import BenchRecipe
from .store import key_of
from .sweep import Sweep
from .turns import Runner


@dataclass(frozen=True)
class Point:
    """One way to enlarge: a network after a recipe, by an engine in a precision. A peer that enlarges by itself has
    neither file nor engine; of one that quantizes, file is what it made of the network."""

    model: str
    recipe: BenchRecipe
    engine: str
    precision: str
    file: NetworkFile | None
    peer: EnlargingPeer | QuantizingPeer | None = None

    @property
    def name(self) -> str:
        return self.model if self.file is None else f"{self.model}, {self.recipe.title}, {self.engine} {self.precision}"

    @property
    def source(self) -> str:
        """A model file or a peer, in `enlargers.enlarger`'s words."""
        if self.peer is None:
            assert self.file is not None
            return str(self.file.path)
        return f"{PEER}{self.peer.name}" + ("" if self.file is None else f":{self.file.path}")

    @property
    def key(self) -> str:
        """Hash of all that its picture depends on, the picture aside."""
        network = self.model if self.file is None else self.file.sha256
        about = [] if self.peer is None else [self.peer.name, self.peer.versions()]
        return key_of(network, self.engine, self.precision, *about)

    def has(self, scale: float) -> bool:
        """Whether it can enlarge by this factor."""
        return not isinstance(self.peer, EnlargingPeer) or self.peer.has(scale)

    @property
    def words(self) -> tuple[str, str, str]:
        """What `enlargers.enlarger` takes, but for threads."""
        return self.source, self.engine, self.precision

    def open(self, threads: int | None) -> Enlarger:
        return enlarger(*self.words, threads)

    def runner(self, scale: float, sweep: Sweep) -> Runner:
        numbers = (scale, *sweep.size, sweep.threads or 0)
        return Runner(self.key, (*self.words, *map(str, numbers)))
