"""Speed of the parts of a run, for comparing commits on one machine:

pytest benchmarks --benchmark-autosave                   # before a change
pytest benchmarks --benchmark-compare                    # after it
"""

from __future__ import annotations

import io

import numpy as np
import pytest

from edge_liif.engine.base import TileShape
from edge_liif.engine.select import candidates, open_engine
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.image.write import RowWriter
from edge_liif.upscaler import load

SIDE, SCALE = 128, 3
OPTIONS = candidates("openvino", "cpu") + candidates("torch", "cpu")
MODELS = ["edsr-baseline-liif", "rdn-liif-s"]


@pytest.fixture(scope="module", params=MODELS)
def network(request: pytest.FixtureRequest):
    return load(request.param).network


def prepared(network, option):
    engine = open_engine(network, option[0], option[2], option[1])
    columns = axis_queries(SIDE, SIDE * SCALE, 0, SIDE * SCALE)
    rows = axis_queries(SIDE, SIDE * SCALE, 60, 84)
    engine.prepare(TileShape(SIDE, SIDE, rows.evaluations, columns.evaluations))
    lr = np.random.default_rng(0).random((1, 3, SIDE, SIDE)).astype(np.float32)
    return engine, lr, Geometry(rows, columns, (2 / SCALE, 2 / SCALE))


@pytest.mark.parametrize("option", OPTIONS, ids="-".join)
def test_encode_tile(benchmark, network, option) -> None:
    benchmark.group = f"encode {SIDE}x{SIDE}, {network.spec.name}"
    engine, lr, _ = prepared(network, option)
    work = 2 * SIDE**2 * (network.spec.encoder_multiply_adds + network.spec.decoder_multiply_adds[0])
    benchmark(engine.encode, lr)
    benchmark.extra_info["TFLOP/s"] = work / benchmark.stats["median"] / 1e12


@pytest.mark.parametrize("option", OPTIONS, ids="-".join)
def test_decode_block(benchmark, network, option) -> None:
    benchmark.group = f"decode 24 rows x3, {network.spec.name}"
    engine, lr, geometry = prepared(network, option)
    hidden = engine.encode(lr)
    evaluations = geometry.rows.evaluations * geometry.columns.evaluations
    benchmark(engine.decode, hidden, geometry)
    work = 2 * evaluations * network.spec.decoder_multiply_adds[1]
    benchmark.extra_info["TFLOP/s"] = work / benchmark.stats["median"] / 1e12


def test_geometry_of_a_row(benchmark) -> None:
    benchmark.group = "geometry"
    benchmark(axis_queries, 4000, 12000, 0, 12000)


def test_mix_a_block(benchmark) -> None:
    benchmark.group = "ensemble"
    columns = axis_queries(400, 1200, 0, 1200)
    rows = axis_queries(400, 1200, 0, 24)
    colour = np.random.default_rng(0).random((rows.evaluations, columns.evaluations, 3)).astype(np.float32)
    benchmark(lambda: columns.mix(rows.mix(colour, 0), 1))


@pytest.mark.parametrize("fmt", ["png", "jpeg", "tiff", "webp"])
def test_write(benchmark, fmt: str) -> None:
    benchmark.group = "write 1200x800 RGB"
    rows = np.random.default_rng(0).integers(0, 60, (800, 1200, 3), np.uint8)

    def write() -> None:
        with RowWriter(io.BytesIO(), fmt, 1200, 800, 3, 8) as writer:
            for start in range(0, 800, 200):
                writer.write(rows[start : start + 200])
            writer.commit()

    benchmark(write)


@pytest.mark.parametrize("name", MODELS)
def test_whole_picture(benchmark, name: str) -> None:
    benchmark.group = "192x128 x3, array to array"
    upscaler = load(name)
    picture = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    benchmark(upscaler, picture, scale=3)
