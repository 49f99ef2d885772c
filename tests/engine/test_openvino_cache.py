"""Compiled graphs come from OpenVINO's cache whatever the process made before, and only where they are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_liif.engine.base import TileShape
from edge_liif.engine.openvino import OpenVINOEngine
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network

SIDES = (9, 13)


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_LIIF_HOME", str(tmp_path))


def prepared(network: Network, side: int) -> OpenVINOEngine:
    engine = OpenVINOEngine(network)
    axis = axis_queries(side, 2 * side, 0, 2 * side)
    engine.prepare(TileShape(side, side, axis.evaluations, axis.evaluations))
    return engine


def from_cache(engine: OpenVINOEngine) -> list[bool]:
    graphs = (engine._encode, engine._decode)
    return [bool(graph.get_compiled_model().get_property("LOADED_FROM_CACHE")) for graph in graphs]


def answer(engine: OpenVINOEngine, side: int) -> np.ndarray:
    axis = axis_queries(side, 2 * side, 0, 2 * side)
    lr = np.random.default_rng(side).random((1, 3, side, side)).astype(np.float32)
    return engine.decode(engine.encode(lr), Geometry(axis, axis, (1.0, 1.0)))


def test_graphs_are_found_again_in_any_order(small_edsr: Network) -> None:
    first = {side: answer(prepared(small_edsr, side), side) for side in SIDES}
    for side in reversed(SIDES):
        engine = prepared(small_edsr, side)
        assert from_cache(engine) == [True, True]
        assert np.array_equal(answer(engine, side), first[side])


@pytest.mark.parametrize("part", ["encoder.head.0.weight", "imnet.layers.2.weight"])
def test_one_other_weight_is_another_graph(small_edsr: Network, part: str) -> None:
    """Networks of one name and one structure: nothing but a number tells their graphs apart."""
    before = answer(prepared(small_edsr, 9), 9)
    tensors = dict(small_edsr.tensors)
    tensors[part] = tensors[part].copy()
    tensors[part].flat[7] += 0.5
    other = replace(small_edsr, tensors=tensors)
    engine = prepared(other, 9)
    assert from_cache(engine) == [part.startswith("imnet"), not part.startswith("imnet")]
    assert not np.array_equal(answer(engine, 9), before)
    uncached = OpenVINOEngine(other, cache=False)
    uncached.prepare(engine._shape)
    assert np.array_equal(answer(engine, 9), answer(uncached, 9))
