"""The whole of `compress` on small networks: what comes out, that it is deterministic, and that care pays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_liif.compress import CompressConfig, compress, prune, scores
from edge_liif.compress.expected import Expected
from edge_liif.compress.methods import METHODS
from edge_liif.compress.structure import channel_groups, multiply_adds, narrowed
from edge_liif.engine.base import TileShape
from edge_liif.engine.simulated import SimulatedEngine, SimulatedLayers
from edge_liif.engine.torch import TorchEngine
from edge_liif.errors import EngineError, ModelError, UsageError
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network, load_network, random_network, save_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from tests.conftest import tamed


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Smooth random pictures, uint8 (6, 32, 32, 3)."""
    import cv2

    rng = np.random.default_rng(0)
    coarse = rng.random((6, 8, 8, 3)).astype(np.float32)
    fine = rng.random((6, 32, 32, 3)).astype(np.float32)
    wide = np.stack([cv2.resize(c, (32, 32), interpolation=cv2.INTER_CUBIC) for c in coarse])
    return (255 * (0.85 * wide + 0.15 * fine)).clip(0, 255).astype(np.uint8)


def network(kind: str) -> Network:
    encoder = RDNSpec(8, ((32, 32), (32, 32)), 8) if kind == "rdn" else EDSRSpec(8, (48, 48))
    return tamed(random_network(ModelSpec(f"toy-{kind}", encoder, DecoderSpec((48, 48))), seed=4))


def enlarged(net: Network, picture: np.ndarray, precision: str = "fp32") -> np.ndarray:
    engine = SimulatedEngine(net) if precision == "int8" else TorchEngine(net, precision)
    height, width = picture.shape[:2]
    rows, columns = axis_queries(height, 2 * height, 0, 2 * height), axis_queries(width, 2 * width, 0, 2 * width)
    engine.prepare(TileShape(height, width, rows.evaluations, columns.evaluations))
    lr = (picture.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    return engine.decode(engine.encode(lr), Geometry(rows, columns, (1.0, 1.0)))


def error(net: Network, small: Network, pictures: np.ndarray, precision: str = "fp32") -> float:
    differences = [enlarged(net, p) - enlarged(small, p, precision) for p in pictures[:3]]
    return float(np.mean(np.square(differences)))


@pytest.mark.parametrize("kind", ["rdn", "edsr"])
def test_pruning_by_magnitude_is_narrowing(kind, pictures):
    net = network(kind)
    config = CompressConfig("magnitude", prune=0.3, queries=128)
    small, report = compress(net, config, pictures)
    kept = prune.choose(net, scores.by_weights(net, METHODS["magnitude"].score), config.prune, 3.0, config.multiple)
    expected = narrowed(net, kept)
    assert report.widths and expected.spec.tensor_shapes == small.spec.tensor_shapes
    for name, tensor in expected.tensors.items():
        assert np.array_equal(small.tensors[name], tensor), name


@pytest.mark.parametrize("gain", [1.0, 1000.0])
@pytest.mark.parametrize("method", ["rtn", "lockstep"])
def test_a_dense_convolution_that_is_silent_on_all_pictures(method, gain, pictures):
    net = network("rdn")
    tensors = {name: tensor.copy() for name, tensor in net.tensors.items()}
    tensors["encoder.RDBs.0.convs.0.conv.0.bias"][:] = -1e6  # its ReLU never opens
    for name in ("weight", "bias"):  # and what it is read with may be large
        tensors[f"encoder.SFENet2.{name}"] *= np.float32(gain)
    small, _ = compress(replace(net, tensors=tensors), CompressConfig(method, 0.0, 8, 8, queries=128), pictures)
    assert all(np.isfinite(tensor).all() for tensor in small.tensors.values())
    relative = error(replace(net, tensors=tensors), small, pictures, "int8")
    assert relative < 0.01 * np.var(enlarged(replace(net, tensors=tensors), pictures[0]))


@pytest.mark.parametrize("kind", ["rdn", "edsr"])
@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_makes_a_smaller_network(kind, method, pictures):
    net = network(kind)
    config = CompressConfig(method, prune=0.25, weight_bits=6, activation_bits=8, queries=256)
    small, report = compress(net, config, pictures)
    assert multiply_adds(small.spec, 3) <= 0.75 * multiply_adds(net.spec, 3)
    assert report.parameters[1] == small.spec.parameters < net.spec.parameters
    widths = [
        w for block in getattr(small.spec.encoder, "growth", [small.spec.encoder.__dict__.get("blocks")]) for w in block
    ]
    assert all(width % 16 == 0 for width in [*widths, *small.spec.decoder.hidden])
    assert np.isfinite(error(net, small, pictures, "int8"))
    assert small.spec.compression is not None and small.spec.compression.method == method


def test_the_same_seed_gives_the_same_file(tmp_path, pictures):
    config = CompressConfig(prune=0.2, weight_bits=4, activation_bits=8, queries=256)
    for name in ("first", "second"):
        small, _ = compress(network("rdn"), config, pictures)
        save_network(small, tmp_path / f"{name}.safetensors")
    first, second = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("first", "second"))
    assert first == second


