"""Which folders are data sets, which files may be measured on, and how LR is made."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_liif.errors import ImageError, UsageError
from edge_liif.evaluate import find_datasets, load_rgb, low_resolution, matlab_bicubic, pil_bicubic


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folder_of_pictures_is_one_dataset(tmp_path: Path) -> None:
    touch(*(tmp_path / "Set" / name for name in ("b.png", "a.PNG", "c.jpg", "notes.txt", ".hidden.png", "d.png/x")))
    (dataset,) = find_datasets([tmp_path / "Set"])
    assert dataset.name == "Set"
    assert [path.name for path in dataset.paths] == ["a.PNG", "b.png", "c.jpg"]


def test_folder_of_folders_is_several_without_lr(tmp_path: Path) -> None:
    touch(*(tmp_path / name / "1.png" for name in ("B", "A", "A_LR", ".cache")), tmp_path / "readme.md")
    touch(tmp_path / "empty" / "x.txt", tmp_path / "C_LR" / "X2" / "1.png")
    assert [dataset.name for dataset in find_datasets([tmp_path])] == ["A", "B"]


def test_dataset_given_twice_counts_once(tmp_path: Path) -> None:
    touch(tmp_path / "A" / "1.png", tmp_path / "B" / "1.png")
    assert [dataset.name for dataset in find_datasets([tmp_path / "B", tmp_path, str(tmp_path / "A")])] == ["B", "A"]


def test_same_name_in_two_places_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "one" / "A" / "1.png", tmp_path / "two" / "A" / "1.png")
    with pytest.raises(UsageError, match="A"):
        find_datasets([tmp_path / "one", tmp_path / "two"])


def test_nothing_found_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No folder"):
        find_datasets([])
    with pytest.raises(UsageError, match="no pictures"):
        find_datasets([tmp_path])
    with pytest.raises(UsageError, match="not a folder"):
        find_datasets([tmp_path / "missing"])
    touch(tmp_path / "a.png")
    with pytest.raises(UsageError, match="not a folder"):
        find_datasets([tmp_path / "a.png"])


def test_benchmarks_are_found(benchmark_data: Path) -> None:
    sizes = {dataset.name: len(dataset.paths) for dataset in find_datasets([benchmark_data / "eval"])}
    assert sizes == {"B100": 100, "Set14": 14, "Set5": 5, "Urban100-20": 20}


def test_load_rgb_reads_colour_in_rgb_and_expands_grey(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "colour.png"), picture[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "grey.png"), picture[:, :, 0])
    np.testing.assert_array_equal(load_rgb(tmp_path / "colour.png"), picture)
    grey = load_rgb(str(tmp_path / "grey.png"))
    np.testing.assert_array_equal(grey, np.repeat(picture[:, :, :1], 3, axis=2))


def test_load_rgb_refuses_what_it_would_have_to_convert(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), np.zeros((4, 4, 3), np.uint16))
    with pytest.raises(ImageError, match=r"deep\.png.*8-bit"):
        load_rgb(tmp_path / "deep.png")
    cv2.imwrite(str(tmp_path / "alpha.png"), np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(ImageError, match=r"alpha\.png.*alpha"):
        load_rgb(tmp_path / "alpha.png")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    touch(tmp_path / "empty.png")
    for name in ("torn.png", "empty.png"):
        with pytest.raises(ImageError, match=name):
            load_rgb(tmp_path / name)
    with pytest.raises(ImageError, match=r"missing\.png"):
        load_rgb(tmp_path / "missing.png")


HR = np.random.default_rng(1).integers(0, 256, (50, 67, 3), dtype=np.uint8)


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
def test_whole_scales_use_the_method_asked_for(scale: int) -> None:
    height, width = 50 // scale, 67 // scale
    cropped = HR[: height * scale, : width * scale]
    for method, expected in {
        "pil": pil_bicubic(cropped, (height, width)),
        "matlab": matlab_bicubic(cropped, 1 / scale),
    }.items():
        pair = low_resolution(HR, float(scale), method)
        assert pair.method == method
        np.testing.assert_array_equal(pair.hr, cropped)
        np.testing.assert_array_equal(pair.lr, expected)


@pytest.mark.parametrize("scale", [6, 8, 2.7, 6.5])
def test_large_and_fractional_scales_are_always_pil(scale: float) -> None:
    pair = low_resolution(HR, scale, "matlab")
    assert pair.method == "pil"
    np.testing.assert_array_equal(pair.lr, pil_bicubic(pair.hr, pair.lr.shape[:2]))


def test_fractional_scale_crops_as_liif_does() -> None:
    pair = low_resolution(HR, 2.7, "pil")
    assert pair.lr.shape == (18, 24, 3)
    assert pair.hr.shape == (49, 65, 3)
    np.testing.assert_array_equal(pair.hr, HR[:49, :65])
    # 33 / 1.1 is below 30 in float64; the 1e-9 keeps the last row.
    assert low_resolution(np.zeros((33, 33, 3), np.uint8), 1.1, "pil").lr.shape == (30, 30, 3)


@settings(max_examples=50, deadline=None)
@given(height=st.integers(12, 40), width=st.integers(12, 40), scale=st.floats(1.01, 12))
def test_cropped_hr_is_lr_times_scale(height: int, width: int, scale: float) -> None:
    pair = low_resolution(np.zeros((height, width, 3), np.uint8), scale, "pil")
    for side, hr_side, lr_side in zip((height, width), pair.hr.shape, pair.lr.shape, strict=False):
        assert hr_side == round(lr_side * scale)
        assert side - scale - 0.5 <= hr_side <= side


def test_low_resolution_refuses_senseless_requests() -> None:
    for scale in (1, 0.5, 0, -2, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="above 1"):
            low_resolution(HR, scale, "pil")
    for scale in (51, 51.5):
        with pytest.raises(UsageError, match="too small"):
            low_resolution(HR, scale, "pil")
    with pytest.raises(UsageError, match="lanczos"):
        low_resolution(HR, 2, "lanczos")  # type: ignore[arg-type]
