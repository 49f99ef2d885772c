"""Where the decoder is looked at: random output positions of the calibration pictures, as the MLP meets them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..geometry import axis_queries
from .least_squares import patches

# A network knows the picture's rims by the zeros beside them, and what it has for them alone is seen in no other place.
# They are a small share of any picture, and every picture has them: of all positions along an axis this share is drawn
# from the first and last RIM LR pixels.
RIM_SHARE = 0.2
RIM = 2


@dataclass(frozen=True)
class Queries:
    """For each picture n: LR cells (N, Q) as row * width + column, offsets (N, Q, 2) and cells sizes (N, Q, 2) as
    LIIF's decoder reads them. One neighbour stands for the four of a position, drawn with the ensemble's weight, so
    that plain means over queries are means weighted as the picture is, but for its rims."""

    cell: torch.Tensor
    offset: torch.Tensor
    size: torch.Tensor


def random_queries(pictures: int, height: int, width: int, count: int, scale: float, seed: int) -> Queries:
    """`count` positions a picture: half of them at `scale`, half at scales drawn uniformly from 1 to 4."""
    generator = torch.Generator().manual_seed(seed)
    cells, offsets, sizes = [], [], []
    for _ in range(pictures):
        halves = []
        for part, factor in ((count - count // 2, scale), (count // 2, 0.0)):
            factor = factor or 1 + 3 * float(torch.rand((), generator=generator))
            axes = []
            for side in (height, width):
                out = max(1, round(side * factor))
                queries = axis_queries(side, out, 0, out)
                position = _positions(part, out, round(RIM * factor), generator)
                second = torch.rand(part, generator=generator) < torch.from_numpy(queries.weight).float()[position]
                first = torch.from_numpy(queries.first).long()[position]
                evaluation = torch.where(second, torch.from_numpy(queries.second).long()[position], first)
                axes.append(
                    (
                        torch.from_numpy(queries.index).long()[evaluation],
                        torch.from_numpy(queries.offset).float()[evaluation],
                        2 * side / out,
                    )
                )
            (rows, row_offset, row_size), (columns, column_offset, column_size) = axes
            size = torch.tensor([row_size, column_size]).expand(part, 2)
            halves.append((rows * width + columns, torch.stack([row_offset, column_offset], 1), size))
        cells.append(torch.cat([h[0] for h in halves]))
        offsets.append(torch.cat([h[1] for h in halves]))
        sizes.append(torch.cat([h[2] for h in halves]))
    return Queries(torch.stack(cells), torch.stack(offsets), torch.stack(sizes))


def _positions(count: int, out: int, rim: int, generator: torch.Generator) -> torch.Tensor:
    """Random positions along an axis of `out`; RIM_SHARE of them, and what chance adds, lie within `rim` of an end."""
    rim = min(rim, out)
    anywhere = torch.randint(out, (count,), generator=generator)
    place = torch.randint(2 * rim, (count,), generator=generator)
    at_rim = torch.where(place < rim, place, out - 1 - (place - rim))
    return torch.where(torch.rand(count, generator=generator) < RIM_SHARE, at_rim, anywhere)


def mlp_inputs(features: torch.Tensor, queries: Queries) -> torch.Tensor:
    """What the MLP reads (N * Q, 9 F + 4) of features (N, F, h, w): the 3x3 neighbourhood, offset and cell size."""
    rows = []
    for picture, cells, offset, size in zip(features, queries.cell, queries.offset, queries.size, strict=True):
        # index_select, because the gradient of an index in brackets is summed in any order
        read = patches(picture[None], 3).index_select(0, cells)
        rows.append(torch.cat([read, offset, size], 1))
    return torch.cat(rows)
