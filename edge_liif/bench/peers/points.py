"""The peers of a sweep as points, and for those that can't be measured the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ...errors import EdgeLiifError
from ..networks import NetworkFile
from ..point import Point
from ..recipe import UNCOMPRESSED, BenchRecipe
from ..store import Store
from ..sweep import Sweep
from .kinds import EnlargingPeer, QuantizingPeer
from .quantized import quantized_by
from .table import ENLARGING, NOT_TO_BE_HAD, QUANTIZING

Missing = list[dict[str, str]]


def enlarging_point(peer: EnlargingPeer) -> Point:
    return Point(peer.name, UNCOMPRESSED, "", "", None, peer)


def peer_points(
    sweep: Sweep,
    bases: Mapping[str, NetworkFile],
    pictures: NDArray[np.uint8] | None,
    store: Store,
    missing: Missing,
    say: Callable[[str], None],
) -> list[Point]:
    """Peers that run here, and in `missing` why the others don't.

    bases: the sweep's models as they are, of which those in floats are quantized; pictures: crops to calibrate on,
    uint8 (N, H, W, 3), None where the sweep has none; say: told what takes a while.
    """
    points = []
    for peer in ENLARGING:
        if (reason := peer.why_not()) is not None:
            missing.append({"name": peer.name, "reason": reason})
            continue
        lacking = [scale for scale in sweep.scales if not peer.has(scale)]
        if lacking:
            reason = "has no " + " and no ".join(f"x{scale:g}" for scale in lacking)
            missing.append({"name": peer.name, "reason": reason})
        if len(lacking) < len(sweep.scales):
            points.append(enlarging_point(peer))
    for model, base in bases.items():
        if not base.integer and base.parent_sha256 is None:
            for quantizer in QUANTIZING:
                points += _quantized(quantizer, model, base, pictures, sweep, store, missing, say)
    missing += [{"name": name, "reason": reason} for name, reason in NOT_TO_BE_HAD.items()]
    return points


def _quantized(
    peer: QuantizingPeer,
    model: str,
    base: NetworkFile,
    pictures: NDArray[np.uint8] | None,
    sweep: Sweep,
    store: Store,
    missing: Missing,
    say: Callable[[str], None],
) -> list[Point]:
    recipe = BenchRecipe(f"W8A8 by {peer.name}", None, sweep.calibrate_on)
    reason = peer.why_not()
    if reason is None and pictures is None:
        reason = "needs real pictures: --calibrate-on DIR"
    if reason is None and pictures is not None:
        say(f"{model}, {recipe.title}")
        try:
            file = quantized_by(peer, base, pictures, store)
        except EdgeLiifError as error:
            reason = str(error)
        else:
            return [Point(model, recipe, peer.engine, "int8", file, peer)]
    missing.append({"name": f"{model}, {recipe.title}", "reason": str(reason)})
    return []
