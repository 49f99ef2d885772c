"""Configuration B, the paper's largest RDN-LIIF, with random weights: time and memory don't depend on them."""

from __future__ import annotations

import numpy as np

from edge_liif.model.checkpoint import Network, random_network
from edge_liif.model.liif import DecoderSpec, layer_names
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec

RANDOM_B = "random-B"


def configuration_b(blocks: int = 16) -> Network:
    """RDN of so many blocks of 8 convolutions of 64 channels, and an MLP 256-256-256-256; 22 M parameters with all 16.

    Values stay in the range of a trained network's: each block adds little to the residual stream, which would double
    sixteen times, and the answers have about the range of colours, so that precisions can agree on them.
    """
    spec = ModelSpec(RANDOM_B, RDNSpec.uniform(blocks, 8, 64), DecoderSpec((256,) * 4))
    network = random_network(spec)
    last = layer_names(spec.decoder)[-1]
    factors = {name: 0.1 for name in network.tensors if name.endswith("LFF.weight")} | {f"{last}.weight": 0.05}
    calmed = {name: network.tensors[name] * np.float32(factor) for name, factor in factors.items()}
    return Network(spec, {**network.tensors, **calmed})
