"""Where the decoder is looked at: every place of a picture, and its rims more often than chance would have them."""

from __future__ import annotations

import torch

from edge_liif.compress.queries import RIM, RIM_SHARE, random_queries

HEIGHT, WIDTH = 40, 64


def test_rims_are_looked_at_in_their_share() -> None:
    queries = random_queries(4, HEIGHT, WIDTH, 20_000, 3.0, 0)
    rows, columns = queries.cell // WIDTH, queries.cell % WIDTH
    for index, side in ((rows, HEIGHT), (columns, WIDTH)):
        assert index.min() == 0 and index.max() == side - 1
        # a position in the outermost two LR pixels may be mixed from the third
        first = (index < RIM).float().mean()
        last = (index >= side - RIM).float().mean()
        expected = RIM_SHARE / 2 + (1 - RIM_SHARE) * RIM / side
        assert 0.85 * expected < first < 1.05 * expected and 0.85 * expected < last < 1.05 * expected
        inside = torch.bincount(index.flatten(), minlength=side)[RIM + 1 : -RIM - 1].float()
        assert inside.min() > 0.8 * inside.mean() and inside.max() < 1.2 * inside.mean()
    corners = ((rows < RIM) & (columns < RIM)).float().mean()
    assert corners > 5 * RIM**2 / (HEIGHT * WIDTH)


def test_neighbours_come_with_the_ensembles_weight() -> None:
    """On average the offset from the neighbour that was drawn is none: each is drawn as it is near."""
    queries = random_queries(4, HEIGHT, WIDTH, 20_000, 3.0, 0)
    assert queries.offset.abs().max() <= 2
    assert queries.offset.mean((0, 1)).abs().max() < 0.02


def test_tiny_pictures_are_all_rim() -> None:
    queries = random_queries(1, 1, 3, 64, 1.0, 0)
    assert set(queries.cell.flatten().tolist()) == {0, 1, 2}


def test_a_seed_decides() -> None:
    first, again, other = (random_queries(2, HEIGHT, WIDTH, 100, 3.0, seed) for seed in (0, 0, 1))
    assert torch.equal(first.cell, again.cell) and torch.equal(first.offset, again.offset)
    assert not torch.equal(first.cell, other.cell)
