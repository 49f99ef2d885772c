import numpy as np
import pytest
import torch

from edge_liif.compress.quantize import (
    activation_quantization,
    gptq,
    largest_integer,
    quantization_of_scales,
    round_to_nearest,
    row_scales,
)
from edge_liif.engine.integer import channel_scales
from edge_liif.engine.simulated import quantized


def case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight and the covariance of strongly correlated inputs."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(40, 40, generator=generator) / 6
    x = torch.randn(4000, 40, generator=generator) @ (mix + 0.5 * torch.eye(40))
    return torch.randn(8, 40, generator=generator), torch.cov(x.T).double() + 1e-4 * torch.eye(40, dtype=torch.float64)


def loss(weight: torch.Tensor, rounded: torch.Tensor, covariance: torch.Tensor) -> float:
    error = (weight - rounded).double()
    return float((error @ covariance * error).sum())


@pytest.mark.parametrize("bits", [3, 4, 5, 6, 8])
def test_levels_are_whole_multiples_in_range(bits):
    weight, covariance = case()
    scale = row_scales(weight, bits)
    for rounded in (round_to_nearest(weight, scale, bits), gptq(weight, covariance, scale, bits)):
        levels = rounded / scale
        assert torch.equal(levels.round() * scale, rounded)
        assert levels.round().abs().max() <= largest_integer(bits)
    assert torch.allclose(scale[:, 0] * largest_integer(bits), weight.abs().amax(1))


@pytest.mark.parametrize("bits", [3, 4, 6])
def test_each_step_of_care_pays(bits):
    """Weighted scales beat the largest magnitude, GPTQ beats rounding to nearest, on what the layer then outputs."""
    plain, careful, compensated = 0.0, 0.0, 0.0
    for seed in range(5):
        weight, covariance = case(seed)
        weight[:, 0] *= 3
        covariance = covariance.clone()
        covariance[0], covariance[:, 0] = covariance[0] / 3, covariance[:, 0] / 3
        scale = row_scales(weight, bits)
        better = row_scales(weight, bits, covariance.diagonal())
        plain += loss(weight, round_to_nearest(weight, scale, bits), covariance)
        careful += loss(weight, round_to_nearest(weight, better, bits), covariance)
        compensated += loss(weight, gptq(weight, covariance, better, bits), covariance)
    assert careful <= plain
    assert compensated < 0.8 * careful


def test_gptq_without_correlation_is_rounding_to_nearest():
    weight, _ = case()
    scale = row_scales(weight, 4)
    assert torch.equal(gptq(weight, torch.eye(40, dtype=torch.float64), scale, 4), round_to_nearest(weight, scale, 4))


def test_gptq_is_the_published_one():
    """Column by column: the error of each goes to all later ones by the rows of the inverse's upper factor."""
    weight, covariance = case(2)
    wide = torch.kron(torch.eye(4, dtype=torch.float64), covariance)  # more columns than a block
    wide += 0.01 * wide.diagonal().mean()
    weight = torch.cat([weight, weight.flip(0), 0.5 * weight, weight.roll(1, 0)], 1)
    scale = row_scales(weight, 4)
    order = wide.diagonal().argsort(descending=True)
    factor = torch.linalg.cholesky(torch.linalg.inv(wide[order][:, order]), upper=True)
    w, step = weight[:, order].double(), scale[:, 0].double()
    expected = torch.empty_like(w)
    for i in range(w.shape[1]):
        expected[:, i] = (w[:, i] / step).round().clamp(-7, 7) * step
        w[:, i:] -= torch.outer((w[:, i] - expected[:, i]) / factor[i, i], factor[i, i:])
    assert torch.allclose(gptq(weight, wide, scale, 4)[:, order].double(), expected, atol=1e-6)


def test_rows_of_zeros_have_a_scale():
    scale = row_scales(torch.zeros(3, 5), 4, torch.ones(5))
    assert (scale > 0).all() and torch.isfinite(scale).all()


@pytest.mark.parametrize(("signed", "low", "high"), [(True, -128, 127), (False, 0, 255)])
@pytest.mark.parametrize("per_channel", [True, False])
def test_activations_keep_zero_and_their_range(signed, low, high, per_channel):
    values = torch.linspace(-1 if signed else 0, 1, 1001).repeat(3, 1).T * torch.tensor([1.0, 0.3, 0.01])
    q = activation_quantization(values, 8, signed, per_channel=per_channel)
    assert (q.levels, q.signed) == ((low, high), signed)
    found = quantized(values, q)
    assert (quantized(torch.zeros(1, 3), q) == 0).all()
    assert (found - values).abs().max() < 0.02
    assert len(q.steps) == (3 if per_channel else 0)
    # the narrow channels keep their own digits only where each channel has its own scale
    assert ((found - values)[:, 2].abs().max() < 2e-4) == per_channel


def test_steps_are_the_lowest_that_hold_the_range():
    values = torch.rand(5000, 4) * torch.tensor([1.0, 0.5, 0.26, 0.001])
    q = activation_quantization(values, 8, False)
    # quarters of an octave; what is left of a range after shrinking decides between neighbours
    assert q.steps[0] == 0 and q.steps[1] in (-4, -3) and q.steps[2] in (-8, -7) and q.steps[3] in (-40, -39)
    held = channel_scales(q) * q.levels[1]
    assert (held >= 0.97 * values.amax(0).numpy()).all() and (held <= 2 ** (1 / 4) * values.amax(0).numpy()).all()


def test_scales_are_whole_steps_from_what_they_are_read_with():
    base = float(np.float32(0.003))
    for needed in (base, 2 * base, base / 2, 0.0031, 0.0299, 1e-5):
        scale = quantization_of_scales(torch.tensor([needed]), 8, True, base).scale
        steps = 4 * np.log2(scale / base)
        assert scale == float(np.float32(scale))
        assert abs(steps - round(steps)) < 1e-5
        assert needed * (1 - 1e-6) <= scale < needed * 2 ** (1 / 4)


def test_one_outlier_does_not_take_the_whole_range():
    values = torch.cat([torch.rand(10_000), torch.tensor([3.0])])[:, None]
    assert activation_quantization(values, 6, False).scale < 3.0 / 63
    assert activation_quantization(torch.zeros(5, 2), 8, True).scale > 0


def test_a_margin_widens_the_range():
    values = torch.rand(10_000, 1)
    plain = activation_quantization(values, 8, False).scale
    assert activation_quantization(values, 8, False, 1.5).scale == pytest.approx(1.5 * plain, rel=0.05)
