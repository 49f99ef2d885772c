"""Specifications: counts, receptive fields, JSON, hostile values."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from edge_liif.engine.torch import TorchLayers
from edge_liif.errors import ModelError
from edge_liif.model import edsr, rdn
from edge_liif.model.checkpoint import Network, random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import HaloMeasurement, ModelSpec

WIDE = DecoderSpec((256, 256, 256, 256))
RDN_B = ModelSpec("rdn-liif", RDNSpec.uniform(16, 8, 64), WIDE)


def test_counts_of_the_released_network() -> None:
    """The numbers of the paper's configuration B with LIIF's MLP, counted independently."""
    assert RDN_B.parameters == 21_973_952 + 346_883
    assert RDN_B.encoder_multiply_adds == 21_964_480
    once, each = RDN_B.decoder_multiply_adds
    # The literal form evaluates 580 x 256 four times a pixel; ours splits 576 of the 580 off.
    assert once + 4 * 256 + each == 345_856
    assert len(RDN_B.tensor_shapes) == 306
    assert RDN_B.exact_halo == 133


@pytest.mark.parametrize(
    "encoder", [RDNSpec.uniform(20, 6, 32), RDNSpec(48, ((8, 3), (5,)), 20), EDSRSpec(24, (24, 7, 12))]
)
def test_shapes_describe_their_own_specification(encoder: RDNSpec | EDSRSpec) -> None:
    spec = ModelSpec("x", encoder, DecoderSpec((32, 48)))
    module = rdn if isinstance(encoder, RDNSpec) else edsr
    assert module.detect(spec.tensor_shapes) == encoder


def test_channels_of_a_long_dense_block() -> None:
    """Fifteen outputs of 64 channels, and 64 + 16 * 64 in two copies: more than twice what the fusion reads."""
    long = ModelSpec("long", RDNSpec.uniform(16, 16, 64), WIDE)
    assert long.dense_block_channels(2) == 15 * 64 + 2 * 1088 > 2 * long.widest_input
    assert RDN_B.dense_block_channels(3) < 3 * RDN_B.widest_input
    assert ModelSpec("e", EDSRSpec(24, (24, 7)), WIDE).dense_block_channels(2) == 0


def test_json_round_trip() -> None:
    spec = ModelSpec("y", RDNSpec(16, ((4, 5), (6,)), 8), DecoderSpec((9,)), HaloMeasurement(7, 0.001, "two pictures"))
    assert ModelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize("name", ["small_rdn", "small_edsr"])
def test_exact_halo_is_the_receptive_field(name: str, request: pytest.FixtureRequest) -> None:
    """A change of one LR pixel reaches features exactly `radius` away, no less and no more."""
    network: Network = request.getfixturevalue(name)
    radius = network.spec.encoder_module.radius(network.spec.encoder)
    # Positive weights: nothing cancels and no ReLU is dead.
    positive = Network(network.spec, {k: np.abs(v) for k, v in network.tensors.items()})
    layers = TorchLayers(positive, torch.float64, torch.device("cpu"))
    side = 2 * radius + 7
    zero = torch.zeros(1, 3, side, side, dtype=torch.float64)
    one = zero.clone()
    one[..., side // 2, side // 2] = 1
    with torch.inference_mode():
        a, b = (network.spec.encoder_module.forward(layers, network.spec.encoder, x) for x in (zero, one))
    touched = np.argwhere((a != b).any(dim=1)[0].numpy())
    assert touched.min() == side // 2 - radius and touched.max() == side // 2 + radius


def _broken(**changes: object) -> str:
    data = json.loads(ModelSpec("z", RDNSpec.uniform(2, 2, 8, 16), DecoderSpec((8,))).to_json())
    for key, value in changes.items():
        target = data
        *parents, last = key.split("__")
        for parent in parents:
            target = target[parent]
        target[last] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        _broken(version=99),
        _broken(encoder__kind="swin"),
        _broken(encoder__features=-1),
        _broken(encoder__features=10**9),
        _broken(encoder__features="64"),
        _broken(encoder__growth=[]),
        _broken(encoder__growth=[[8, True]]),
        _broken(decoder__hidden=[0]),
        _broken(decoder__hidden=[8] * 5000),
        _broken(surprise=1),
        _broken(halo={"pixels": 3}),
    ],
)
def test_hostile_specifications_are_refused(text: str) -> None:
    with pytest.raises(ModelError):
        ModelSpec.from_json(text)


def test_tensors_must_fit_the_specification() -> None:
    network = random_network(ModelSpec("w", EDSRSpec(8, (8,)), DecoderSpec((8,))))
    lacking = dict(network.tensors)
    del lacking["encoder.head.0.bias"]
    with pytest.raises(ModelError, match=r"lacks encoder\.head\.0\.bias"):
        Network(network.spec, lacking)
    with pytest.raises(ModelError, match="has stray too much"):
        Network(network.spec, {**network.tensors, "stray": np.zeros(1, np.float32)})
    with pytest.raises(ModelError, match="its specification says"):
        Network(network.spec, {**network.tensors, "encoder.head.0.bias": np.zeros(9, np.float32)})
    with pytest.raises(ModelError, match="not finite"):
        Network(network.spec, {**network.tensors, "encoder.head.0.bias": np.full(8, np.nan, np.float32)})
