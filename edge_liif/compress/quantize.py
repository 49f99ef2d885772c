"""Rounding: scales, round-to-nearest, and GPTQ; activations' scales. Affine arithmetic is torchao's.

Weights are symmetric per output channel in -(2^(b-1) - 1) .. 2^(b-1) - 1; zero is exact everywhere.
"""

from __future__ import annotations

import torch

# Shrinkings of the largest magnitude that are tried for a scale; the one with the least (weighted) squared error is
# taken.
SHRINK = torch.linspace(1.0, 0.4, 31)
# Columns that GPTQ rounds before the rest of the matrix learns of their errors.
BLOCK = 128


def largest_integer(bits: int) -> int:
    return 2 ** (bits - 1) - 1


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
    variance."""
    top = largest_integer(bits)
    order = covariance.diagonal().argsort(descending=True)
    w = weight[:, order].double().clone()
    inverse = torch.linalg.inv(covariance[order][:, order])
    # rows of the upper factor of the inverse are the updates that OBS would make one column at a time
    factor = torch.linalg.cholesky((inverse + inverse.T) / 2, upper=True)
    step = scale.double().reshape(-1)
    result = torch.empty_like(w)
    for start in range(0, w.shape[1], BLOCK):
        stop = min(start + BLOCK, w.shape[1])
        part, local = w[:, start:stop].clone(), factor[start:stop, start:stop]
        errors = torch.empty_like(part)
        for i in range(stop - start):
            rounded = (part[:, i] / step).round().clamp(-top, top) * step
            errors[:, i] = (part[:, i] - rounded) / local[i, i]
            part[:, i:] -= torch.outer(errors[:, i], local[i, i:])
            result[:, start + i] = rounded
        w[:, stop:] -= errors @ factor[start:stop, stop:]
    back = torch.empty_like(result)
    back[:, order] = result
    # exactly the float32 multiples that round_to_nearest would give
    return round_to_nearest(back.float(), scale, bits)


def activation_scale(values: torch.Tensor, bits: int, signed: bool, margin: float = 1.0) -> float:
    """Scale of one quantizer for a whole tensor: the shrunk range with the least squared error over `values`, widened
    by `margin`. Unsigned: 0 .. 2^b - 1; signed: -2^(b-1) .. 2^(b-1) - 1."""
    sample = values.reshape(-1).float()
    if len(sample) > 200_000:
        sample = sample[:: len(sample) // 200_000]
    top = largest_integer(bits) if signed else 2**bits - 1
    full = float(values.abs().max()) / top
    if full == 0:
        return 1.0 / top
    errors = []
    for factor in SHRINK:
        scale = full * float(factor)
        errors.append(float((fake_quantized(sample, scale, bits, signed) - sample).square().mean()))
    best = full * float(SHRINK[min(range(len(errors)), key=errors.__getitem__)])
    return min(full * max(margin, 1.0), best * margin) if margin > 1 else best


def fake_quantized(values: torch.Tensor, scale: float, bits: int, signed: bool) -> torch.Tensor:
    """Values rounded to a quantizer's grid, as floats."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return torch.fake_quantize_per_tensor_affine(values.float(), scale, 0, low, high)
