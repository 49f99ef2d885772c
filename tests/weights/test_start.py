"""An RDN that starts as an EDSR: exactly where there is room, nearly where there is not."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_liif.engine.torch import TorchLayers
from edge_liif.model.checkpoint import Network, random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "weights" / "train"))
import start

CPU = torch.device("cpu")


@pytest.fixture
def teacher() -> Network:
    network = random_network(ModelSpec("teacher", EDSRSpec(4, (4, 4)), DecoderSpec((12, 12))), seed=5)
    # residuals as small as a trained network's
    tensors = {k: v * np.float32(0.3) if ".body.2" in k else v for k, v in network.tensors.items()}
    return Network(network.spec, tensors)


def features(network: Network, lr: torch.Tensor) -> torch.Tensor:
    layers = TorchLayers(network, torch.float32, CPU)
    with torch.inference_mode():
        return network.spec.encoder_module.forward(layers, network.spec.encoder, lr)


def as_network(encoder: RDNSpec, tensors: dict[str, torch.Tensor], teacher: Network) -> Network:
    arrays = {k: v.numpy() for k, v in tensors.items()}
    arrays |= {k: v for k, v in teacher.tensors.items() if k.startswith("imnet.")}
    return Network(replace(teacher.spec, encoder=encoder), arrays)


@pytest.mark.parametrize(
    "encoder",
    [
        RDNSpec(4, ((2,) * 6,) * 2, 4),  # just enough growth channels
        RDNSpec(4, ((2,) * 6,) * 4, 4),  # left-over blocks
        RDNSpec(4, ((4,) * 5, (4, 5, 4, 2)), 6),  # left-over channels, a wider fusion
    ],
)
def test_an_exact_start_gives_the_teachers_features(teacher, encoder):
    student = as_network(encoder, start.exact(encoder, teacher), teacher)
    lr = torch.rand(1, 3, 9, 11) * 2 - 1
    assert torch.allclose(features(student, lr), features(teacher, lr), atol=1e-5)


def test_an_exact_start_can_learn_everywhere(teacher):
    """No weight is stuck: after one step every block's convolutions have a gradient."""
    encoder = RDNSpec(4, ((2,) * 6,) * 3, 4)
    tensors = {k: v.clone().requires_grad_() for k, v in start.exact(encoder, teacher).items()}
    layers = TorchLayers.__new__(TorchLayers)
    layers.tensors = tensors
    lr = torch.rand(2, 3, 12, 12) * 2 - 1
    optimizer = torch.optim.SGD(tensors.values(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        layers_out = as_network(encoder, {k: v.detach() for k, v in tensors.items()}, teacher)
        layers_out.spec.encoder_module.forward(layers, encoder, lr).square().sum().backward()
        optimizer.step()
    for name, tensor in tensors.items():
        if name.endswith("conv.0.weight"):
            assert tensor.grad.abs().max() > 0, name


def test_too_little_room_is_said(teacher):
    with pytest.raises(ValueError, match="growth channels"):
        start.exact(RDNSpec(4, ((2,) * 5,) * 2, 4), teacher)
    with pytest.raises(ValueError, match="dense blocks"):
        start.exact(RDNSpec(4, ((2,) * 6,), 4), teacher)
    lr = torch.rand(1, 3, 12, 12)
    with pytest.raises(ValueError, match="half as many"):
        start.compressed(RDNSpec(4, ((2,) * 6,) * 2, 4), teacher, lr)
    for growth in (2,) * 4, (4,) * 6, (4, 2, 4, 3), (3,) * 4, (5, 1, 4, 2):
        with pytest.raises(ValueError, match="can't be cut"):
            start.compressed(RDNSpec(4, (growth,), 4), teacher, lr)
    with pytest.raises(ValueError, match="fusion of 3"):
        start.compressed(RDNSpec(4, ((2,) * 6,), 3), teacher, lr)


def test_a_compressed_start_finds_what_is_not_needed(teacher):
    """Neighbours reach a block's result in two directions only: two EDSR blocks fit into one dense block without
    loss, centre taps of all directions among them."""
    tensors = {k: v.copy() for k, v in teacher.tensors.items()}
    for b in range(2):
        outer = tensors[f"encoder.body.{b}.body.2.weight"]
        centre = outer[2:, :, 1, 1].copy()
        outer[2:] = outer[:2]
        outer[2:, :, 1, 1] = centre
    redundant = Network(teacher.spec, tensors)
    encoder = RDNSpec(4, ((2,) * 6,), 4)
    lr = torch.rand(8, 3, 32, 32) * 2 - 1
    new = torch.rand(1, 3, 32, 32) * 2 - 1
    inside = (slice(None), slice(None), slice(4, -4), slice(4, -4))  # zero padding meets the shift at the rim

    def error(of: Network) -> float:
        student = as_network(encoder, start.compressed(encoder, of, lr), of)
        goal, found = features(of, new), features(student, new)
        return float((found - goal)[inside].square().mean() / goal[inside].var())

    assert error(redundant) < 5e-4
    assert error(teacher) > 1e-3


def unpredicted(kernel: torch.Tensor, sizes: list[float], cost: torch.Tensor) -> torch.Tensor:
    """Of four channels, `kernel` on random pictures, scaled to standard deviations `sizes`: the share of the variance
    that a fusion of the pictures and two directions can't predict."""
    x = torch.rand(8, 4, 16, 16)
    target = torch.nn.functional.conv2d(x, kernel, padding=1)
    target *= torch.tensor(sizes)[:, None, None] / target.std((0, 2, 3), keepdim=True)
    weight, bias = start._fit_directions([x], target, 2, cost)
    fused = [x, torch.nn.functional.conv2d(x, weight, bias, padding=1)]
    found = torch.nn.functional.conv2d(torch.cat(fused, 1), *start._fit(fused, target, 1))
    return (found - target).var((0, 2, 3)) / target.var((0, 2, 3))


def test_directions_go_where_errors_cost(teacher):
    """The next convolution reads two channels of four, which are half as large: they get both directions."""
    tensors = {k: torch.from_numpy(v.copy()) for k, v in teacher.tensors.items()}
    tensors["encoder.body.1.body.0.weight"][:, 2:] = 0
    kernel = torch.rand(4, 4, 3, 3) - 0.5
    assert unpredicted(kernel, [1, 1, 2, 2], start._errors_cost(tensors, 1))[:2].max() < 0.02
    assert unpredicted(kernel, [1, 1, 2, 2], torch.eye(4, dtype=torch.float64))[:2].max() > 0.2


def test_directions_are_not_spent_on_what_the_fusion_sees_by_itself():
    """Two channels are made of centre taps alone: large as they are, they need no direction."""
    kernel = torch.rand(4, 4, 3, 3) - 0.5
    centre = kernel[2:, :, 1, 1].clone()
    kernel[2:] = 0
    kernel[2:, :, 1, 1] = centre
    assert unpredicted(kernel, [1, 1, 2, 2], torch.eye(4, dtype=torch.float64)).max() < 1e-3


def test_errors_cost_what_the_next_reader_makes_of_them(teacher, monkeypatch):
    """Of a block's result: the next block, behind the last one the tail."""
    blocks = []
    cost = start._errors_cost
    monkeypatch.setattr(start, "_errors_cost", lambda t, block: blocks.append(block) or cost(t, block))
    start.compressed(RDNSpec(4, ((2,) * 6,), 4), teacher, torch.rand(2, 3, 12, 12))
    assert blocks == [1, 2]
    tensors = {k: torch.from_numpy(v) for k, v in teacher.tensors.items()}
    tail = tensors["encoder.body.2.weight"].double()
    gram = torch.einsum("oihw,ojhw->ij", tail, tail)
    expected = gram / gram.diagonal().mean() + start.OTHERS * torch.eye(4)
    assert torch.allclose(cost(tensors, 2), expected)


def test_a_narrower_decoder_finds_what_is_not_needed(teacher):
    tensors = {k: v.copy() for k, v in teacher.tensors.items()}
    for layer in (0, 2):
        for part in ("weight", "bias"):
            tensors[f"imnet.layers.{layer}.{part}"][6:] = tensors[f"imnet.layers.{layer}.{part}"][:6]
    redundant = Network(teacher.spec, tensors)
    inputs = start.mlp_inputs(redundant, torch.rand(4, 3, 12, 12) * 2 - 1, 400)
    assert inputs.shape == (1600, 9 * 4 + 4)
    small = start.narrower_decoder(redundant, (6, 6), inputs)
    x = inputs[:50]
    for network in (redundant.tensors, small):
        y = x
        for i in (0, 2, 4):
            weight = torch.as_tensor(network[f"imnet.layers.{i}.weight"])
            y = torch.nn.functional.linear(y, weight, torch.as_tensor(network[f"imnet.layers.{i}.bias"]))
            y = torch.relu(y) if i < 4 else y
        if network is redundant.tensors:
            goal = y
    assert (y - goal).square().mean() < 1e-3 * goal.var()
    assert small["imnet.layers.2.weight"].shape == (6, 6)


def test_centred_convolutions_are_the_same_function(teacher):
    """Zero padding included; and what is learnt can be written back."""
    from learner import Learner

    encoder = RDNSpec(4, ((2,) * 6,), 4)
    network = as_network(encoder, start.compressed(encoder, teacher, torch.rand(4, 3, 24, 24) * 2 - 1), teacher)
    learner = Learner([network], CPU)
    lr = torch.rand(2, 3, 9, 10) * 2 - 1
    before = learner.features(lr)
    learner.centre(torch.rand(2, 3, 16, 16) * 2 - 1)
    assert learner.centres["encoder.RDBs.0.LFF"].abs().max() > 0.1
    assert torch.allclose(learner.features(lr), before, atol=1e-5)
    back = learner.network("teacher", {k: v.detach() for k, v in learner.tensors.items()})
    for name, value in network.tensors.items():
        assert np.allclose(back.tensors[name], value, atol=1e-5), name
