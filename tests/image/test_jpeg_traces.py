"""Files of every kind: what is found of JPEG in them, from how little of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_liif.errors import ImageError
from edge_liif.image import jpeg_traces as module
from edge_liif.image import read
from edge_liif.image.jpeg_traces import JpegTraces, jpeg_traces
from edge_liif.image.read import probe

PHOTO = cv2.imread(str(Path(__file__).resolve().parents[2] / "examples" / "kodim23.png"))
NONE = JpegTraces()


def coded(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(file(picture, ".jpg", quality), np.uint8), cv2.IMREAD_COLOR)


def file(picture: NDArray[np.generic], suffix: str, quality: int = 95, *options: int) -> bytes:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, *options] if suffix == ".jpg" else []
    return cv2.imencode(suffix, picture, settings)[1].tobytes()


def look(data: bytes | Path, enough: int = 90) -> JpegTraces:
    return jpeg_traces(data, probe(data), enough)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".ppm"])
def test_blocks_in_files_that_are_no_jpeg(suffix: str) -> None:
    clean = look(file(PHOTO, suffix))
    assert (clean.quality, clean.blocked_quality) == (None, None)
    assert clean.score is not None and clean.score < 0.05
    for quality in (20, 60):
        found = look(file(coded(PHOTO, quality)[3:, 5:], suffix))
        assert found.quality is None
        assert found.score is not None and found.score > 0.2
        assert found.blocked_quality is not None


def test_16_bits_and_lossless_webp() -> None:
    damaged = coded(PHOTO, 30)
    assert look(file(damaged.astype(np.uint16) * 257, ".png")).blocked_quality
    lossless = cv2.imencode(".webp", damaged, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert look(lossless).blocked_quality


def test_tables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_top", lambda *a, **k: pytest.fail("pixels were decoded"))
    assert look(file(PHOTO, ".jpg", 40)) == JpegTraces(40)
    assert look(file(PHOTO, ".jpg", 90)) == JpegTraces(90)


def test_jpeg_of_high_quality_is_looked_at_for_an_older_one() -> None:
    first = look(file(PHOTO, ".jpg", 93))
    assert first.quality == 93
    assert first.score is not None
    assert first.blocked_quality is None
    for older in (coded(PHOTO, 20), coded(PHOTO, 20)[3:, 5:]):
        again = look(file(np.ascontiguousarray(older), ".jpg", 95))
        assert again.quality == 95
        assert again.blocked_quality is not None


def test_a_turned_picture_keeps_its_grid(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(coded(PHOTO, 30)[:, :, ::-1]).save(path, exif=exif)
    assert probe(path).width == 512
    assert look(path).blocked_quality


def test_only_the_top_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    tall = np.tile(coded(PHOTO, 30), (8, 4, 1))
    fetched: list[tuple[int, ...]] = []
    strips = read._strips

    def spy(image: object, shape: tuple[int, ...], *rest: object) -> object:
        fetched.append(shape)
        return strips(image, shape, *rest)

    monkeypatch.setattr(read, "_strips", spy)
    assert look(file(tall, ".png")).blocked_quality
    ((rows, columns, bands),) = fetched
    assert bands == 3
    assert rows * columns <= module.LARGEST_LOOK
    assert rows * tall.shape[1] <= 2 * module.LARGEST_LOOK


def test_what_lies_below_a_damaged_row_does_not_matter() -> None:
    data = file(np.tile(coded(PHOTO, 30), (8, 1, 1)), ".png")
    header = probe(data)
    torn = bytearray(data)
    torn[len(data) * 9 // 10] ^= 0xFF
    with pytest.raises(ImageError):
        read.read(bytes(torn), max_pixels=10**8)
    assert jpeg_traces(bytes(torn), header, 90).blocked_quality


def test_large_pictures_that_must_be_decoded_whole_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.tile(coded(PHOTO, 30), (3, 2, 1))
    progressive = file(large, ".jpg", 95, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    monkeypatch.setattr(module, "read_top", lambda *a, **k: pytest.fail("pixels were decoded"))
    assert look(progressive) == JpegTraces(95)
    assert look(file(large, ".bmp")) == NONE
    assert look(file(large, ".webp")) == NONE


def test_damage_is_unknown_and_raises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = file(PHOTO, ".png")
    header = probe(data)
    assert jpeg_traces(data[:60], header, 90) == NONE
    assert jpeg_traces(b"text", header, 90) == NONE
    assert jpeg_traces(data[:5000] + bytes(len(data) - 5012) + data[-12:], header, 90) == NONE
    assert jpeg_traces(tmp_path / "gone.png", header, 90) == NONE

    def broken(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "read_top", broken)
    assert jpeg_traces(data, header, 90) == NONE


def test_small_or_flat_pictures_are_unknown() -> None:
    assert look(file(coded(PHOTO, 20)[:63, :300], ".png")) == NONE
    assert look(file(coded(PHOTO, 20)[:64, :64], ".png")).blocked_quality
    assert look(file(np.full((300, 300, 3), 90, np.uint8), ".png")) == NONE
