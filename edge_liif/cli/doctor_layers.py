"""`edge-liif doctor --layers`: what OpenVINO really executes, layer by layer."""

from __future__ import annotations

import json
from collections import defaultdict

from ..engine.openvino import OpenVINOEngine
from ..engine.select import TIMED_SCALE, choose, tile_seconds
from ..model.checkpoint import Network

# LR side of the tile: large enough for the times to be those of a picture's tiles.
SIDE = 192


def print_layers(network: Network, precision: str, threads: int | None, json_output: bool) -> int:
    """Run one tile twice with counters on, and print each layer of the second time."""
    if precision == "auto":
        precision = choose(network, "openvino", device="cpu", threads=threads).engine.precision
    engine = OpenVINOEngine(network, precision, "cpu", threads, cache=False, timed=True)
    for _ in range(2):
        tile_seconds(engine, SIDE)
    executed = engine.executed()
    if json_output:
        print(json.dumps({"model": network.spec.name, "precision": precision, "layers": [vars(e) for e in executed]}))
        return 0
    print(
        f"{network.spec.name}, {precision}: a {SIDE}x{SIDE} tile at x{TIMED_SCALE}; decoder times are for one block\n"
    )
    print("| graph | layer | precision | kernel | ms |\n|---|---|---|---|---:|")
    shares: dict[tuple[str, str], float] = defaultdict(float)
    for layer in executed:
        seconds = layer.seconds or 0.0
        shares[layer.graph, layer.precision] += seconds
        print(f"| {layer.graph} | {layer.kind} | {layer.precision} | {layer.kernel} | {1000 * seconds:.2f} |")
    print()
    for graph in ("encoder", "decoder"):
        total = sum(s for (g, _), s in shares.items() if g == graph) or 1.0
        parts = sorted(((s / total, p) for (g, p), s in shares.items() if g == graph), reverse=True)
        print(f"{graph}: " + ", ".join(f"{share:.0%} of the time in {p}" for share, p in parts if share >= 0.005))
    return 0
