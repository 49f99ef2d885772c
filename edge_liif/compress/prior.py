"""What a layer's inputs are like before anything is known of them, as a metric for filters.

Inputs have variance one and, between neighbouring pixels, the correlation of natural pictures. Those behind a ReLU are
rectified Gaussians, which have a mean, too: phi(0) = 1 / sqrt(2 pi), with second moment 1/2. That much is true of any
picture and any such network, so methods that look at weights alone may use it.
"""

from __future__ import annotations

import math

import torch

# Correlation of two taps a pixel apart; farther ones have its power.
NEIGHBOURS = 0.9
MEAN = 1 / math.sqrt(2 * math.pi)
DEVIATION = math.sqrt(0.5 - MEAN**2)


def heard(filters: torch.Tensor, taps: int, rectified: torch.Tensor) -> torch.Tensor:
    """Filters (G, D + 1), bias last, as rows (G, D + 1) whose products are the expected products of their outputs.

    The first columns belong to channels, taps of them each (square kernels, row by row); rectified (C,): which of the
    channels lie behind a ReLU; further columns (the MLP's coordinates) read independent numbers of mean zero.
    """
    side = round(math.sqrt(taps))
    at = torch.arange(taps)
    places = torch.stack([at // side, at % side], 1).double()
    root = torch.linalg.cholesky(NEIGHBOURS ** torch.cdist(places, places))
    wide = filters.double()
    channels = wide[:, : len(rectified) * taps].view(len(filters), -1, taps)
    spread = torch.where(rectified, DEVIATION, 1.0).double()[:, None] * (channels @ root)
    mean = wide[:, -1] + MEAN * channels[:, rectified].sum((1, 2))
    return torch.cat([spread.flatten(1), wide[:, len(rectified) * taps : -1], mean[:, None]], 1)
