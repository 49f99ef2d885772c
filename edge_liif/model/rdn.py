"""Residual Dense Network (arXiv 1802.08797) as LIIF's encoder: no upsampling, no BatchNorm, no mean shift.

f1 = SFENet1(lr); x = SFENet2(f1)
D blocks: each of C convolutions sees the block's input and all growth channels before it, LFF (1x1) fuses them,
the block's input is added; GFF fuses the outputs of all blocks; f1 is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError
from .layers import ChannelGroup, Layers, checked_widths, conv_shapes


@dataclass(frozen=True)
class RDNSpec:
    """features: G0, width of the residual stream and of the result; growth: width of every dense convolution, block
    by block; fusion: width between the two global-fusion convolutions."""

    features: int
    growth: tuple[tuple[int, ...], ...]
    fusion: int
    kind: str = "rdn"

    @staticmethod
    def uniform(blocks: int, convs: int, growth: int, features: int = 64) -> RDNSpec:
        """Configuration D (blocks), C (convs), G (growth), G0 (features); A is 20, 6, 32 and B is 16, 8, 64."""
        return RDNSpec(features, ((growth,) * convs,) * blocks, features)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> RDNSpec:
        growth = tuple(checked_widths(block, "growth") for block in data["growth"])
        checked_widths([len(growth)], "number of blocks")
        (features, fusion) = checked_widths([data["features"], data["fusion"]], "features and fusion")
        return RDNSpec(features, growth, fusion)


def detect(shapes: Mapping[str, tuple[int, ...]]) -> RDNSpec | None:
    """The specification that a checkpoint's tensor names and shapes describe, or None if it is no RDN."""
    if "encoder.SFENet1.weight" not in shapes:
        return None
    growth: list[tuple[int, ...]] = []
    while f"encoder.RDBs.{len(growth)}.LFF.weight" in shapes:
        block: list[int] = []
        prefix = f"encoder.RDBs.{len(growth)}.convs"
        while f"{prefix}.{len(block)}.conv.0.weight" in shapes:
            block.append(shapes[f"{prefix}.{len(block)}.conv.0.weight"][0])
        growth.append(tuple(block))
    if not growth or "encoder.GFF.0.weight" not in shapes:
        raise ModelError("the checkpoint's RDN encoder has no dense blocks or no global fusion; it is not a LIIF RDN")
    return RDNSpec(shapes["encoder.SFENet1.weight"][0], tuple(growth), shapes["encoder.GFF.0.weight"][0])


def forward(layers: Layers, spec: RDNSpec, lr: Any) -> Any:
    """Features (1, G0, H, W) of an LR picture (1, 3, H, W) in -1..1."""
    shallow = layers.conv(lr, "encoder.SFENet1")
    x = layers.conv(shallow, "encoder.SFENet2")
    outputs = []
    for d, block in enumerate(spec.growth):
        x = _dense_block(layers, x, f"encoder.RDBs.{d}", len(block))
        outputs.append(x)
    fused = layers.conv(layers.concat(outputs), "encoder.GFF.0")
    return layers.add(layers.conv(fused, "encoder.GFF.1"), shallow)


def _dense_block(layers: Layers, x: Any, name: str, convs: int) -> Any:
    """A function of its own, so that a block's channels are gone before the global fusion, where memory peaks."""
    dense = [x]
    for c in range(convs):
        grown = layers.conv(layers.concat(dense), f"{name}.convs.{c}.conv.0")
        dense.append(layers.relu(grown))
    return layers.add(layers.conv(layers.concat(dense), f"{name}.LFF"), x)


def tensor_shapes(spec: RDNSpec) -> dict[str, tuple[int, ...]]:
    shapes = conv_shapes("encoder.SFENet1", 3, spec.features, 3)
    shapes |= conv_shapes("encoder.SFENet2", spec.features, spec.features, 3)
    for d, block in enumerate(spec.growth):
        width = spec.features
        for c, growth in enumerate(block):
            shapes |= conv_shapes(f"encoder.RDBs.{d}.convs.{c}.conv.0", width, growth, 3)
            width += growth
        shapes |= conv_shapes(f"encoder.RDBs.{d}.LFF", width, spec.features, 1)
    shapes |= conv_shapes("encoder.GFF.0", spec.features * len(spec.growth), spec.fusion, 1)
    return shapes | conv_shapes("encoder.GFF.1", spec.fusion, spec.features, 3)


def dense_block_channels(spec: RDNSpec, copies: int) -> int:
    """Channels that are held in the last dense block: the outputs of those before it, and so many copies of its own
    widest concatenation. Where blocks have many convolutions this is more than the global fusion holds."""
    widest = max(sum(block) for block in spec.growth) + spec.features
    return (len(spec.growth) - 1) * spec.features + copies * widest


def radius(spec: RDNSpec) -> int:
    """LR pixels that one feature sees to each side: one per 3x3 convolution on the longest path."""
    return 3 + sum(len(block) for block in spec.growth)


def describe(spec: RDNSpec) -> list[str]:
    """The stages as a person would want to read them."""
    widths = sorted({g for block in spec.growth for g in block})
    growth = str(widths[0]) if len(widths) == 1 else f"{widths[0]}..{widths[-1]}"
    convs = sorted({len(block) for block in spec.growth})
    per_block = str(convs[0]) if len(convs) == 1 else f"{convs[0]}..{convs[-1]}"
    return [
        f"shallow features: two 3x3 convolutions, 3 -> {spec.features} channels",
        f"{len(spec.growth)} residual dense blocks: {per_block} 3x3 convolutions each, {growth} new channels a "
        "convolution, each sees all before it; fused by 1x1, block input added",
        f"global fusion: {spec.features * len(spec.growth)} -> {spec.fusion} (1x1) -> {spec.features} (3x3), shallow "
        "features added",
    ]


def channel_groups(spec: RDNSpec) -> list[ChannelGroup]:
    """The growth channels of every dense convolution: read by all later convolutions of their block and by its LFF."""
    groups = []
    for d, block in enumerate(spec.growth):
        prefix = f"encoder.RDBs.{d}"
        names = [f"{prefix}.convs.{c}.conv.0" for c in range(len(block))]
        start = spec.features
        for c, width in enumerate(block):
            readers = [*names[c + 1 :], f"{prefix}.LFF"]
            groups.append(ChannelGroup(names[c], width, tuple((reader, start) for reader in readers)))
            start += width
    return groups


PAPER = "RDN: Residual Dense Network for Image Super-Resolution, arXiv 1802.08797"
