"""What is computed outside the networks: where output pixels lie, and the ensemble's mixing."""

from __future__ import annotations

import numpy as np

from edge_liif.geometry import axis_queries


def test_queries_of_a_row(benchmark) -> None:
    """Neighbours, offsets and weights of 12,000 output pixels."""
    benchmark.group = "geometry"
    benchmark(axis_queries, 4000, 12000, 0, 12000)


def test_mix_a_block(benchmark) -> None:
    """Colours of 24 x 1200 pixels from those of their evaluations."""
    benchmark.group = "ensemble"
    columns, rows = axis_queries(400, 1200, 0, 1200), axis_queries(400, 1200, 0, 24)
    colour = np.random.default_rng(0).random((rows.evaluations, columns.evaluations, 3)).astype(np.float32)
    benchmark(lambda: columns.mix(rows.mix(colour, 0), 1))
