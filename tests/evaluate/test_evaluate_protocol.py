"""The measurement as a whole: baseline always there, means of per-image values, frozen and published numbers."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_liif.errors import EngineError, ImageError, UsageError
from edge_liif.evaluate import (
    BICUBIC,
    Dataset,
    enlarge_bicubic,
    evaluate,
    find_datasets,
    jpeg_coded,
    load_rgb,
    low_resolution,
    psnr_rgb,
    psnr_y,
    ssim_y,
)


def nearest(lr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    rows, columns = (np.arange(out) * side // out for out, side in zip(size, lr.shape[:2], strict=True))
    return lr[rows][:, columns].astype(np.float32) / 255


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Dataset:
    folder = tmp_path_factory.mktemp("data") / "Crops"
    folder.mkdir()
    for name in ("kodim08", "kodim23"):
        cv2.imwrite(str(folder / f"{name}.png"), cv2.imread(str(examples / f"{name}.png"))[100:165, 200:273])
    (dataset,) = find_datasets([folder])
    return dataset


def test_bicubic_is_always_the_first_row(crops: Dataset) -> None:
    rows = evaluate({"nearest": nearest}, [crops], [2, 3])
    assert [(row.dataset, row.scale, row.method) for row in rows] == [
        ("Crops", scale, method) for scale in (2, 3) for method in (BICUBIC, "nearest")
    ]
    assert rows[0].psnr_y > rows[1].psnr_y
    assert [row.method for row in evaluate({}, [crops], [2])] == [BICUBIC]
    with pytest.raises(UsageError, match="bicubic"):
        evaluate({BICUBIC: nearest}, [crops], [2])


def test_rows_hold_every_picture_and_the_means_of_their_values(crops: Dataset) -> None:
    _, row = evaluate({"nearest": nearest}, [crops], [3], "matlab")
    expected, squared_errors = [], []
    for path in crops.paths:
        hr, lr, method = low_resolution(load_rgb(path), 3, "matlab")
        result = nearest(lr, hr.shape[:2])
        expected.append((path.name, psnr_y(result, hr, 3), ssim_y(result, hr, 3)))
        squared_errors.append(10 ** (-expected[-1][1] / 10))
        assert method == row.downsample == "matlab"
    assert [(score.image, score.psnr_y, score.ssim_y) for score in row.images] == expected
    assert row.n == 2
    assert row.shave == 3
    assert row.psnr_y == pytest.approx(np.mean([psnr for _, psnr, _ in expected]))
    assert row.ssim_y == pytest.approx(np.mean([ssim for _, _, ssim in expected]))
    # The squared errors pooled over pictures would be another number, dominated by the worst picture.
    assert row.psnr_y > -10 * math.log10(np.mean(squared_errors)) + 0.5
    assert row.seconds == pytest.approx(sum(score.seconds for score in row.images))
    assert row.seconds > 0


def test_shave_is_the_scale_rounded_up_unless_given(crops: Dataset) -> None:
    assert [row.shave for row in evaluate({}, [crops], [2, 2.7])] == [2, 3]
    (row,) = evaluate({}, [crops], [2], shave=8)
    hr, lr, _ = low_resolution(load_rgb(crops.paths[0]), 2, "pil")
    assert row.images[0].psnr_y == psnr_y(enlarge_bicubic(lr, hr.shape[:2]), hr, 8)
    for shave in (-1, "all", 1.5):
        with pytest.raises(UsageError, match="border"):
            evaluate({}, [crops], [2], shave=shave)  # type: ignore[arg-type]


def test_the_downsampling_really_used_is_in_the_row(crops: Dataset) -> None:
    rows = evaluate({}, [crops], [2, 2.5, 6], "matlab", shave=2)
    assert [row.downsample for row in rows] == ["matlab", "pil", "pil"]


def test_lr_is_coded_at_every_quality_asked(crops: Dataset) -> None:
    seen: list[tuple[int, int, str]] = []
    rows = evaluate(
        {"nearest": nearest}, [crops], [2], jpeg=[None, 40, 10, 40], progress=lambda *call: seen.append(call)
    )
    assert [(row.jpeg, row.method) for row in rows] == [
        (quality, method) for quality in (None, 40, 10) for method in (BICUBIC, "nearest")
    ]
    assert rows[0].psnr_y > rows[2].psnr_y + 0.5 > rows[4].psnr_y + 1
    plain = evaluate({"nearest": nearest}, [crops], [2])
    for row, uncoded in zip(rows, plain, strict=False):
        assert [(s.image, s.psnr_y, s.ssim_y) for s in row.images] == [
            (s.image, s.psnr_y, s.ssim_y) for s in uncoded.images
        ]
    hr, lr, _ = low_resolution(load_rgb(crops.paths[0]), 2, "pil")
    assert rows[4].images[0].psnr_y == psnr_y(enlarge_bicubic(jpeg_coded(lr, 10), hr.shape[:2]), hr, 2)
    assert [done for done, _, _ in seen] == list(range(13))
    assert {total for _, total, _ in seen} == {12}
    assert "JPEG 40" in seen[2][2]
    for wrong in ([0], [101]):
        with pytest.raises(UsageError, match="quality"):
            evaluate({}, [crops], [2], jpeg=wrong)
    with pytest.raises(UsageError, match="Nothing"):
        evaluate({}, [crops], [2], jpeg=[])


def test_limit_takes_the_first_pictures_and_progress_counts_them(crops: Dataset) -> None:
    seen: list[tuple[int, int, str]] = []
    rows = evaluate({"nearest": nearest}, [crops], [2], limit=1, progress=lambda *call: seen.append(call))
    assert [score.image for score in rows[0].images] == ["kodim08.png"]
    assert [done for done, _, _ in seen] == [0, 1, 2]
    assert {total for _, total, _ in seen} == {2}
    assert "kodim08.png" in seen[0][2]
    with pytest.raises(UsageError, match="limit"):
        evaluate({}, [crops], [2], limit=0)


def test_every_method_gets_the_same_untouched_lr(crops: Dataset) -> None:
    def spoiling(lr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
        result = nearest(lr, size)
        lr[:] = 0
        return result

    _, first, second = evaluate({"spoiling": spoiling, "nearest": nearest}, [crops], [2])
    assert [score.psnr_y for score in first.images] == [score.psnr_y for score in second.images]


def test_useless_results_name_the_method_and_the_picture(crops: Dataset) -> None:
    for useless, told in (
        (lambda lr, size: nearest(lr, (size[0] - 1, size[1])), "expected float32"),
        (lambda lr, size: nearest(lr, size).astype(np.float64), "float64"),
        (lambda lr, size: nearest(lr, size) * np.float32("nan"), "not numbers"),
    ):
        with pytest.raises(EngineError, match=rf"mine on kodim08\.png.*{told}"):
            evaluate({"mine": useless}, [crops], [2])


def test_senseless_requests_are_refused(crops: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Nothing"):
        evaluate({}, [], [2])
    with pytest.raises(UsageError, match="Nothing"):
        evaluate({}, [crops], [])
    with pytest.raises(UsageError, match=r"kodim08\.png.*above 1"):
        evaluate({}, [crops], [1])
    with pytest.raises(UsageError, match=r"kodim08\.png.*too small"):
        evaluate({}, [crops], [66])
    (tmp_path / "torn.png").write_bytes(b"torn")
    with pytest.raises(ImageError, match="torn"):
        evaluate({}, find_datasets([tmp_path]), [2])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("kodim23", (32.6230, 31.1891, 0.92152)), ("kodim08", (22.0237, 20.7304, 0.62981))],
)
def test_bundled_photographs_score_what_they_did(
    examples: Path, name: str, expected: tuple[float, float, float]
) -> None:
    hr, lr, _ = low_resolution(load_rgb(examples / f"{name}.png"), 3, "pil")
    result = enlarge_bicubic(lr, hr.shape[:2])
    measured = psnr_y(result, hr, 3), psnr_rgb(result, hr, 3), ssim_y(result, hr, 3)
    assert measured == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("name", "published"), [("Set5", (33.67, 30.40, 28.43)), ("Set14", (30.33, 27.63, 26.09))])
def test_bicubic_on_the_benchmarks(benchmark_data: Path, name: str, published: tuple[float, ...]) -> None:
    rows = evaluate({}, find_datasets([benchmark_data / "eval" / name]), [2, 3, 4], "pil")
    assert [row.psnr_y for row in rows] == pytest.approx(published, abs=0.01)


def test_importing_loads_no_framework_and_nothing_of_the_extra() -> None:
    heavy = ("torch", "openvino", "PIL", "skimage", "scipy", "cv2")
    code = (
        "import pkgutil, sys, importlib, edge_liif.evaluate as package\n"
        "for module in pkgutil.iter_modules(package.__path__):\n"
        "    importlib.import_module(f'edge_liif.evaluate.{module.name}')\n"
        "package.environment_facts()\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
