"""The torch engine on a GPU: its cap, blocks in flight, memory that runs out. What needs no GPU is tested without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from edge_liif.engine.base import TileShape
from edge_liif.engine.select import open_engine
from edge_liif.engine.torch import TorchEngine
from edge_liif.evaluate import load_rgb, matlab_bicubic, psnr_y
from edge_liif.geometry import Geometry, axis_queries
from edge_liif.model.checkpoint import Network
from edge_liif.model.convert import with_known_answer
from edge_liif.options import Settings
from edge_liif.tiling.plan import Job
from edge_liif.tiling.run import RunLog
from edge_liif.upscaler import Upscaler, load

GIB = 2**30
EXAMPLE = Path(__file__).parents[2] / "examples" / "kodim23.png"
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def blocks(height: int, width: int, scale: int, rows_each: int) -> list[Geometry]:
    columns = axis_queries(width, width * scale, 0, width * scale)
    cell = (2 / scale, 2 / scale)
    cuts = range(0, height * scale, rows_each)
    rows = (axis_queries(height, height * scale, cut, min(cut + rows_each, height * scale)) for cut in cuts)
    return [Geometry(r, columns, cell) for r in rows]


def test_the_cap_is_the_allocators(small_edsr: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is asked for; before and after, the allocator has what the calling program gave it."""
    shares = [0.5]
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(total_memory=8 * GIB))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda: shares[-1])
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    engine = TorchEngine(small_edsr)
    engine.limit(2 * GIB)
    assert not engine.limits_device and shares == [0.5], "no allocator keeps the process's own memory within a cap"
    engine.device = "cuda"
    assert engine.limits_device
    for cap, expected in ((None, 0.5), (2 * GIB, 0.25), (GIB, 0.125), (None, 0.5), (6 * GIB, 0.5), (None, 0.5)):
        engine.limit(cap)
        assert shares[-1] == expected


@pytest.mark.parametrize("before", ["none", "tf32", "ieee"])
def test_float32_is_not_rounded_on_the_way_into_cudnn(before: str, small_edsr: Network) -> None:
    settings = getattr(torch.backends.cudnn, "conv", None)
    if settings is None:
        pytest.skip("this torch has one switch for all of cuDNN")
    engine = TorchEngine(small_edsr)
    saved = settings.fp32_precision
    try:
        settings.fp32_precision = before
        seen = settings.fp32_precision
        with engine._full_precision():
            assert settings.fp32_precision == seen, "the CPU is left alone"
        engine.device = "cuda"
        with engine._full_precision():
            assert settings.fp32_precision == "ieee"
        assert settings.fp32_precision == seen
    finally:
        settings.fp32_precision = saved


class InFlight(TorchEngine):
    """Takes the way of CUDA on the CPU, and says when a block is begun and when it is given out."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.events: list[str] = []

    def decode_blocks(self, hidden, geometries):  # type: ignore[no-untyped-def]
        self.device = "cuda"
        yield from super().decode_blocks(hidden, geometries)

    def decode_tensor(self, hidden, geometry):  # type: ignore[no-untyped-def]
        self.events.append("begun")
        self.device = "cpu"
        return super().decode_tensor(hidden, geometry)

    def _sent_back(self, colours):  # type: ignore[no-untyped-def]
        return colours, SimpleNamespace(synchronize=lambda: self.events.append("out"))


def test_a_block_is_begun_before_the_one_before_it_is_out(small_edsr: Network) -> None:
    engine = InFlight(small_edsr)
    lr = np.random.default_rng(0).random((1, 3, 10, 12)).astype(np.float32)
    hidden, wanted = engine.encode(lr), blocks(10, 12, 3, 8)
    single = [engine.decode(hidden, geometry) for geometry in wanted]
    engine.events.clear()
    together = list(engine.decode_blocks(hidden, iter(wanted)))
    assert engine.events == ["begun", "begun", "out", "begun", "out", "begun", "out", "out"]
    assert all(np.array_equal(a, b) for a, b in zip(together, single, strict=True))


def test_memory_that_torch_is_refused_halves_the_tile(small_edsr: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """As CUDA's allocator says it, which is not as the CPU's does."""
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    settings = Settings.parsed("torch", "fp32", "cpu", None, "exact", None)
    upscaler = Upscaler(with_known_answer(small_edsr), settings)
    whole = upscaler(picture, scale=2)
    convolve, refused = torch.nn.functional.conv2d, []

    def scarce(x, *arguments, **options):  # type: ignore[no-untyped-def]
        if x.shape[2] * x.shape[3] > 1500:
            refused.append(tuple(x.shape))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return convolve(x, *arguments, **options)

    monkeypatch.setattr(torch.nn.functional, "conv2d", scarce)
    log = RunLog()
    plan = upscaler.plan(Job(40, 60, 80, 120, 3, 1))
    result = np.concatenate([rows.copy() for rows in upscaler.rows(picture, plan, None, log)])
    assert log.splits and refused
    assert "out of memory: tiles cut to" in log.warnings[0]
    assert np.abs(result.astype(int) - whole).max() <= 1


@on_gpu
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_costs_hundredths_of_a_decibel(precision: str) -> None:
    """0.01 dB in the mean of pictures; this is one."""
    original = load_rgb(EXAMPLE)[:384, :576]
    lr = matlab_bicubic(original, (128, 192))

    def quality(precision: str) -> float:
        upscaler = load("edsr-baseline-liif", engine="torch", device="cuda", precision=precision)
        return psnr_y(upscaler.enlarge_float(lr, (384, 576)), original, 3)

    assert abs(quality(precision) - quality("fp32")) <= 0.02


@on_gpu
def test_a_cap_holds_on_the_gpu() -> None:
    """Tiles are planned for several times what the allocator then gives: they are halved, the picture is the same."""
    picture = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    upscaler = load("edsr-baseline-liif", engine="torch", device="cuda", precision="fp32", halo="exact")
    whole = upscaler(picture, scale=2)
    engine = upscaler.choice(False).engine
    plan = upscaler.plan(Job(512, 512, 1024, 1024, 3, 1))
    engine.release()
    cap = 256 * 2**20
    try:
        log = RunLog()
        scarce = replace(plan, memory_cap=cap)
        result = np.concatenate([rows.copy() for rows in upscaler.rows(picture, scarce, None, log)])
        assert log.splits and engine.peak_device_bytes() <= cap
        assert np.abs(result.astype(int) - whole).max() <= 1
    finally:
        engine.limit(None)


@on_gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_blocks_in_flight_on_the_gpu_are_the_same(precision: str) -> None:
    engine = open_engine(load("edsr-baseline-liif").network, "torch", precision, "cuda")
    lr = np.random.default_rng(0).random((1, 3, 64, 64)).astype(np.float32)
    engine.prepare(TileShape(64, 64, 64, 384))
    hidden, wanted = engine.encode(lr), blocks(64, 64, 3, 24)
    together = [colours.copy() for colours in engine.decode_blocks(hidden, wanted)]
    for colours, geometry in zip(together, wanted, strict=True):
        assert np.array_equal(colours, engine.decode(hidden, geometry))
