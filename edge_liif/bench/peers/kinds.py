"""What a peer is: another way to enlarge, or another way to quantize the network that is measured."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import NDArray

from ...engine.base import Engine
from ...evaluate.protocol import Enlarger
from ...model.checkpoint import Network

REAL_PICTURES = "real pictures, not data-free"
PERCEPTUAL = "perceptual"
"""A network trained to look sharp: PSNR and SSIM, which reward what is near the original, rate it low by design."""

# Where a plain installation would bring a second OpenCV, or another numpy, over the one that is measured with.
ALONE = "pip install --no-deps "


@dataclass(frozen=True)
class Peer:
    """name: for people, without a colon; packages: what has to be installed, names to import by names to install;
    install: how; note: what a reader has to know beside the numbers."""

    name: str
    packages: Mapping[str, str]
    install: str
    note: str | None

    def why_not(self) -> str | None:
        """Why it can't be measured here, None if nothing is known to be in the way."""
        absent = [package for module, package in self.packages.items() if importlib.util.find_spec(module) is None]
        return f"{' and '.join(absent)} not installed: {self.install}" if absent else None

    def versions(self) -> dict[str, str]:
        """Of its packages, by their names."""
        found = {}
        for package in self.packages.values():
            try:
                found[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[package] = "unknown"
        return found


@dataclass(frozen=True)
class EnlargingPeer(Peer):
    """Enlarges by itself. open: from threads, None for all, to an enlarger; scales: which it has, None for any; files:
    of a scale, what is loaded for it. `open` and what it returns raise EngineError."""

    open: Callable[[int | None], Enlarger]
    scales: tuple[int, ...] | None = None
    files: Callable[[int], list[Path]] | None = None

    def has(self, scale: float) -> bool:
        return self.scales is None or scale in self.scales

    def bytes(self, scale: float) -> int | None:
        """Size of what is loaded for a scale that it has; None where nothing is, or where this release of its package
        calls its files otherwise."""
        if self.files is None:
            return None
        try:
            return sum(path.stat().st_size for path in self.files(int(scale)))
        except OSError:
            return None


@dataclass(frozen=True)
class QuantizingPeer(Peer):
    """Quantizes a float network to 8 bits on real pictures.

    make: from the network and crops, uint8 (N, H, W, 3), to files in a folder; open: from the network, that folder and
    threads, None for all, to an engine that executes them. Both raise EngineError.
    """

    engine: str
    make: Callable[[Network, NDArray, Path], None]
    open: Callable[[Network, Path, int | None], Engine]
