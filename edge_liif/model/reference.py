"""LIIF's forward pass written out literally, in torch: the measure of everything faster.

For every output pixel and each of its four neighbours it looks up the unfolded 576-vector, appends offset and cell and
runs the whole MLP, as the paper (arXiv 2012.09161, equations 1-4) and its code describe. Slow on purpose; used by
tests, by `models import` for the known answer, and by benchmarks as the baseline.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..engine.torch import TorchLayers
from .checkpoint import Network
from .liif import layer_names


def literal_enlarge(
    network: Network,
    lr: torch.Tensor,
    out_size: tuple[int, int],
    *,
    dtype: torch.dtype = torch.float32,
    queries: int = 30_000,
    area_guard: float = 1e-9,
    offset_guard: float = 0.0,
) -> torch.Tensor:
    """Enlarge `lr` (1, 3, h, w) in 0..1 to (rows, columns, 3) in 0..1, not clamped.

    queries: output pixels evaluated at a time. area_guard is the authors' 1e-9, added to each area so that no sum is
    zero. It matters in one place: at odd scales one output row (column) of the rim lies exactly on the centre of the
    last cell, both its neighbours are that cell, all areas are zero, and the guard makes the weights *across* uniform
    (or not, as rounding decides). The limit from either side is the bilinear weight, and that is what the fast form
    gives. `area_guard=0, offset_guard=1e-15` is the literal form with that limit, for comparison in float64.
    """
    layers = TorchLayers(network, dtype, torch.device("cpu"))
    with torch.inference_mode():
        feature = network.spec.encoder_module.forward(layers, network.spec.encoder, lr.to(dtype) * 2 - 1)
        height, width = feature.shape[-2:]
        unfolded = F.unfold(feature, 3, padding=1).view(1, -1, height, width)
        centres = _grid(height, width, dtype).permute(2, 0, 1)[None]
        coordinates = _grid(*out_size, dtype).view(1, -1, 2)
        cell = torch.tensor([2 / out_size[0], 2 / out_size[1]], dtype=dtype)
        pieces = []
        for begin in range(0, coordinates.shape[1], queries):
            chunk = coordinates[:, begin : begin + queries]
            pieces.append(_query(network, unfolded, centres, chunk, cell, (area_guard, offset_guard)))
    return torch.cat(pieces).view(*out_size, 3) * 0.5 + 0.5


def _query(
    network: Network,
    unfolded: torch.Tensor,
    centres: torch.Tensor,
    coordinates: torch.Tensor,
    cell: torch.Tensor,
    guards: tuple[float, float],
) -> torch.Tensor:
    size = torch.tensor(unfolded.shape[-2:], dtype=coordinates.dtype)
    predictions, areas = [], []
    for side_row in (-1, 1):
        for side_column in (-1, 1):
            moved = coordinates.clone()
            moved[:, :, 0] += side_row / size[0] + 1e-6
            moved[:, :, 1] += side_column / size[1] + 1e-6
            moved = moved.clamp(-1 + 1e-6, 1 - 1e-6).flip(-1).unsqueeze(1)
            features = F.grid_sample(unfolded, moved, mode="nearest", align_corners=False)[:, :, 0].permute(0, 2, 1)
            nearest = F.grid_sample(centres, moved, mode="nearest", align_corners=False)[:, :, 0].permute(0, 2, 1)
            offset = (coordinates - nearest) * size
            inputs = torch.cat([features, offset, (cell * size).expand_as(offset)], dim=-1)
            predictions.append(_mlp(network, inputs[0]))
            distance = offset[0].abs() + guards[1]
            areas.append(distance[:, 0] * distance[:, 1] + guards[0])
    total = torch.stack(areas).sum(0)
    # the opposite rectangle: neighbours come in the order (-,-), (-,+), (+,-), (+,+)
    return sum(p * (a / total)[:, None] for p, a in zip(predictions, reversed(areas), strict=True))  # type: ignore


def _mlp(network: Network, x: torch.Tensor) -> torch.Tensor:
    names = layer_names(network.spec.decoder)
    for name in names:
        weight, bias = (torch.from_numpy(network.tensors[f"{name}.{part}"]).to(x.dtype) for part in ("weight", "bias"))
        x = F.linear(x, weight, bias)
        if name != names[-1]:
            x = F.relu(x)
    return x


def _grid(height: int, width: int, dtype: torch.dtype) -> torch.Tensor:
    """Centres of the cells of an image in -1..1, (height, width, 2), row before column."""
    axes = [(2 * torch.arange(n, dtype=dtype) + 1) / n - 1 for n in (height, width)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
