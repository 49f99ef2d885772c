"""Weight bits that differ from layer to layer, and the table that says where they are needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_liif.compress.config import CompressConfig
from edge_liif.compress.lockstep import Bits
from edge_liif.compress.pipeline import compress
from edge_liif.errors import UsageError
from edge_liif.model.checkpoint import load_network, random_network, save_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from tests.compress.test_pipeline import enlarged
from tests.conftest import tamed


@pytest.fixture(scope="module")
def network():
    return tamed(random_network(ModelSpec("mixed", RDNSpec(8, ((32, 32),) * 2, 8), DecoderSpec((48, 48))), seed=4))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    import cv2

    rng = np.random.default_rng(0)
    coarse = rng.random((4, 8, 8, 3)).astype(np.float32)
    wide = np.stack([cv2.resize(c, (32, 32), interpolation=cv2.INTER_CUBIC) for c in coarse])
    return (255 * wide).clip(0, 255).astype(np.uint8)


def test_the_first_pattern_that_fits_decides():
    bits = Bits(4, 8, keep={"imnet.layers.0": 6, "imnet.*": 5})
    assert bits.of_weight("imnet.layers.0", False) == 6
    assert bits.of_weight("imnet.layers.2", False) == 5
    assert bits.of_weight("imnet.layers.4", True) == 5  # what is asked for goes before what is usual
    assert bits.of_weight("encoder.GFF.1", True) == 8
    assert bits.of_weight("encoder.GFF.0", False) == 4
    assert Bits(None, None).of_weight("encoder.GFF.0", False) is None


def test_bits_differ_by_layer_and_so_does_the_file(network, pictures, tmp_path):
    sizes = {}
    for name, keep in {"four": {}, "mixed": {"encoder.RDBs.1.*": 8}}.items():
        config = CompressConfig(weight_bits=4, activation_bits=8, queries=128, keep=keep)
        small, report = compress(network, config, pictures)
        sizes[name] = report.bits
        found = small.spec.compression.weights
        assert found["encoder.RDBs.0.LFF.weight"].bits == 4
        assert found["encoder.RDBs.1.LFF.weight"].bits == (8 if keep else 4)
        save_network(small, tmp_path / "small.safetensors")
        again = load_network(tmp_path / "small.safetensors")
        assert again.spec.compression == small.spec.compression
        assert again.spec.compression.config["keep"] == keep
    more = sum(
        int(np.prod(shape)) * 4
        for name, shape in network.spec.tensor_shapes.items()
        if name.startswith("encoder.RDBs.1.") and name.endswith(".weight")
    )
    assert sizes["mixed"] - sizes["four"] == more


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"imnet.*": 2}, "3 to 8 bits"),
        ({"": 8}, "3 to 8 bits"),
        ({"imnet.*": True}, "3 to 8 bits"),
        (["imnet"], "3 to 8 bits"),
    ],
)
def test_impossible_patterns_are_refused(keep, message):
    with pytest.raises(UsageError, match=message):
        CompressConfig(weight_bits=8, keep=keep)


def test_keep_is_about_layers_that_are_there_and_quantized(network, pictures):
    with pytest.raises(UsageError, match="without weight_bits"):
        CompressConfig(prune=0.1, keep={"imnet.*": 8})
    with pytest.raises(UsageError, match="fits no layer"):
        compress(network, CompressConfig(weight_bits=8, keep={"decoder.*": 8}), pictures)
    with pytest.raises(UsageError, match=r"SFENet1 stays in float"):
        compress(network, CompressConfig(weight_bits=8, keep={"encoder.SFENet1": 4}), pictures)


def test_a_configuration_with_patterns_goes_through_toml(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('weight_bits = 4\n[keep]\n"imnet.layers.0" = 6\n"imnet.*" = 8\n')
    config = CompressConfig.from_toml(path)
    assert list(config.keep.items()) == [("imnet.layers.0", 6), ("imnet.*", 8)]
    assert CompressConfig.from_dict(config.to_dict()) == config


def test_the_table_finds_the_layer_that_was_robbed_of_its_bits(network, pictures):
    robbed = "encoder.RDBs.0.convs.1.conv.0"
    config = CompressConfig(weight_bits=8, activation_bits=8, queries=512, keep={robbed: 3})
    _, report = compress(network, config, pictures, layers=True)
    rows = {row.layer: row for row in report.layers}
    assert list(rows) == [n.removesuffix(".weight") for n in network.tensors if n.endswith(".weight")]
    assert max(rows.values(), key=lambda row: row.share).layer == robbed
    assert rows[robbed].bits == 3 and rows[robbed].weights > 5 * rows[robbed].inputs
    assert rows["encoder.SFENet1"].bits is None and rows["encoder.SFENet1"].total == 0
    assert sum(row.share for row in rows.values()) == pytest.approx(1)
    assert all(row.pruned == 0 for row in rows.values())


@pytest.mark.parametrize("activations", [None, 8])
def test_the_predicted_loss_is_about_the_loss(pictures, activations):
    """Within a factor of three, on an encoder without fusion, on pictures of its own."""
    spec = ModelSpec("deep", EDSRSpec(8, (32,) * 3), DecoderSpec((32, 32)))
    net = tamed(random_network(spec, seed=5))
    config = CompressConfig("rtn", weight_bits=4, activation_bits=activations, queries=512)
    small, report = compress(net, config, pictures, layers=True)
    predicted = sum(row.total for row in report.layers)
    precision = "fp32" if activations is None else "int8"
    losses = [enlarged(small, p, precision) - enlarged(net, p) for p in pictures]
    measured = 4 * float(np.mean(np.square(losses)))  # engines answer in 0..1, losses are told in -1..1
    assert measured / 3 < predicted < measured * 3


def test_what_pruning_costs_is_told_where_it_is_predicted(network, pictures):
    pruned = {}
    for method in ("lockstep", "moments", "magnitude"):
        _, report = compress(network, CompressConfig(method, prune=0.3, queries=256), pictures, layers=True)
        assert report.widths
        pruned[method] = [row.pruned for row in report.layers if row.layer in report.widths]
    assert all(cost is not None and cost > 0 for cost in pruned["lockstep"])
    assert all(cost is None for cost in pruned["moments"] + pruned["magnitude"])


def test_the_table_changes_nothing(network, pictures):
    config = CompressConfig(prune=0.2, weight_bits=6, activation_bits=8, queries=128)
    plain, without = compress(network, config, pictures)
    watched, report = compress(network, config, pictures, layers=True)
    assert without.layers is None and report.layers
    assert plain.spec == replace(watched.spec)
    assert all(np.array_equal(plain.tensors[name], watched.tensors[name]) for name in plain.tensors)
