"""The fallback without any picture: means and variances, channel by channel, through layers of Gaussians.

Every pre-activation is taken for a Gaussian, and all inputs of a layer for independent of each other.

Inputs are far from independent: deviations are predicted 2.5 times too large in the middle of EDSR-baseline-LIIF, and
six times too small at its end, where hidden units go together. A correlation between a convolution's taps, as
neighbouring pixels have, makes it worse. Zero padding is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from ..engine.integer import PICTURE
from ..model.liif import COORDINATES
from ..model.quantization import ActivationQuantization
from .lockstep import Lockstep, Part, Value
from .prior import rectified
from .quantize import quantization_of_scales
from .queries import Queries

# Standard deviation of a picture's values in -1..1 (0.27 of full scale, as the synthetic recipe's), mean 0.
PICTURE_DEVIATION = 0.54
# Ranges are so many standard deviations from the mean, as DFQ's (Nagel et al., arXiv 1906.04721).
DEVIATIONS = 6.0


def through_weight(moments: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, taps: int) -> torch.Tensor:
    """Mean and variance (2, O) behind a layer with weight (O, C * taps), of channels with mean and variance (2, C)."""
    kernel = weight.view(len(weight), -1, taps)
    return torch.stack([kernel.sum(2) @ moments[0] + bias, kernel.square().sum(2) @ moments[1]])


class Analytic(Lockstep):
    """`Lockstep` whose values are means and variances (2, C), rounding's effect on variances left out.

    It can do what needs no more than these: repairs and rounding by weights alone, restored means, ranges.
    """

    def run_without_pictures(self, queries: Queries) -> None:
        """Compress the whole network. queries: where the decoder is looked at, for its coordinates alone."""
        self._before_relu: dict[str, torch.Tensor] = {}
        with torch.inference_mode():
            moments = torch.tensor([[0.0] * 3, [PICTURE_DEVIATION**2] * 3])
            picture = Value(moments, moments, (Part(PICTURE, 3, range(3), True),))
            features = self.network.spec.encoder_module.forward(self, self.network.spec.encoder, picture)
            self._decode(features, queries)

    def conv(self, x: Value, name: str) -> Value:
        weight = self._source[f"{name}.weight"]
        return self._gaussian(x, self._quantized(x), name, weight[0, 0].numel(), None)

    def relu(self, x: Value) -> Value:
        part = x.parts[0]
        named = (Part(f"{part.name}.relu", part.width, part.kept, False),)
        self._before_relu[named[0].name] = x.compressed
        return Value(rectified(x.original), rectified(x.compressed), named)

    def _decode(self, features: Value, queries: Queries) -> None:
        coordinates = torch.cat([queries.offset, queries.size], 2).flatten(0, 1)
        known = torch.stack([coordinates.mean(0), coordinates.var(0)])
        read, x = self._quantized(features), features
        for name in self._names:
            if name == self._names[0]:
                x = self._gaussian(x, read, name, 9, known)
            else:
                x = self._gaussian(x, self._quantized(x), name, 1, None)
            if name != self._names[-1]:
                x = self.relu(x)

    def _gaussian(self, x: Value, read: torch.Tensor, name: str, taps: int, coordinates: torch.Tensor | None) -> Value:
        def apply(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            if coordinates is None:
                return through_weight(x, weight, bias, taps)
            inputs = weight.shape[1] - COORDINATES
            y = through_weight(x, weight[:, :inputs], bias, taps)
            return y + through_weight(coordinates, weight[:, inputs:], torch.zeros_like(bias), 1)

        def samples(goal: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            raise AssertionError("no method with analytic statistics asks for samples")

        return self._through(x, read, name, taps, 0 if coordinates is None else COORDINATES, apply, samples)

    def _settle(self, name: str, output: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
        """The means are put right if the method does that; there is no error to measure."""
        if not self.method.bias:
            return output
        shift = goal[0] - output[0]
        self.tensors[f"{name}.bias"] = self.tensors[f"{name}.bias"] + shift
        return output + F.pad(shift[None], (0, 0, 0, 1))

    def _quantizer(self, part: Part, values: torch.Tensor, base: float | None) -> ActivationQuantization:
        assert self.bits.activations is not None
        top = ActivationQuantization(1.0, self.bits.activations, part.signed).levels[1]
        # behind a ReLU, of what came before it: of a channel that is nearly always off the moments say little
        mean, variance = self._before_relu.get(part.name, values)
        ends = (mean.abs() if part.signed else mean) + DEVIATIONS * variance.sqrt()
        scales = ends.clamp_min(1e-8) / top * self.bits.margin
        if not self.bits.per_channel:
            scales = scales.max()[None]
        return quantization_of_scales(scales, self.bits.activations, part.signed, base)

    @staticmethod
    def _levels(values: torch.Tensor, quantization: ActivationQuantization) -> torch.Tensor:
        return values
