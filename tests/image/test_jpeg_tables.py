"""Quantization tables: the quality they were made with, and bytes that are no tables."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_liif.errors import ImageError
from edge_liif.image.containers import scan_jpeg
from edge_liif.image.jpeg_tables import libjpeg_table, quality_of, quantization_tables
from edge_liif.image.read import open_source, probe

Encode = Callable[..., bytes]
QUALITIES = [1, 2, 5, 10, 20, 33, 49, 50, 51, 75, 90, 93, 95, 97, 98, 99, 100]


def segment(*tables: tuple[int, ...], wide: bool = False) -> bytes:
    """A DQT segment's contents with tables 0, 1, ..."""
    size = 2 if wide else 1
    return b"".join(
        bytes([number | (0x10 if wide else 0)]) + b"".join(step.to_bytes(size, "big") for step in table)
        for number, table in enumerate(tables)
    )


def dqt(contents: bytes) -> bytes:
    return b"\xff\xdb" + (len(contents) + 2).to_bytes(2, "big") + contents


def replace_tables(jpeg: bytes, before_frame: bytes, after_frame: bytes = b"") -> bytes:
    """A JPEG of Pillow's or OpenCV's with other segments in place of its DQT segments."""
    frame = next(i for i in range(len(jpeg)) if jpeg[i : i + 2] == b"\xff\xc0")
    end = frame + 2 + int.from_bytes(jpeg[frame + 2 : frame + 4], "big")
    return jpeg[: jpeg.index(b"\xff\xdb")] + before_frame + jpeg[frame:end] + after_frame + jpeg[end:]


@pytest.mark.parametrize("quality", QUALITIES)
def test_quality_of_files(noise: np.ndarray, encode: Encode, quality: int) -> None:
    rgb = np.ascontiguousarray(noise[:, :, :3])
    for options in ({}, {"progressive": True}, {"subsampling": 0}):
        assert probe(encode(rgb, "JPEG", quality=quality, **options)).jpeg_quality == quality
    assert probe(encode(rgb[:, :, :1], "JPEG", quality=quality)).jpeg_quality == quality
    _, coded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert probe(coded.tobytes()).jpeg_quality == quality


def test_every_table_is_its_own_quality() -> None:
    for largest in (255, 32767):
        assert [quality_of(libjpeg_table(quality, largest)) for quality in range(1, 101)] == list(range(1, 101))


def test_tables_of_other_encoders_get_the_nearest_quality() -> None:
    for quality in (20, 50, 80, 92):
        generator = np.random.default_rng(quality)
        near = [
            max(1, round(step * factor))
            for step, factor in zip(libjpeg_table(quality), generator.uniform(0.93, 1.08, 64), strict=True)
        ]
        assert tuple(near) != libjpeg_table(quality)
        assert quality_of(near) == pytest.approx(quality, abs=2)
    flat = [quality_of([step] * 64) for step in (1, 2, 4, 8, 16, 40, 99, 255, 65535)]
    assert flat == sorted(flat, reverse=True)
    assert flat[0] == 100 and flat[-1] == 1


def test_segments_with_several_tables_and_16_bits() -> None:
    first, second = libjpeg_table(40), libjpeg_table(7, 32767)
    third = tuple(range(1, 65))
    assert quantization_tables(segment(first, third)) == {0: first, 1: third}
    assert quantization_tables(segment(first, third) + segment(third)) == {0: third, 1: third}
    assert max(second) > 255
    assert quantization_tables(segment(first, second, wide=True)) == {0: first, 1: second}
    assert quality_of(second) == 7


@pytest.mark.parametrize(
    ("contents", "kept"),
    [
        (b"", 0),
        (b"\x00", 0),
        (segment(libjpeg_table(50))[:-1], 0),
        (segment(libjpeg_table(50), wide=True)[:-1], 0),
        (segment(libjpeg_table(50)) + b"\x01" + bytes(10), 1),
        (b"\x20" + bytes(range(1, 65)), 0),  # a precision that does not exist
        (b"\x04" + bytes(range(1, 65)), 0),  # a fifth table
        (b"\x00" + bytes(64), 0),  # steps of zero
        (segment(*[libjpeg_table(q) for q in (10, 20, 30, 40)]) * 100, 4),
    ],
)
def test_hostile_segments(contents: bytes, kept: int) -> None:
    assert len(quantization_tables(contents)) == kept


def test_the_table_of_the_first_component_counts(noise: np.ndarray, encode: Encode) -> None:
    jpeg = encode(noise[:, :, :3], "JPEG", quality=80)
    chroma_first = b"\x01" + segment(libjpeg_table(10))[1:] + segment(libjpeg_table(60))
    assert probe(replace_tables(jpeg, dqt(chroma_first))).jpeg_quality == 60
    twice = dqt(segment(libjpeg_table(10), libjpeg_table(10))) + dqt(segment(libjpeg_table(70)))
    assert probe(replace_tables(jpeg, twice)).jpeg_quality == 70
    behind = dqt(segment(libjpeg_table(30), libjpeg_table(30)))
    assert probe(replace_tables(jpeg, b"", behind)).jpeg_quality == 30


def test_no_tables_is_no_quality(noise: np.ndarray, encode: Encode) -> None:
    jpeg = encode(noise[:, :, :3], "JPEG", quality=80)
    for without in (b"", dqt(b""), dqt(b"\x00\x01\x02"), dqt(segment(libjpeg_table(50))[1:])):
        assert scan_jpeg(open_source(replace_tables(jpeg, without))).quality is None


def test_damaged_bytes_raise_image_errors_only(noise: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise[:, :, :3]).save(buffer, "JPEG", quality=35)
    whole = buffer.getvalue()
    start = whole.index(b"\xff\xdb")
    generator = np.random.default_rng(0)
    found = set()
    for trial in range(400):
        data = bytearray(whole[: len(whole) if trial % 2 else int(generator.integers(3, len(whole)))])
        for _ in range(4):
            data[int(generator.integers(2, min(len(data), start + 300)))] = int(generator.integers(256))
        try:
            found.add(probe(bytes(data)).jpeg_quality)
        except ImageError:
            continue
    assert 35 in found
    assert all(quality is None or 1 <= quality <= 100 for quality in found)
