"""At which places of the calibration pictures a convolution's statistics are taken: enough, not all."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .least_squares import patches

# Samples of a layer's input that its statistics are made from, at least, and per column of its weight.
FEWEST_SAMPLES, SAMPLES_PER_COLUMN = 20_000, 12


@dataclass(frozen=True)
class Places:
    """Every `step`-th row and column; the first ones differ from picture to picture."""

    step: int

    @staticmethod
    def enough_for(x: torch.Tensor, kernel: int) -> Places:
        """For the second moments of what a convolution with kernel `kernel` reads of x (n, C, h, w)."""
        wanted = max(FEWEST_SAMPLES, SAMPLES_PER_COLUMN * x.shape[1] * kernel * kernel)
        there = len(x) * x.shape[2] * x.shape[3]
        return Places(max(1, round((there / wanted) ** 0.5)))

    def patches(self, x: torch.Tensor, picture: int, kernel: int) -> torch.Tensor:
        """What the convolution reads there of one picture: (places, C * kernel * kernel)."""
        first = (picture % self.step, (picture // self.step) % self.step)
        return patches(x[picture : picture + 1], kernel, self.step, first)
