"""The integer graphs against the simulation of them, which accuracy tables could be made with where no kernel is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_liif.compress.config import CompressConfig
from edge_liif.compress.pipeline import compress
from edge_liif.engine.base import TileShape
from edge_liif.engine.openvino import OpenVINOEngine
from edge_liif.engine.select import open_engine
from edge_liif.errors import EngineError
from edge_liif.evaluate import load_rgb
from edge_liif.geometry import Geometry, axis_queries, cell_pattern
from edge_liif.model.checkpoint import Network
from edge_liif.model.zoo import load_manifest
from edge_liif.upscaler import load

SIZE = (23, 30)
BUNDLED = [name for name, entry in load_manifest().items() if entry.bundled and name.endswith("-int8")]
EXAMPLE = Path(__file__).parents[2] / "examples" / "kodim23.png"


def picture() -> np.ndarray:
    """Smooth waves and a step, (1, 3, *SIZE) in 0..1."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = [0.5 + 0.4 * np.sin(x / (3 + c) + c) * np.cos(y / 4) for c in range(3)]
    lr = np.stack(waves).astype(np.float32)
    lr[:, 5:12, 8:20] = 0.9
    return lr[None]


def enlarged(engine, out: tuple[int, int]) -> np.ndarray:
    (height, width), (rows, columns) = SIZE, (axis_queries(SIZE[i], out[i], 0, out[i]) for i in (0, 1))
    pattern = cell_pattern(width, out[1])
    places = columns.evaluations if pattern.per_cell == 1 else pattern.per_cell * width
    engine.prepare(TileShape(height, width, rows.evaluations, places, pattern))
    return engine.decode(engine.encode(picture()), Geometry(rows, columns, (2 * height / out[0], 2 * width / out[1])))


def compressed(network: Network, **config) -> Network:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
    small, _ = compress(network, CompressConfig(queries=256, **config), pictures)
    return small


@pytest.mark.parametrize("name", ["small_rdn", "small_edsr"])
@pytest.mark.parametrize("bits", [(8, 8), (4, 8), (6, 6)], ids="W{0[0]}A{0[1]}".format)
@pytest.mark.parametrize("out", [(69, 90), (39, 51)], ids=["x3", "x1.7"])
def test_integers_are_what_was_simulated(name, bits, out, request, saturating) -> None:
    """Both signs in one concatenation, scales per channel, fewer bits than the kernels have."""
    small = compressed(request.getfixturevalue(name), weight_bits=bits[0], activation_bits=bits[1])
    simulated = enlarged(open_engine(small, "torch", "int8", "cpu"), out)
    integer = enlarged(OpenVINOEngine(small, "int8", cache=False), out)
    floats = enlarged(OpenVINOEngine(small, "fp32", cache=False), out)
    levels = np.abs(np.rint(integer * 255) - np.rint(simulated * 255))
    # a simulation that adds its floats in another order than the kernels has 0.98 of an RDN here
    assert (levels <= 1).mean() >= (0.85 if saturating else 0.999)
    # and the integers do something: the floats of the same weights are farther away
    if saturating and bits[0] == 8:
        return  # sums of 8-bit weights are what saturates
    assert np.abs(integer - simulated).mean() < 0.5 * np.abs(floats - simulated).mean()


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_models_are_what_was_simulated(name: str, saturating: bool) -> None:
    """A piece of a photograph: flat, sharp and textured."""
    if saturating:
        pytest.skip("sums of 8-bit weights saturate here; the self-check decides whether that is good enough")
    piece = load_rgb(EXAMPLE)[176:224, 216:280]
    integer, simulated = (
        load(name, engine=engine, precision="int8")(piece, scale=3).astype(int) for engine in ("openvino", "torch")
    )
    difference = np.abs(integer - simulated)
    assert difference.max() <= 1
    # what was seen: up to two samples of a hundred thousand
    assert (difference == 0).mean() >= 0.999


def test_int8_is_executed(small_edsr: Network) -> None:
    """Every convolution and matrix product but the first reads 8-bit levels."""
    engine = OpenVINOEngine(compressed(small_edsr, weight_bits=8, activation_bits=8), "int8", cache=False)
    engine.prepare(TileShape(*SIZE, 8, 60))
    rows = [row for row in engine.executed() if row.kind in {"Convolution", "FullyConnected"}]
    assert len(rows) > 6
    assert [row.precision in {"u8", "i8"} for row in rows] == [False] + [True] * (len(rows) - 1)


def test_a_network_without_levels_is_refused(small_edsr: Network) -> None:
    with pytest.raises(EngineError, match="edge-liif compress"):
        OpenVINOEngine(small_edsr, "int8")