def test_a_saved_network_is_the_same_network(tmp_path, pictures):
    small, report = compress(network("rdn"), CompressConfig(weight_bits=4, activation_bits=8, queries=256), pictures)
    path = tmp_path / "small.safetensors"
    save_network(small, path)
    again = load_network(path)
    assert again.spec == small.spec
    for name, tensor in small.tensors.items():
        assert np.array_equal(tensor, again.tensors[name]), name
    # what the report calls its bits is what lies on the disk, and not much more
    assert report.bits / 8 <= path.stat().st_size <= report.bits / 8 + 40_000


@pytest.mark.parametrize("kind", ["rdn", "edsr"])
def test_lockstep_repairs_pruning(kind, pictures):
    """On pictures it has not seen; the same share of multiply-adds for everyone."""
    encoder = RDNSpec(8, ((32, 32, 32),) * 3, 8) if kind == "rdn" else EDSRSpec(8, (64,) * 4)
    net = tamed(random_network(ModelSpec("deep", encoder, DecoderSpec((16, 16))), seed=4))
    loss = {}
    for method in ("magnitude", "moments", "lockstep"):
        small, report = compress(net, CompressConfig(method, prune=0.3, queries=512), pictures[:4])
        assert len(report.widths) > 2
        loss[method] = error(net, small, pictures[3:])
    assert loss["lockstep"] < 0.9 * loss["moments"]
    assert loss["lockstep"] < 0.7 * loss["magnitude"]


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_lockstep_repairs_rounding(bits, pictures):
    net = network("rdn")
    loss = {}
    for method in ("rtn", "lockstep"):
        small, _ = compress(net, CompressConfig(method, weight_bits=bits, queries=1024), pictures[:4])
        loss[method] = error(net, small, pictures[3:])
    assert loss["lockstep"] < 0.6 * loss["rtn"]


def test_lockstep_is_ahead_of_methods_without_samples(pictures):
    """Pruned and rounded at once, on pictures it has not seen."""
    net = network("rdn")
    loss = {}
    for method in ("rtn", "magnitude", "dfq", "udfc", "lockstep"):
        small, _ = compress(net, CompressConfig(method, 0.3, 4, 8, queries=1024), pictures[:4])
        loss[method] = error(net, small, pictures[3:], "int8")
    assert loss["lockstep"] < 0.5 * min(loss[method] for method in ("rtn", "magnitude", "dfq", "udfc"))


def test_the_distance_is_predicted(pictures):
    """A little below what is measured on the calibration pictures, where the ensemble averages; None without any."""
    net = network("rdn")
    for bits in (8, 6, 4):
        small, report = compress(net, CompressConfig(weight_bits=bits, scale=2.0, queries=1024), pictures[:3])
        measured = -10 * np.log10(error(net, small, pictures[:3]))
        assert 0 < measured - report.predicted < 4
    _, report = compress(net, CompressConfig("dfq", weight_bits=8, statistics="analytic"))
    assert report.predicted is None


def test_progress_names_stages_and_layers(pictures):
    net, seen = network("edsr"), []
    compress(net, CompressConfig(prune=0.2, queries=128), pictures, progress=lambda *what: seen.append(what))
    layers = [name.removesuffix(".weight") for name in net.spec.tensor_shapes if name.endswith(".weight")]
    steps = [(done, len(layers), layer) for done, layer in enumerate(layers)]
    assert seen == [(0, len(layers), "choosing channels"), *steps, (len(layers), len(layers), "done")]


def test_channels_can_be_chosen_by_another_score(pictures):
    net = network("edsr")
    widths = {}
    for score in (None, "filter", "magnitude", "energy", "damage"):
        config = CompressConfig("magnitude", prune=0.3, queries=256, score=score)
        small, _ = compress(net, config, pictures)
        assert small.spec.compression.config["score"] == score
        widths[score] = [small.tensors[f"{g.producer}.weight"].tobytes() for g in channel_groups(small.spec)]
    assert widths[None] == widths["magnitude"] != widths["damage"]


