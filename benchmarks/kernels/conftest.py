"""Networks and one tile of work that the suites share. Caches go to a temporary home, not to the owner's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edge_liif.engine.base import Engine, TileShape
from edge_liif.engine.registry import UNNAMED
from edge_liif.engine.select import candidates_for, open_engine
from edge_liif.geometry import Geometry, axis_queries, cell_pattern, cells_read
from edge_liif.model.checkpoint import Network
from edge_liif.upscaler import load

SIDE, SCALE, ROWS = 128, 3, 24
MODELS = ("edsr-baseline-liif", "edsr-baseline-liif-int8", "rdn-liif-s", "rdn-liif-s-int8")


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "EDGE_LIIF_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@dataclass(frozen=True)
class Work:
    """An engine made ready for a window of SIDE x SIDE LR pixels and a block of ROWS output rows at SCALE."""

    network: Network
    engine: Engine
    lr: np.ndarray
    geometry: Geometry

    @property
    def evaluations(self) -> int:
        return self.geometry.rows.evaluations * self.geometry.columns.evaluations


def _cases() -> list[Any]:
    found = []
    for name in MODELS:
        network = load(name).network
        for engine in UNNAMED:
            for _, device, precision in candidates_for(network, engine, "cpu"):
                # what was compressed for integers is of interest in integers, but for engines that have none
                integer = bool(network.spec.compression)
                if integer == (precision == "int8"):
                    found.append(pytest.param((name, engine, precision, device), id=f"{name}-{engine}-{precision}"))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "work" in metafunc.fixturenames:
        metafunc.parametrize("work", _cases(), indirect=True, scope="module")


@pytest.fixture(scope="module")
def work(request: pytest.FixtureRequest) -> Work:
    name, kind, precision, device = request.param
    network = load(name).network
    engine = open_engine(network, kind, precision, device)
    return ready(network, engine)


def ready(network: Network, engine: Engine) -> Work:
    size = SIDE * SCALE
    pattern = cell_pattern(SIDE, size)
    rows, columns = axis_queries(SIDE, size, 60, 60 + ROWS), axis_queries(SIDE, size, 0, size)
    shape = TileShape(
        SIDE, SIDE, rows.evaluations, SIDE * pattern.per_cell, pattern, cells_read(SIDE, size, rows.positions)
    )
    engine.prepare(shape)
    lr = np.random.default_rng(0).random((1, 3, SIDE, SIDE)).astype(np.float32)
    return Work(network, engine, lr, Geometry(rows, columns, (2 / SCALE, 2 / SCALE)))
