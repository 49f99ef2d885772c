"""The few operations a network is made of, as a contract that every engine fills in its own framework.

An encoder's forward pass is written once (rdn.py, edsr.py) against `Layers`; torch executes it eagerly, OpenVINO
records it as a graph. New engines and fake-quantized execution implement these four methods, nothing of the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import ModelError

MAX_WIDTH = 4096
MAX_DEPTH = 1024


class Layers(Protocol):
    """`x` is whatever the framework calls a (1, C, H, W) tensor."""

    def conv(self, x: Any, name: str) -> Any:
        """Convolution with tensors `name.weight` (O, I, k, k) and `name.bias` (O), zero padding k // 2."""

    def relu(self, x: Any) -> Any: ...

    def add(self, x: Any, y: Any) -> Any: ...

    def concat(self, xs: list[Any]) -> Any:
        """Concatenation of channels."""


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that may be removed one by one without changing anything else: declared by each network.

    producer: the layer whose output channels (`width` of them, a ReLU behind) they are; consumers: every layer that
    reads them, each with the number of its first input channel that is one of them.
    """

    producer: str
    width: int
    consumers: tuple[tuple[str, int], ...]


def conv_shapes(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, tuple[int, ...]]:
    """Shapes of one convolution's two tensors."""
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def checked_widths(values: Any, what: str) -> tuple[int, ...]:
    """A non-empty tuple of sane layer widths, or ModelError: specifications come from files."""
    widths = tuple(values)
    if not 0 < len(widths) <= MAX_DEPTH or not all(type(w) is int and 0 < w <= MAX_WIDTH for w in widths):
        raise ModelError(f"{what} must be 1..{MAX_DEPTH} widths of 1..{MAX_WIDTH}, not {str(values)[:60]}")
    return widths