def test_integer_activations_cost_little_and_zero_stays_zero(pictures):
    net = network("rdn")
    weights, _ = compress(net, CompressConfig(weight_bits=8, queries=1024), pictures)
    flat = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (0, 255)])
    everything = np.concatenate([pictures, flat])
    both, _ = compress(net, CompressConfig(weight_bits=8, activation_bits=8, queries=1024), everything)
    assert error(net, weights, pictures) < 1e-5
    assert error(net, both, pictures, "int8") < 1e-3
    for value in (0, 255):
        page = np.full((16, 16, 3), value, np.uint8)
        shift = (enlarged(both, page, "int8") - enlarged(net, page)).mean()
        assert abs(shift) < 2 / 255


def test_simulation_is_what_lockstep_went_on_with(pictures):
    """The engine's quantizers and those inside compression are the same: same picture, same features, but for a level
    here and there that tips because floats are added in another order."""
    from edge_liif.compress.lockstep import Bits, Lockstep
    from edge_liif.compress.queries import random_queries

    net = network("edsr")
    lr = torch.from_numpy(pictures[:2].transpose(0, 3, 1, 2).astype(np.float32)) / 127.5 - 1
    run = Lockstep(net, {}, METHODS["lockstep"], Bits(8, 8, 1.0))
    seen = {}
    settle = run._settle

    def spy(name, output, goal):
        seen[name] = settle(name, output, goal)
        return seen[name]

    run._settle = spy
    run.run(lr, random_queries(2, 32, 32, 128, 3.0, 0))
    small, _ = compress(net, CompressConfig(weight_bits=8, activation_bits=8, queries=128), pictures[:2])
    last = f"encoder.body.{len(net.spec.encoder.blocks)}"
    layers = SimulatedLayers(small)
    watched = {}
    conv = layers.conv
    layers.conv = lambda x, name: watched.setdefault(name, conv(x, name))
    with torch.inference_mode():
        small.spec.encoder_module.forward(layers, small.spec.encoder, layers.picture(lr[:1]))
    difference = (watched[last].pieces[0] - seen[last][:1]).abs()
    # another quantizer anywhere would leave none of them the same
    assert (difference < 1e-4).float().mean() > 0.9


def test_what_is_compressed_is_not_compressed_again(pictures):
    small, _ = compress(network("edsr"), CompressConfig(weight_bits=8, queries=128), pictures)
    with pytest.raises(ModelError, match="compressed already"):
        compress(small, CompressConfig(weight_bits=4), pictures)


def test_more_than_there_is_can_not_be_pruned(pictures):
    with pytest.raises(UsageError, match="at most 0"):
        compress(network("edsr"), CompressConfig(prune=0.9, queries=128), pictures)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nothing to do"),
        ({"method": "magic", "prune": 0.1}, "is not one of"),
        ({"prune": 1.0}, "not a share"),
        ({"prune": float("nan")}, "not a share"),
        ({"weight_bits": 2}, "not 3 to 8"),
        ({"activation_bits": 8}, "need both"),
        ({"prune": 0.1, "multiple": 5}, "multiple"),
        ({"prune": 0.1, "version": 2}, "version"),
        ({"prune": 0.1, "score": "beauty"}, "score 'beauty' is not one of filter, magnitude, expected, energy, damage"),
        ({"weight_bits": 8, "score": "energy"}, "score without prune"),
        ({"method": "rtn", "prune": 0.1, "score": "energy", "statistics": "analytic"}, "needs moments"),
    ],
)
def test_impossible_configurations_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        CompressConfig(**settings)


