"""Removing channels is exactly holding them at zero, whatever the network and the channels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_liif.compress.structure import (
    channel_groups,
    costs_per_channel,
    details,
    evaluations,
    multiply_adds,
    narrowed,
)
from edge_liif.model.checkpoint import Network, random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.reference import literal_enlarge
from edge_liif.model.spec import ModelSpec

WIDTH = st.integers(1, 6)
ENCODERS = st.one_of(
    st.lists(st.lists(WIDTH, min_size=1, max_size=3).map(tuple), min_size=1, max_size=2).map(
        lambda growth: RDNSpec(5, tuple(growth), 4)
    ),
    st.lists(WIDTH, min_size=1, max_size=3).map(lambda blocks: EDSRSpec(5, tuple(blocks))),
)


def with_zeros(network: Network, kept: dict[str, list[int]]) -> Network:
    """The whole network with the producers' other rows set to zero, so that their ReLU gives zero."""
    tensors = {name: tensor.copy() for name, tensor in network.tensors.items()}
    for producer, channels in kept.items():
        gone = sorted(set(range(len(tensors[f"{producer}.weight"]))) - set(channels))
        tensors[f"{producer}.weight"][gone] = 0
        tensors[f"{producer}.bias"][gone] = 0
    return Network(network.spec, tensors)


@settings(max_examples=25, deadline=None)
@given(encoder=ENCODERS, hidden=st.lists(WIDTH, min_size=1, max_size=3), data=st.data())
def test_removed_channels_are_zeroed_channels(encoder, hidden, data):
    network = random_network(ModelSpec("random", encoder, DecoderSpec(tuple(hidden))), seed=3)
    kept = {}
    for group in channel_groups(network.spec):
        channels = data.draw(st.sets(st.integers(0, group.width - 1), min_size=1), label=group.producer)
        kept[group.producer] = sorted(channels)
    lr = torch.rand(1, 3, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    small = literal_enlarge(narrowed(network, kept), lr, (15, 11), dtype=torch.float64)
    zeroed = literal_enlarge(with_zeros(network, kept), lr, (15, 11), dtype=torch.float64)
    assert torch.allclose(small, zeroed, rtol=1e-9, atol=1e-9)


def test_widths_of_the_narrowed_network(small_rdn):
    group = channel_groups(small_rdn.spec)[0]
    narrow = narrowed(small_rdn, {group.producer: [0, 3, 7], "imnet.layers.2": [1, 2]})
    assert narrow.spec.encoder.growth == ((3, 5), (7, 3, 4))
    assert narrow.spec.decoder.hidden == (24, 2, 16)


def test_what_is_no_group_is_refused(small_rdn):
    for kept in ({"encoder.SFENet1": [0]}, {"imnet.layers.2": []}, {"imnet.layers.2": [99]}):
        with pytest.raises(ValueError, match="not a group"):
            narrowed(small_rdn, kept)


def test_a_growth_channel_of_configuration_b_saves_the_same_everywhere():
    """compression.md: 4,673 parameters a channel whatever its depth."""
    spec = ModelSpec("b", RDNSpec.uniform(2, 8, 64), DecoderSpec((16,)))
    network = random_network(spec)
    for group in channel_groups(spec)[:16]:
        less = narrowed(network, {group.producer: list(range(1, group.width))})
        assert spec.parameters - less.spec.parameters == 4673
        assert "4673 parameters less" in details(group, spec)


def test_details_name_every_reader(small_rdn):
    text = details(channel_groups(small_rdn.spec)[0], small_rdn.spec)
    assert "RDBs.0.convs.0" in text and "RDBs.0.convs.1.conv.0 as inputs 16..23" in text and "RDBs.0.LFF" in text


@pytest.mark.parametrize(("scale", "expected"), [(2, 16), (3, 25), (4, 64)])
def test_evaluations_per_lr_pixel(scale, expected):
    assert evaluations(scale) == pytest.approx(expected, rel=0.1)


def test_costs_are_what_a_channel_saves(small_rdn, small_edsr):
    for network in (small_rdn, small_edsr):
        whole = multiply_adds(network.spec, 3)
        for group in channel_groups(network.spec):
            cost = costs_per_channel(network.spec, 3)[group.producer]
            less = narrowed(network, {group.producer: list(range(group.width - 1))})
            assert whole - multiply_adds(less.spec, 3) == pytest.approx(cost, rel=1e-9)


def test_counts_of_the_paper():
    spec = ModelSpec("b", RDNSpec.uniform(16, 8, 64), DecoderSpec((256,) * 4))
    assert spec.encoder_multiply_adds == 21_964_480
    kept = {g.producer: list(range(48)) for g in channel_groups(spec) if g.producer.startswith("encoder.")}
    assert narrowed(random_network(spec), kept).spec.encoder_multiply_adds == pytest.approx(13.43e6, rel=2e-3)
    assert np.isclose(multiply_adds(spec, 3), 21_964_480 + 147_456 + evaluations(3) * 197_376)
