"""EDSR-baseline (arXiv 1707.02921) as LIIF's encoder: no upsampling, no BatchNorm, mean shift unused.

x = head(lr); B residual blocks conv-ReLU-conv; a last convolution; x is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError
from .layers import ChannelGroup, Layers, checked_widths, conv_shapes


@dataclass(frozen=True)
class EDSRSpec:
    """features: width of the residual stream and of the result; blocks: hidden width of each residual block."""

    features: int
    blocks: tuple[int, ...]
    kind: str = "edsr"

    @staticmethod
    def uniform(blocks: int = 16, features: int = 64) -> EDSRSpec:
        return EDSRSpec(features, (features,) * blocks)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> EDSRSpec:
        (features,) = checked_widths([data["features"]], "features")
        return EDSRSpec(features, checked_widths(data["blocks"], "blocks"))


def detect(shapes: Mapping[str, tuple[int, ...]]) -> EDSRSpec | None:
    """The specification that a checkpoint's tensor names and shapes describe, or None if it is no EDSR."""
    if "encoder.head.0.weight" not in shapes:
        return None
    blocks: list[int] = []
    while f"encoder.body.{len(blocks)}.body.0.weight" in shapes:
        blocks.append(shapes[f"encoder.body.{len(blocks)}.body.0.weight"][0])
    if not blocks:
        raise ModelError("the checkpoint's EDSR encoder has no residual blocks; it is not a LIIF EDSR")
    return EDSRSpec(shapes["encoder.head.0.weight"][0], tuple(blocks))


def forward(layers: Layers, spec: EDSRSpec, lr: Any) -> Any:
    """Features (1, features, H, W) of an LR picture (1, 3, H, W) in -1..1."""
    head = layers.conv(lr, "encoder.head.0")
    x = head
    for b in range(len(spec.blocks)):
        hidden = layers.relu(layers.conv(x, f"encoder.body.{b}.body.0"))
        x = layers.add(layers.conv(hidden, f"encoder.body.{b}.body.2"), x)
    return layers.add(layers.conv(x, f"encoder.body.{len(spec.blocks)}"), head)


def tensor_shapes(spec: EDSRSpec) -> dict[str, tuple[int, ...]]:
    shapes = conv_shapes("encoder.head.0", 3, spec.features, 3)
    for b, hidden in enumerate(spec.blocks):
        shapes |= conv_shapes(f"encoder.body.{b}.body.0", spec.features, hidden, 3)
        shapes |= conv_shapes(f"encoder.body.{b}.body.2", hidden, spec.features, 3)
    return shapes | conv_shapes(f"encoder.body.{len(spec.blocks)}", spec.features, spec.features, 3)


def radius(spec: EDSRSpec) -> int:
    """LR pixels that one feature sees to each side: one per 3x3 convolution on the longest path."""
    return 2 + 2 * len(spec.blocks)


def describe(spec: EDSRSpec) -> list[str]:
    """The stages as a person would want to read them."""
    return [
        f"head: 3x3 convolution, 3 -> {spec.features} channels",
        f"{len(spec.blocks)} residual blocks: 3x3 convolution, ReLU, 3x3 convolution, block input added",
        f"tail: 3x3 convolution, {spec.features} channels, head added",
    ]


def channel_groups(spec: EDSRSpec) -> list[ChannelGroup]:
    """The hidden channels of every residual block: read by its second convolution alone."""
    return [
        ChannelGroup(f"encoder.body.{b}.body.0", width, ((f"encoder.body.{b}.body.2", 0),))
        for b, width in enumerate(spec.blocks)
    ]


PAPER = "EDSR: Enhanced Deep Residual Networks for Single Image Super-Resolution, arXiv 1707.02921"