def test_a_configuration_goes_through_toml(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('method = "udfc"\nprune = 0.3\nweight_bits = 6\nactivation_bits = 8\n')
    config = CompressConfig.from_toml(path)
    assert config == CompressConfig("udfc", 0.3, 6, 8)
    assert CompressConfig.from_dict(config.to_dict()) == config
    path.write_text("prun = 0.3\n")
    with pytest.raises(UsageError, match=r"config.toml: compression: there is no setting 'prun'"):
        CompressConfig.from_toml(path)


def test_simulation_needs_integer_activations(pictures):
    small, _ = compress(network("edsr"), CompressConfig(weight_bits=8, queries=128), pictures)
    for net in (network("edsr"), small):
        with pytest.raises(EngineError, match="no integer activations"):
            SimulatedEngine(net)


def test_pictures_of_another_kind_are_refused():
    with pytest.raises(UsageError, match="uint8"):
        compress(network("edsr"), CompressConfig(weight_bits=8), np.zeros((2, 8, 8, 3), np.float32))


def test_synthetic_pictures_are_the_default(monkeypatch):
    """Without pictures the recipe's own are used: nothing is read from anywhere."""
    import edge_liif.compress.synthetic as synthetic

    made = []
    monkeypatch.setattr(
        synthetic, "synthesize", lambda recipe: made.append(recipe) or np.zeros((2, 24, 24, 3), np.uint8)
    )
    net = network("edsr")
    small, _ = compress(replace(net, sha256=None), CompressConfig(weight_bits=8, queries=128))
    assert len(made) == 1
    assert small.spec.compression.config["calibration"]["recipe"]["seed"] == 0


def test_filters_stand_in_for_a_pruned_copy(pictures):
    """UDFC's half for pruning: a channel that another repeats is replaced mostly by it, and nothing else moves."""
    from edge_liif.compress.lockstep import Bits, Lockstep
    from edge_liif.compress.queries import random_queries

    net = network("edsr")
    tensors = {name: tensor.copy() for name, tensor in net.tensors.items()}
    for part in ("weight", "bias"):
        tensors[f"encoder.body.0.body.0.{part}"][7] = tensors[f"encoder.body.0.body.0.{part}"][3]
    copied = Network(net.spec, tensors)
    kept = {"encoder.body.0.body.0": [c for c in range(48) if c != 7]}
    lr = torch.from_numpy(pictures[:1].transpose(0, 3, 1, 2).astype(np.float32)) / 127.5 - 1
    run = Lockstep(copied, kept, METHODS["udfc"], Bits(None, None))
    run.run(lr, random_queries(1, 32, 32, 64, 3.0, 0))
    reader = torch.from_numpy(tensors["encoder.body.0.body.2.weight"])
    moved = run.tensors["encoder.body.0.body.2.weight"] - reader[:, kept["encoder.body.0.body.0"]]
    # two terms of the covariance's series leave some of what they share to each of them
    share = (moved[:, 3] / reader[:, 7]).mean()
    assert 0.75 < share <= 1 and torch.allclose(moved[:, 3], share * reader[:, 7], atol=1e-4)
    moved[:, 3] = 0
    assert moved.norm() < 0.3 * reader[:, 7].norm()
    untouched = run.tensors["encoder.body.1.body.2.weight"]
    assert torch.equal(untouched, torch.from_numpy(tensors["encoder.body.1.body.2.weight"]))


def test_least_squares_stays_near_a_weight_that_lacks_nothing():
    """Samples that say something else move a weight that lacks nothing a part of the way, another all the way."""
    from edge_liif.compress.layer import Layer
    from edge_liif.compress.methods import REPAIRS

    generator = torch.Generator().manual_seed(0)
    weight, other = torch.randn(5, 6, generator=generator), torch.randn(5, 6, generator=generator)
    noise = torch.randn(4000, 6, generator=generator)
    x = torch.linalg.qr(noise - noise.mean(0)).Q * 4000**0.5  # white to the last digit

    def moved(left: list[int]) -> torch.Tensor:
        """How far from `weight` to `other` the repair goes, by column."""
        layer = Layer(
            *("reader", weight, torch.zeros(5), 1, 0, torch.tensor(left), ()),
            *(lambda: pytest.fail("looked at inputs"), lambda: iter([(x[:, left], x[:, left] @ other[:, left].T)])),
            Expected(network("edsr")),
        )
        new, _ = REPAIRS["least squares"](layer)
        way = other[:, left] - weight[:, left]
        return ((new - weight[:, left]) * way).sum(0) / way.square().sum(0)

    assert torch.allclose(moved([0, 1, 2, 3, 4, 5]), torch.full((6,), 1 / 1.3), atol=1e-3)
    assert torch.allclose(moved([0, 1, 2, 4, 5]), torch.ones(5), atol=1e-3)


@pytest.mark.parametrize("kind", ["rdn", "edsr"])
def test_equalised_is_the_same_function(kind, pictures):
    from edge_liif.compress.equalise import equalised

    net = network(kind)
    even = equalised(net)
    assert not np.array_equal(even.tensors["imnet.layers.2.weight"], net.tensors["imnet.layers.2.weight"])
    assert np.allclose(enlarged(even, pictures[0]), enlarged(net, pictures[0]), atol=1e-5)


def test_what_is_read_together_differs_by_whole_steps(pictures):
    small, _ = compress(network("rdn"), CompressConfig(weight_bits=8, activation_bits=8, queries=128), pictures)
    quantizers = small.spec.compression.activations
    residual = ["encoder.RDBs.0.LFF.sum", "encoder.RDBs.1.LFF.sum"]
    dense = [[f"encoder.RDBs.{block}.convs.{c}.conv.0.relu" for c in range(2)] for block in range(2)]
    for together in [residual, *dense]:
        steps = [4 * np.log2(quantizers[name].scale / quantizers[together[0]].scale) for name in together]
        assert np.allclose(steps, np.round(steps), atol=1e-6)
    assert {name.signed for name in map(quantizers.get, residual)} == {True}
