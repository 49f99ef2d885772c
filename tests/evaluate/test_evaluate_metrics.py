"""PSNR and SSIM against their formulas written out, and their laws."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_liif.errors import EdgeLiifError, UsageError
from edge_liif.evaluate import ms_ssim_y, psnr_rgb, psnr_y, ssim_y

Metric = Callable[[NDArray[Any], NDArray[Any], int], float]
METRICS = [psnr_y, psnr_rgb, ssim_y]


def pair(seed: int = 0, shape: tuple[int, ...] = (21, 24, 3)) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 256, shape, dtype=np.uint8)
    noise = rng.integers(-20, 21, shape)
    return np.clip(reference + noise, 0, 255).astype(np.uint8), reference


def test_psnr_y_is_the_formula_of_liif() -> None:
    result, reference = pair()
    error = 0.0
    for row in range(3, 18):
        for column in range(3, 21):
            r, g, b = (result[row, column].astype(float) - reference[row, column]) / 255
            error += ((65.738 * r + 129.057 * g + 25.064 * b) / 256) ** 2
    assert psnr_y(result, reference, 3) == pytest.approx(-10 * math.log10(error / (15 * 18)), abs=1e-5)


def test_psnr_rgb_is_the_mean_over_channels() -> None:
    black, grey = np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 51, np.uint8)
    assert psnr_rgb(grey, black, 0) == pytest.approx(-20 * math.log10(0.2), abs=1e-5)
    grey[:, :, 1:] = 0
    assert psnr_rgb(grey, black, 0) == pytest.approx(-20 * math.log10(0.2) + 10 * math.log10(3), abs=1e-5)


def test_grey_psnr_uses_the_value_itself() -> None:
    result, reference = pair(shape=(12, 13))
    assert psnr_y(result, reference) == psnr_rgb(result, reference)
    assert psnr_y(result[:, :, None], reference[:, :, None]) == psnr_y(result, reference)
    as_rgb = [np.repeat(image[:, :, None], 3, axis=2) for image in (result, reference)]
    assert psnr_y(*as_rgb) - psnr_y(result, reference) == pytest.approx(-20 * math.log10(219.859 / 256), abs=1e-4)


def test_ssim_y_is_structural_similarity_of_bt601_luma() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    result, reference = pair()
    luma = [16 + (image[2:-2, 2:-2] / 255) @ [65.481, 128.553, 24.966] for image in (result, reference)]
    expected = metrics.structural_similarity(
        *luma, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim_y(result, reference, 2) == pytest.approx(expected, abs=1e-6)
    assert 0 < expected < 1


def test_uint8_and_floating_point_give_the_same() -> None:
    result, reference = pair()
    for metric in METRICS:
        assert metric(result.astype(np.float32) / 255, reference, 1) == pytest.approx(metric(result, reference, 1))


def test_floating_point_is_clamped_but_not_rounded() -> None:
    white = np.full((12, 12, 3), 255, np.uint8)
    assert psnr_y(np.full(white.shape, 1.3, np.float32), white) == math.inf
    assert psnr_y(np.full(white.shape, -0.3, np.float32), np.zeros_like(white)) == math.inf
    assert psnr_y(np.full(white.shape, 254.9 / 255, np.float32), white) < 80


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shave=st.integers(0, 4), grey=st.booleans())
def test_metrics_are_symmetric_and_best_for_equal_pictures(seed: int, shave: int, grey: bool) -> None:
    result, reference = pair(seed, (21, 24) if grey else (21, 24, 3))
    for metric in METRICS:
        assert metric(result, reference, shave) == pytest.approx(metric(reference, result, shave), rel=1e-9)
    assert psnr_y(result, result, shave) == psnr_rgb(result, result, shave) == math.inf
    assert ssim_y(result, result, shave) == pytest.approx(1)
    assert psnr_y(result / np.float32(255), result, shave) == math.inf


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shave=st.integers(1, 5))
def test_shave_removes_exactly_that_border(seed: int, shave: int) -> None:
    result, reference = pair(seed)
    spoilt = result.copy()
    inside = np.zeros(result.shape[:2], bool)
    inside[shave:-shave, shave:-shave] = True
    spoilt[~inside] = 255 - reference[~inside]
    for metric in METRICS:
        assert metric(spoilt, reference, shave) == metric(result, reference, shave)
    # One pixel further in, the innermost ring of the border counts.
    innermost = result.copy()
    innermost[shave, shave] = 255 - reference[shave, shave]
    assert psnr_rgb(innermost, reference, shave) != psnr_rgb(result, reference, shave)


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_refuse_what_has_no_meaning(metric: Metric) -> None:
    result, reference = pair()
    with pytest.raises(UsageError, match=r"\(21, 24, 3\).*\(20, 24, 3\)"):
        metric(result, reference[1:], 0)
    with pytest.raises(UsageError, match="Nothing is left"):
        metric(result, reference, 11)
    with pytest.raises(UsageError, match="-1"):
        metric(result, reference, -1)
    with pytest.raises(UsageError, match=r"0\.\.1"):
        metric(result.astype(np.float32), reference, 0)
    with pytest.raises(UsageError, match="int64"):
        metric(result.astype(np.int64), reference, 0)
    with pytest.raises(UsageError, match="not numbers"):
        metric(np.full(result.shape, np.nan, np.float32), reference, 0)
    with pytest.raises(UsageError, match="2"):
        metric(result[:, :, :2], reference[:, :, :2], 0)
    with pytest.raises(UsageError, match="axes"):
        metric(result[0, 0], reference[0, 0], 0)


def test_ssim_refuses_pictures_smaller_than_its_window() -> None:
    result, reference = pair(shape=(14, 14, 3))
    with pytest.raises(UsageError, match="11 x 11"):
        ssim_y(result, reference, 2)


def test_missing_scikit_image_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(EdgeLiifError, match=r"pip install 'edge-liif\[eval\]'"):
        ssim_y(*pair())


@pytest.mark.parametrize(("sigma", "expected"), [(4, 0.9973961), (20, 0.9512093), (60, 0.7943065)])
def test_ms_ssim_is_that_of_another_implementation(sigma: int, expected: float) -> None:
    """Values of pytorch-msssim's `ms_ssim` (data_range=255) on the same Y."""
    y, x = np.mgrid[:192, :224]
    red = 127 + 90 * np.sin(x / 7 + y / 11) * np.cos(y / 5)
    clean = np.stack([red, 127 + 80 * np.sin(x * y / 900), 127 + 60 * np.cos(x / 3)], 2).astype(np.uint8)
    noisy = np.clip(clean + np.random.default_rng(5).normal(0, sigma, clean.shape), 0, 255).astype(np.uint8)
    assert ms_ssim_y(noisy, clean) == pytest.approx(expected, abs=3e-6)
    assert ms_ssim_y(clean, clean) == pytest.approx(1)
    with pytest.raises(UsageError, match="176 x 176 pixels; 206 x 174 are left"):
        ms_ssim_y(noisy, clean, shave=9)
