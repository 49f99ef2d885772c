import pytest
import torch

from edge_liif.compress.quantize import (
    activation_scale,
    fake_quantized,
    gptq,
    largest_integer,
    round_to_nearest,
    row_scales,
)


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


def test_rows_of_zeros_have_a_scale():
    scale = row_scales(torch.zeros(3, 5), 4, torch.ones(5))
    assert (scale > 0).all() and torch.isfinite(scale).all()


@pytest.mark.parametrize(("signed", "low", "high"), [(True, -128, 127), (False, 0, 255)])
def test_activations_keep_zero_and_their_range(signed, low, high):
    values = torch.linspace(-1 if signed else 0, 1, 1001)
    scale = activation_scale(values, 8, signed)
    levels = fake_quantized(values, scale, 8, signed) / scale
    assert fake_quantized(torch.zeros(1), scale, 8, signed) == 0
    assert levels.min() >= low - 1e-3 and levels.max() <= high + 1e-3
    assert (fake_quantized(values, scale, 8, signed) - values).abs().max() < 0.02


def test_one_outlier_does_not_take_the_whole_range():
    values = torch.cat([torch.rand(10_000), torch.tensor([3.0])])
    assert activation_scale(values, 6, False) < 3.0 / 63
    assert activation_scale(torch.zeros(5), 8, True) > 0


def test_a_margin_widens_but_never_beyond_need():
    values = torch.rand(10_000)
    assert activation_scale(values, 8, False, 1.5) == pytest.approx(1.5 * activation_scale(values, 8, False), rel=0.05)
