"""What is said about the peers of a report: how they were made and run, and what their numbers don't show."""

from __future__ import annotations

from collections.abc import Sequence

from ..point import Point
from .kinds import PERCEPTUAL, QuantizingPeer


def about_peers(points: Sequence[Point]) -> str:
    """Sentences for the protocol; nothing where there is nothing to say."""
    text = ""
    quantizing = [p for p in points if isinstance(p.peer, QuantizingPeer)]
    if quantizing:
        text += (
            " W8A8 by others: post-training quantization of the same float network, calibrated on 20 crops of 96x96 LR "
            f"pixels of the real pictures in {quantizing[0].recipe.calibrate_on}, which is not data-free; executed by "
            "the same code in the same tiles as ours, NNCF's graphs by OpenVINO, ONNX Runtime's by ONNX Runtime."
        )
    if any(p.peer is not None and p.file is None and p.peer.packages for p in points):
        text += " Other networks enlarge by the code of their own packages, on the CPU."
    if any(p.peer is not None and p.peer.note == PERCEPTUAL for p in points):
        text += (
            " Perceptual: trained to look sharp, not to be near the original; PSNR and SSIM rate such networks low by "
            "design, so look at the crops as well."
        )
    return text


def peer_versions(points: Sequence[Point]) -> dict[str, str]:
    """Of the packages of all peers that were measured."""
    return {name: version for p in points if p.peer is not None for name, version in p.peer.versions().items()}
