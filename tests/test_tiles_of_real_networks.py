"""Tiles of the bundled networks: exact halo equals untiled, the default halo is below 1/255."""

from __future__ import annotations

import numpy as np
import pytest

from edge_liif.engine.base import Engine
from edge_liif.engine.select import open_engine
from edge_liif.tiling.plan import Job, plan_for_core
from edge_liif.tiling.run import Plane, render
from edge_liif.upscaler import load, window_reader


def enlarge(engine: Engine, picture: np.ndarray, scale: float, halo: int, core: tuple[int, int]) -> np.ndarray:
    height, width, _ = picture.shape
    job = Job(height, width, round(height * scale), round(width * scale), 3, 4)
    plan = plan_for_core(job, engine.memory, halo, core)
    plane = Plane(window_reader(picture, slice(0, 3)), lambda colour: colour, slice(0, 3))
    return np.concatenate([rows.copy() for rows in render(plan, engine, [plane], np.float32)])


@pytest.mark.parametrize("scale", [2, 3, 2.7])
@pytest.mark.parametrize("name", ["edsr-baseline-liif", "rdn-liif-s"])
def test_tiled_equals_untiled(name: str, scale: float, photograph: np.ndarray) -> None:
    spec = load(name).network.spec
    engine = open_engine(load(name).network, "openvino", "fp32", "cpu")
    whole = enlarge(engine, photograph, scale, 0, (1000, 1000))
    for core in [(48, 48), (64, 64), (37, 53)]:
        exact = enlarge(engine, photograph, scale, spec.exact_halo, core)
        assert np.abs(exact - whole).max() < 1e-4
    assert spec.halo is not None
    error = np.abs(enlarge(engine, photograph, scale, spec.halo.pixels, (37, 53)) - whole).max()
    assert error < 1 / 255
    too_small = np.abs(enlarge(engine, photograph, scale, 2, (37, 53)) - whole).max()
    assert too_small > 1 / 255, "this comparison can fail"


@pytest.mark.parametrize("scale", [3, 2.7])
@pytest.mark.parametrize("name", ["edsr-baseline-liif-int8", "rdn-liif-s-int8"])
def test_tiled_equals_untiled_in_integers(name: str, scale: float, photograph: np.ndarray) -> None:
    """Not one bit differs, at the exact halo, which these models have by default: a smaller one would tip levels."""
    upscaler = load(name, precision="int8")
    engine = open_engine(upscaler.network, "openvino", "int8", "cpu")
    whole = enlarge(engine, photograph, scale, 0, (1000, 1000))
    assert upscaler.halo == upscaler.network.spec.exact_halo
    for core in [(48, 48), (37, 53)]:
        assert np.array_equal(enlarge(engine, photograph, scale, upscaler.halo, core), whole)
    assert not np.array_equal(enlarge(engine, photograph, scale, 12, (37, 53)), whole), "this comparison can fail"
