"""The Python API on arrays."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import edge_liif
from edge_liif.errors import ImageError, MemoryCapError, ModelError, UsageError
from edge_liif.options import parse_halo, parse_memory
from edge_liif.upscaler import Upscaler


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return edge_liif.load(engine="openvino", precision="fp32")


def bicubic(image: np.ndarray, factor: int) -> np.ndarray:
    import cv2

    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def test_rgb(upscaler: Upscaler, photograph: np.ndarray) -> None:
    result = upscaler(photograph, scale=3)
    assert result.shape == (288, 360, 3) and result.dtype == np.uint8
    assert np.abs(result.astype(int) - bicubic(photograph, 3)).mean() < 4, "close to bicubic, or the picture is wrong"


@pytest.mark.parametrize("bands", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_kinds_of_arrays(upscaler: Upscaler, photograph: np.ndarray, bands: int | None, dtype: type) -> None:
    top = np.iinfo(dtype).max
    rgb = photograph[:24, :20].astype(np.float64) / 255
    alpha = np.ones((24, 20, 1))
    grey = rgb.mean(axis=2, keepdims=True)
    image = {None: grey[..., 0], 1: grey, 2: np.dstack([grey, alpha]), 3: rgb, 4: np.dstack([rgb, alpha])}[bands]
    image = np.rint(image * top).astype(dtype)
    result = upscaler(image, scale=(2, 1.5))
    assert result.shape == (36, 40, *image.shape[2:]) and result.dtype == dtype
    if bands in (2, 4):
        assert (result[..., -1] == top).all()
    colour = result.reshape(36, 40, -1)[..., 0] / top
    expected = bicubic(np.ascontiguousarray(image.reshape(24, 20, -1)[..., 0].astype(np.float32) / top), 2)
    assert abs(colour.mean() - expected.mean()) < 0.02


def test_sixteen_bits_have_more_than_256_levels(upscaler: Upscaler) -> None:
    ramp = np.linspace(20_000, 24_000, 40).astype(np.uint16)
    result = upscaler(np.broadcast_to(ramp, (20, 40)).copy(), scale=4)
    assert len(np.unique(result)) > 400


def test_transparent_colour_does_not_bleed_into_alpha(upscaler: Upscaler) -> None:
    image = np.zeros((30, 30, 4), np.uint8)
    image[8:22, 8:22] = (200, 30, 30, 255)
    result = upscaler(image, scale=2)
    assert result[30, 30, 3] == 255 and result[0, 0, 3] == 0
    assert np.abs(result[30, 30, :3].astype(int) - (200, 30, 30)).max() <= 3
    edge = result[(result[..., 3] > 100) & (result[..., 3] < 250)]
    assert len(edge) and (edge[:, 0] > 150).all(), "a dark fringe: colour under transparency was mixed in"


def test_size_and_scale(upscaler: Upscaler, photograph: np.ndarray) -> None:
    small = photograph[:20, :30]
    assert upscaler(small, size=(61, 50)).shape == (50, 61, 3)
    assert upscaler(small, size="60x").shape == (40, 60, 3)
    assert upscaler(small, scale=1.7).shape == (34, 51, 3)
    assert upscaler(small, scale="2x3").shape == (60, 60, 3)
    assert upscaler(small, scale=1).shape == small.shape


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_tiny_and_thin(upscaler: Upscaler, shape: tuple[int, int]) -> None:
    result = upscaler(np.full((*shape, 3), 128, np.uint8), scale=3)
    assert result.shape == (3 * shape[0], 3 * shape[1], 3)
    assert np.abs(result.astype(int) - 128).max() < 30


def test_a_memory_cap_changes_tiles_and_not_the_picture(photograph: np.ndarray) -> None:
    image = np.tile(photograph, (2, 2, 1))
    free = edge_liif.load(engine="openvino", precision="fp32", halo="exact")
    with pytest.raises(MemoryCapError) as error:
        edge_liif.load(engine="openvino", precision="fp32", halo="exact", memory="20MiB")(image, scale=2)
    needed = int(str(error.value).rsplit(" ", 1)[1].removesuffix("MiB"))
    # this process, which runs other tests too, has grown since
    capped = edge_liif.load(engine="openvino", precision="fp32", halo="exact", memory=f"{needed + 100}MiB")
    first = capped(image, scale=2)
    assert np.abs(free(image, scale=2).astype(int) - first).max() <= 1
    assert np.array_equal(capped(image, scale=2), first), "what the engine holds after a call is not counted twice"


def test_progress(upscaler: Upscaler, photograph: np.ndarray) -> None:
    steps: list[tuple[int, int]] = []
    upscaler(photograph, scale=2, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (4 * 96 * 120,) * 2 and steps == sorted(steps) and len(steps) > 3


@pytest.mark.parametrize("bad", [0, -1, 0.5, float("nan"), float("inf"), 1e9, "two", "2x", (1, 2, 3), None])
def test_impossible_scales(upscaler: Upscaler, photograph: np.ndarray, bad: object) -> None:
    with pytest.raises(UsageError):
        upscaler(photograph, scale=bad)  # type: ignore[arg-type]


def test_wrong_arrays(upscaler: Upscaler) -> None:
    for bad in (
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ):
        with pytest.raises(ImageError):
            upscaler(bad, scale=2)


def test_unknown_model() -> None:
    with pytest.raises(ModelError, match="did you mean"):
        edge_liif.load("edsr-baseline-lif")


def test_amounts() -> None:
    assert parse_memory("1GiB") == 2**30 and parse_memory("1.5g") == 3 * 2**29 and parse_memory("800MB") == 8 * 10**8
    assert parse_memory(None) is None and parse_memory(5_000_000) == 5_000_000
    for bad in ("", "much", "5 apples", "-1GiB", "1", "nan", 0, -5, 1.5):
        with pytest.raises(UsageError):
            parse_memory(bad)
    assert parse_halo("exact") == "exact" and parse_halo("12") == 12
    for bad in ("-1", "wide", "99999"):
        with pytest.raises(UsageError):
            parse_halo(bad)
    for wrong in ({"threads": 0}, {"engine": "abacus"}, {"precision": "int3"}, {"device": "npu"}):
        with pytest.raises(UsageError):
            edge_liif.load(**wrong)


def test_importing_is_light() -> None:
    code = (
        "import edge_liif, sys; print([m for m in ('torch', 'openvino', 'numpy', 'cv2', 'pyvips') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_halo_of_none_still_reads_the_cell_beside(monkeypatch: pytest.MonkeyPatch, photograph: np.ndarray) -> None:
    """The ensemble mixes across the border of two tiles, so a window without halo would not hold what is read."""
    monkeypatch.setattr("edge_liif.tiling.plan._core_candidates", lambda job: [(48, 60)])
    upscaler = edge_liif.load("edsr-baseline-liif", engine="openvino", precision="fp32", halo=0)
    assert upscaler.halo == 1
    tiles = upscaler(photograph, scale=3).astype(int)
    whole = edge_liif.load("edsr-baseline-liif", engine="openvino", precision="fp32", halo="exact")(photograph, scale=3)
    assert np.abs(tiles - whole).mean() < 2, "seams, but no other picture"


def test_a_tile_of_nans_is_done_again_in_fp32(monkeypatch: pytest.MonkeyPatch, photograph: np.ndarray) -> None:
    from edge_liif.engine.openvino import OpenVINOEngine
    from edge_liif.tiling.plan import Job, plan_for_core
    from edge_liif.tiling.run import RunLog

    upscaler = edge_liif.load("edsr-baseline-liif-int8", engine="openvino", precision="int8", halo="exact")
    height, width, _ = photograph.shape
    job = Job(height, width, 2 * height, 2 * width, 3, 1)
    plan = plan_for_core(job, upscaler.choice(False).engine.memory, upscaler.halo, (48, 60))
    whole = np.concatenate([rows.copy() for rows in upscaler.rows(photograph, plan)])
    encoded: list[str] = []
    encode, decode = OpenVINOEngine.encode, OpenVINOEngine.decode

    def counted(self: OpenVINOEngine, lr: np.ndarray) -> object:
        encoded.append(self.precision)
        return encode(self, lr)

    def broken(self: OpenVINOEngine, hidden: object, geometry: object) -> np.ndarray:
        colour = decode(self, hidden, geometry)
        return colour * np.nan if encoded == ["int8", "int8"] else colour

    monkeypatch.setattr(OpenVINOEngine, "encode", counted)
    monkeypatch.setattr(OpenVINOEngine, "decode", broken)
    log = RunLog()
    result = np.concatenate([rows.copy() for rows in upscaler.rows(photograph, plan, None, log)])
    assert plan.tiles == 4 and encoded.count("int8") == 4 and "fp32" in encoded
    assert log.redone == 1
    assert "openvino in int8 gave numbers that are not finite; done again in fp32" in log.warnings[0]
    assert np.array_equal(result[:, :120], whole[:, :120]) and np.array_equal(result[96:], whole[96:])
    again = np.abs(result[:96, 120:].astype(int) - whole[:96, 120:])
    assert 0 < again.max() < 30 and again.mean() < 1
