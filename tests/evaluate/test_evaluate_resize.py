"""MATLAB's and Pillow's bicubic: equal to frozen results, to the published LR files, and true to their own laws."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_liif.errors import EdgeLiifError, UsageError
from edge_liif.evaluate import crop_to_multiple, load_rgb, matlab_bicubic, pil_bicubic

# Random pictures and what a reference, itself verified against the published LR files, made of them.
GOLDEN = np.load(Path(__file__).with_name("matlab_imresize_golden.npz"))
SCALES = {"half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4, "by_2_7": 1 / 2.7, "double": 2}


@pytest.mark.parametrize("case", [name for name in GOLDEN.files if "-" in name])
def test_matlab_bicubic_equals_golden(case: str) -> None:
    picture, scale, edge, rounding = case.split("-")
    result = matlab_bicubic(GOLDEN[picture], SCALES[scale], edge, mid_round=rounding == "rounded")
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, GOLDEN[case])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_matlab_bicubic_equals_published_lr(benchmark_data: Path, scale: int) -> None:
    pictures = sorted((benchmark_data / "eval" / "Set5").glob("*.png"))
    assert len(pictures) == 5
    for path in pictures:
        published = load_rgb(benchmark_data / "eval" / "Set5_LR" / f"X{scale}" / f"{path.stem}x{scale}.png")
        result = matlab_bicubic(crop_to_multiple(load_rgb(path), scale), 1 / scale)
        np.testing.assert_array_equal(result, published, err_msg=path.name)


def test_matlab_bicubic_does_not_depend_on_memory_layout() -> None:
    picture = GOLDEN["rgb"]
    np.testing.assert_array_equal(matlab_bicubic(np.asfortranarray(picture), 1 / 3), matlab_bicubic(picture, 1 / 3))
    np.testing.assert_array_equal(matlab_bicubic(picture[:, :, 1], 1 / 3), matlab_bicubic(picture, 1 / 3)[:, :, 1])


def test_matlab_bicubic_rounds_size_up_but_not_rounding_errors() -> None:
    assert matlab_bicubic(np.zeros((7, 10), np.uint8), 1 / 2).shape == (4, 5)
    assert matlab_bicubic(np.zeros((50, 10), np.uint8), 1.1).shape == (55, 11)


def test_replicate_and_symmetric_edges_differ_only_near_the_border() -> None:
    mirrored, replicated = (matlab_bicubic(GOLDEN["rgb"], 1 / 2, edge) for edge in ("symmetric", "replicate"))
    assert (mirrored != replicated).any()
    np.testing.assert_array_equal(mirrored[2:-2, 2:-2], replicated[2:-2, 2:-2])


sides = st.integers(1, 40)


@settings(max_examples=40, deadline=None)
@given(height=sides, width=sides, level=st.integers(0, 255), scale=st.floats(0.1, 3))
def test_matlab_bicubic_keeps_constant_pictures(height: int, width: int, level: int, scale: float) -> None:
    result = matlab_bicubic(np.full((height, width, 3), level, np.uint8), scale)
    assert (result == level).all()


@settings(max_examples=40, deadline=None)
@given(height=sides, width=sides, level=st.integers(0, 255), out=st.tuples(sides, sides))
def test_pil_bicubic_keeps_constant_pictures(height: int, width: int, level: int, out: tuple[int, int]) -> None:
    result = pil_bicubic(np.full((height, width, 3), level, np.uint8), out)
    assert result.shape == (*out, 3)
    assert (result == level).all()
    floating = pil_bicubic(np.full((height, width), level / 255, np.float32), out)
    np.testing.assert_allclose(floating, level / 255, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1 / 2, 1 / 3, 1 / 4, 2.0]))
def test_matlab_bicubic_commutes_with_mirroring(seed: int, scale: float) -> None:
    # Sides that all the scales divide, so that the pixel grids of both orders coincide.
    picture = np.random.default_rng(seed).integers(0, 256, (24, 36), dtype=np.uint8)
    mirrored = matlab_bicubic(picture[::-1, ::-1], scale)
    difference = mirrored.astype(int) - matlab_bicubic(picture, scale)[::-1, ::-1]
    assert np.abs(difference).max() <= 1


def test_pil_bicubic_of_colour_is_that_of_its_channels_and_of_pillow() -> None:
    pillow = pytest.importorskip("PIL.Image")
    picture = GOLDEN["rgb"]
    result = pil_bicubic(picture, (11, 50))
    whole = np.asarray(pillow.fromarray(picture).resize((50, 11), pillow.Resampling.BICUBIC))
    np.testing.assert_array_equal(result, whole)
    np.testing.assert_array_equal(result[:, :, 2], pil_bicubic(picture[:, :, 2], (11, 50)))


def test_pil_bicubic_of_floats_is_unrounded_and_overshoots() -> None:
    edge = np.zeros((8, 8, 3), np.float32)
    edge[:, 4:] = 1
    result = pil_bicubic(edge, (16, 16))
    assert result.dtype == np.float32
    assert result.min() < 0 < 1 < result.max()
    rounded = pil_bicubic((edge * 255).astype(np.uint8), (16, 16))
    assert np.abs(np.clip(result, 0, 1) * 255 - rounded).max() <= 1


def test_without_rounding_between_the_passes_pillow_and_matlab_agree_inside(examples: Path) -> None:
    # In uint8 they differ by up to 5 levels here: each saturates between its passes, and Pillow's first is horizontal.
    picture = crop_to_multiple(load_rgb(examples / "kodim23.png"), 4)
    unrounded = pil_bicubic(picture.astype(np.float32), (picture.shape[0] // 4, picture.shape[1] // 4))
    difference = np.clip(unrounded, 0, 255) - matlab_bicubic(picture, 1 / 4, mid_round=False)
    assert np.abs(difference[4:-4, 4:-4]).max() <= 0.501


@settings(max_examples=40, deadline=None)
@given(height=st.integers(4, 50), width=st.integers(4, 50), scale=st.integers(1, 4))
def test_crop_to_multiple_keeps_the_largest_multiple_at_top_left(height: int, width: int, scale: int) -> None:
    picture = np.arange(height * width).reshape(height, width)
    cropped = crop_to_multiple(picture, scale)
    assert [side % scale for side in cropped.shape] == [0, 0]
    assert height - cropped.shape[0] < scale
    assert width - cropped.shape[1] < scale
    np.testing.assert_array_equal(cropped, picture[: cropped.shape[0], : cropped.shape[1]])


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), 1e-12])
def test_matlab_bicubic_refuses_scales_without_a_result(scale: float) -> None:
    with pytest.raises(UsageError, match="scale"):
        matlab_bicubic(GOLDEN["rgb"], scale)


def test_resizers_refuse_what_they_are_not_for() -> None:
    floating = np.zeros((8, 8), np.float64)
    with pytest.raises(UsageError, match="float64"):
        matlab_bicubic(floating, 0.5)
    with pytest.raises(UsageError, match="float64"):
        pil_bicubic(floating, (4, 4))
    with pytest.raises(UsageError, match="0"):
        pil_bicubic(GOLDEN["rgb"], (0, 4))
    with pytest.raises(UsageError, match="edge"):
        matlab_bicubic(GOLDEN["rgb"], 0.5, "zero")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="too small"):
        crop_to_multiple(GOLDEN["tiny"], 3)
    with pytest.raises(UsageError, match="whole"):
        crop_to_multiple(GOLDEN["rgb"], 2.5)  # type: ignore[arg-type]


def test_missing_pillow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(EdgeLiifError, match=r"pip install 'edge-liif\[eval\]'"):
        pil_bicubic(GOLDEN["rgb"], (4, 4))
