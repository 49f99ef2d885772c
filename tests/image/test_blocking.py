"""The 8x8 grid: found after JPEG wherever it starts, not found in clean pictures and drawn ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_liif.image.blocking import Blocking, blocking, grid_votes, luma16

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module", params=["kodim08", "kodim23"])
def photo(request: pytest.FixtureRequest) -> Pixels:
    """A photograph without JPEG, RGB (512, 768, 3)."""
    return np.ascontiguousarray(cv2.imread(str(EXAMPLES / f"{request.param}.png"))[:, :, ::-1])


@pytest.fixture(scope="module")
def small(photo: Pixels) -> Pixels:
    return cv2.resize(photo, (384, 256), interpolation=cv2.INTER_AREA)


def coded(picture: Pixels, quality: int) -> Pixels:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def look(picture: Pixels, without: int | None = None) -> Blocking | None:
    return blocking(grid_votes(luma16(picture)), without)


def detected(picture: Pixels) -> bool:
    found = look(picture)
    return found is not None and found.detected


def grey(values: NDArray[np.generic]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)[:, :, None]


def test_clean_photographs(photo: Pixels, small: Pixels) -> None:
    for picture in (photo, small, photo[3:, 5:], photo[:, ::-1], photo[100:228, 200:328]):
        found = look(np.ascontiguousarray(picture))
        assert found is not None and found.score < 0.05
        assert not found.detected and found.quality is None


@pytest.mark.parametrize("quality", [10, 20, 30, 40, 60, 80])
def test_coded_photographs(photo: Pixels, small: Pixels, quality: int) -> None:
    for picture in (photo, small):
        assert detected(coded(picture, quality))
    assert detected(coded(small[:, :, :1], quality)[:, :, :1])


def test_the_score_falls_and_the_quality_rises(photo: Pixels) -> None:
    found = [look(coded(photo, quality)) for quality in (10, 20, 30, 40, 60, 80)]
    scores = [f.score for f in found if f is not None]
    qualities = [f.quality for f in found if f is not None and f.quality is not None]
    assert len(scores) == len(qualities) == 6
    assert scores == sorted(scores, reverse=True)
    assert qualities == sorted(qualities)
    assert qualities[0] < 25 and qualities[-1] > 50


@pytest.mark.parametrize(("top", "left"), [(0, 0), (1, 0), (0, 7), (3, 5), (4, 4), (6, 2)])
def test_every_origin_is_found_and_named(small: Pixels, top: int, left: int) -> None:
    cropped = np.ascontiguousarray(coded(small, 30)[top:, left:])
    votes = grid_votes(luma16(cropped))
    assert detected(cropped)
    assert votes.argmax(axis=1).tolist() == [-top % 8, -left % 8]


def test_an_older_grid_beside_the_files_own(small: Pixels) -> None:
    again = coded(np.ascontiguousarray(coded(small, 20)[3:, 5:]), 95)
    older, own = look(again, without=0), look(coded(small, 95), without=0)
    assert older is not None and older.detected
    assert own is not None and not own.detected


def test_coded_and_reduced_has_no_grid_of_eight(photo: Pixels) -> None:
    assert not detected(cv2.resize(coded(photo, 30), (384, 256), interpolation=cv2.INTER_AREA))


# Bicubic by 8 is not here: its kinks lie 8 apart and can be taken for blocks.
@pytest.mark.parametrize(
    ("method", "factor"),
    [(method, factor) for method in (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4) for factor in (2, 4, 8)]
    + [(cv2.INTER_CUBIC, 2), (cv2.INTER_CUBIC, 4)],
)
def test_enlarged_photographs(photo: Pixels, method: int, factor: int) -> None:
    reduced = cv2.resize(photo, (768 // factor, 512 // factor), interpolation=cv2.INTER_AREA)
    assert not detected(cv2.resize(reduced, (768, 512), interpolation=method))


def test_drawn_pictures() -> None:
    generator = np.random.default_rng(1)
    rows, columns = np.mgrid[:384, :512]
    checks = (rows // 8 + columns // 8) % 2
    tiles = generator.integers(0, 256, (6, 8, 8))[generator.integers(0, 6, (48, 64))]
    window = np.full((384, 512), 240, np.uint8)
    for left in range(16, 480, 64):
        cv2.rectangle(window, (left, 16), (left + 48, 200), 200.0)
        cv2.putText(window, "Panel", (left + 2, 40), cv2.FONT_HERSHEY_PLAIN, 1, 40.0, 1, cv2.LINE_AA)
    for top in range(224, 384, 24):
        cv2.putText(window, "some text in a window", (16, top), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 60.0, 1, cv2.LINE_AA)
        cv2.line(window, (0, top + 8), (511, top + 8), 220.0)
    drawn = {
        "checks": checks * 255,
        "faint checks": 110 + checks * 12,
        "checks on a slope": 60 + columns / 4 + checks * 12,
        "pixel art": np.kron(generator.integers(0, 256, (48, 64)), np.ones((8, 8))),
        "tiles": tiles.transpose(0, 2, 1, 3).reshape(384, 512),
        "window": window,
        "waves of 8": 128 + 40 * np.sin(columns * np.pi / 4) + 40 * np.sin(rows * np.pi / 4),
        "waves of 8, noise": 128 + 40 * np.sin(columns * np.pi / 4 + 0.3) + generator.normal(0, 5, rows.shape),
        "noise": generator.integers(0, 256, (384, 512)),
        "slope": columns / 2,
        "flat": np.full((384, 512), 77),
    }
    for name, picture in drawn.items():
        assert not detected(grey(picture)), name
    assert detected(coded(grey(window), 30)[:, :, :1])


def test_a_frame_is_one_line_not_a_grid() -> None:
    generator = np.random.default_rng(2)
    picture = 240 + generator.normal(0, 0.4, (256, 256))
    picture[40:220, 16:240] -= 12
    assert not detected(grey(picture))


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (9, 300), (300, 9), (10, 10), (16, 16)])
def test_too_small_to_tell(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(3).integers(0, 50, (*shape, 3)).astype(np.uint8)
    assert look(picture) is None


def test_small_crops_of_clean_photographs(photo: Pixels) -> None:
    generator = np.random.default_rng(4)
    for side in (64, 96, 128):
        for _ in range(20):
            top, left = generator.integers(0, 512 - side), generator.integers(0, 768 - side)
            assert not detected(np.ascontiguousarray(photo[top : top + side, left : left + side]))


def test_all_kinds_of_pixels_give_one_luma(small: Pixels) -> None:
    luma = luma16(small)
    exact = small.astype(np.float64) @ [0.299, 0.587, 0.114] * 16
    assert luma.dtype == np.int16
    assert np.abs(luma - exact).max() < 12  # weights in 1/256
    opaque = np.full((*small.shape[:2], 1), 255, np.uint8)
    assert np.array_equal(luma16(np.dstack([small, opaque])), luma)
    assert np.array_equal(luma16(small.astype(np.uint16) * 257), luma)
    one = small[:, :, :1]
    assert np.array_equal(luma16(one), luma16(np.dstack([one, opaque])))
    assert luma16(np.full((2, 2, 3), 255, np.uint8)).max() == luma16(np.full((2, 2, 1), 255, np.uint8)).max() == 4080
