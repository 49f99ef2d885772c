"""Rounding: scales, round-to-nearest, and GPTQ; activations' scales. Affine arithmetic is torchao's.

Weights are symmetric per output channel in -(2^(b-1) - 1) .. 2^(b-1) - 1; zero is exact everywhere.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ..model.quantization import (
    LOWEST_STEP,
    STEPS_PER_OCTAVE,
    ActivationQuantization,
    WeightQuantization,
    step_factors,
)
from .least_squares import cholesky

# Shrinkings of the largest magnitude that are tried for a scale; the one with the least (weighted) squared error is
# taken.
SHRINK = torch.linspace(1.0, 0.4, 31)
# Columns that GPTQ rounds before the next ones learn of their errors.
BLOCK = 128
# Below its value's scale. Half of what files hold: in a concatenation the difference of scales comes on top.
LOWEST_STEP_OF_CHANNEL = LOWEST_STEP // 2
# Values of each channel that ranges are searched on.
MOST_SAMPLES = 20_000
# Scale of what was zero on every calibration picture: next to nothing, but within the steps of its neighbours.
SILENT_SCALE = 2.0**-16


def largest_integer(bits: int) -> int:
    return WeightQuantization(bits).largest


def row_scales(weight: torch.Tensor, bits: int, importance: torch.Tensor | None = None) -> torch.Tensor:
    """Scale (O, 1) of each row of a weight (O, D): from its largest magnitude or, if `importance` (D) of the columns is
    given, the shrunk one with the least weighted squared error."""
    from torchao.quantization.quant_primitives import MappingType, choose_qparams_affine

    top = largest_integer(bits)
    scale, _ = choose_qparams_affine(
        weight.float(),
        MappingType.SYMMETRIC,
        (1, weight.shape[1]),
        torch.int8,
        quant_min=-top,
        quant_max=top,
        eps=1e-12,
        scale_dtype=torch.float32,
    )
    scale = scale.reshape(-1)
    if importance is None:
        return scale[:, None]
    best_error = torch.full((len(weight),), torch.inf)
    best = scale.clone()
    importance = importance.float().clamp_min(0)
    for factor in SHRINK:
        candidate = scale * factor
        rounded = round_to_nearest(weight, candidate[:, None], bits)
        error = ((rounded - weight.float()).square() * importance).sum(1)
        better = error < best_error
        best_error[better], best[better] = error[better], candidate[better]
    return best[:, None]


def round_to_nearest(weight: torch.Tensor, scale: torch.Tensor, bits: int) -> torch.Tensor:
    """The weight (O, D) on the grid of its row scales (O, 1), as float32 multiples of them."""
    from torchao.quantization.quant_primitives import dequantize_affine, quantize_affine

    top = largest_integer(bits)
    block = (1, weight.shape[1])
    zero = torch.zeros(len(weight), dtype=torch.int32)
    codes = quantize_affine(weight.float(), block, scale.reshape(-1), zero, torch.int8, -top, top)
    return dequantize_affine(codes, block, scale.reshape(-1), zero, torch.int8, -top, top)


def gptq(weight: torch.Tensor, covariance: torch.Tensor, scale: torch.Tensor, bits: int) -> torch.Tensor:
    """The weight (O, D) on the same grid, each column's rounding error made good by the columns after it (GPTQ, Frantar
    et al., arXiv 2210.17323). covariance (D, D) of the inputs, positive definite. Columns go in order of falling
    variance.

    With covariance = M^T M, M lower triangular, the error e of a row costs |M e|^2, whose i-th term has the errors up
    to the i-th only. So rounding w_i - sum_{j<i} M_ij e_j / M_ii instead of w_i makes good what is made good by GPTQ's
    updates from the inverse, and needs no inverse.
    """
    top = largest_integer(bits)
    order = covariance.diagonal().argsort(descending=True)
    backwards = order.flip(0)
    factor = cholesky(covariance[backwards[:, None], backwards]).T.flip(0, 1)
    factor = factor / factor.diagonal()[:, None]
    w = weight[:, order].double()
    step = scale.double().reshape(-1)
    errors = torch.zeros_like(w)
    for start in range(0, w.shape[1], BLOCK):
        stop = min(start + BLOCK, w.shape[1])
        part = w[:, start:stop] - errors[:, :start] @ factor[start:stop, :start].T
        local = factor[start:stop, start:stop]
        for i in range(stop - start):
            rounded = (part[:, i] / step).round().clamp(-top, top) * step
            error = rounded - w[:, start + i]
            errors[:, start + i] = error
            part[:, i + 1 :] -= torch.outer(error, local[i + 1 :, i])
    back = torch.empty_like(w)
    back[:, order] = w + errors
    # exactly the float32 multiples that round_to_nearest would give
    return round_to_nearest(back.float(), scale, bits)


def activation_quantization(
    values: torch.Tensor,
    bits: int,
    signed: bool,
    margin: float = 1.0,
    per_channel: bool = True,
    base: float | None = None,
) -> ActivationQuantization:
    """A quantizer for values (n, C, ...): one scale, and steps down from it per channel if `per_channel`.

    Each channel's range is the shrunk one with the least squared error over `values`, times `margin`. The common scale
    is that of the widest channel or, if `base` is given, whole steps from base; those of channels are the lowest that
    still hold each one's range.
    """
    flat = values.transpose(0, 1).reshape(values.shape[1], -1).float()
    if flat.shape[1] > MOST_SAMPLES:
        flat = flat[:, :: flat.shape[1] // MOST_SAMPLES]
    if not per_channel:
        flat = flat.reshape(1, -1)
    peak = values.abs().amax([d for d in range(values.ndim) if d != 1]) if per_channel else values.abs().max()[None]
    if not peak.any():
        return quantization_of_scales(torch.full_like(peak.float(), SILENT_SCALE), bits, signed, base)
    low, top = ActivationQuantization(1.0, bits, signed).levels
    full = peak.float().clamp_min(1e-8) / top
    best, least = full.clone(), torch.full_like(full, torch.inf)
    for factor in SHRINK:
        scale = full * factor
        levels = (flat / scale[:, None]).round().clamp(low, top)
        error = (levels * scale[:, None] - flat).square().mean(1)
        better = error < least
        least[better], best[better] = error[better], scale[better]
    return quantization_of_scales(torch.minimum(best * margin, full * max(margin, 1.0)), bits, signed, base)


def quantization_of_scales(
    scales: torch.Tensor, bits: int, signed: bool, base: float | None = None
) -> ActivationQuantization:
    """A quantizer whose channels have at least these scales (C), or its one scale (1): see
    `activation_quantization`."""
    common = float(scales.max())
    if base is not None:
        away = math.ceil(STEPS_PER_OCTAVE * math.log2(common / base) - 1e-6)
        common = float(np.float32(base) * step_factors([away])[0])
    if len(scales) == 1:
        return ActivationQuantization(common, bits, signed)
    steps = ((scales / common).log2() * STEPS_PER_OCTAVE - 1e-6).ceil().clamp(LOWEST_STEP_OF_CHANNEL, 0).int()
    return ActivationQuantization(common, bits, signed, tuple(steps.tolist()))
