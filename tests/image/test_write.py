"""Writing: what arrives in rows is in the file exactly, and a file is there complete or not at all."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import io
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_liif.errors import OutputError, UsageError
from edge_liif.image import part_file
from edge_liif.image.picture import Header
from edge_liif.image.read import read
from edge_liif.image.write import (
    FORMATS,
    RowWriter,
    check_output,
    check_target,
    format_for,
    quantise,
    remove_stale_parts,
    writer_peak_bytes,
)

Encode = Callable[..., bytes]
LIMIT = 10**6


def write(output: object, fmt: str, array: np.ndarray, step: int = 8, **options: object) -> RowWriter:
    height, width, bands = array.shape
    with RowWriter(output, fmt, width, height, bands, array.itemsize * 8, **options) as writer:  # type: ignore[arg-type]
        for top in range(0, height, step):
            writer.write(array[top : top + step])
        writer.commit()
    return writer


def failure(action: Callable[[], object], *words: str) -> None:
    with pytest.raises(OutputError) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    assert "; " in line
    for word in words:
        assert word in line


def encoder_threads() -> int:
    return sum(thread.name == "encoder" for thread in threading.enumerate())


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("fmt", ["png", "tiff"])
def test_exact_round_trip(noise: np.ndarray, tmp_path: Path, fmt: str, depth: int, bands: int) -> None:
    array = noise[:, :, :bands].copy()
    if depth == 16:
        array = array.astype(np.uint16) * 251 + 3
    path = tmp_path / f"o.{fmt}"
    write(path, fmt, array, step=5)
    picture = read(path, max_pixels=LIMIT)
    assert picture.pixels.dtype == array.dtype
    assert np.array_equal(picture.pixels, array)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_lossless_webp(noise: np.ndarray, tmp_path: Path, bands: int) -> None:
    array = noise[:, :, :bands].copy()
    array[3, :, -1] = 0  # colour under transparent pixels is kept too
    path = tmp_path / "o.webp"
    write(path, "webp", array, lossless=True)
    colour = np.repeat(array[:, :, :1], 3, 2) if bands < 3 else array[:, :, :3]
    expected = np.concatenate([colour, array[:, :, -1:]], 2) if bands in (2, 4) else colour
    assert np.array_equal(read(path, max_pixels=LIMIT).pixels, expected)


def test_lossy_formats_are_close_and_jpeg_keeps_chroma(tmp_path: Path) -> None:
    y, x = np.mgrid[:64, :80]
    array = np.dstack([2 * x, 3 * y, x + y]).astype(np.uint8)
    for fmt in ("jpeg", "webp"):
        write(tmp_path / "o", fmt, array, overwrite=True)
        assert np.abs(read(tmp_path / "o", max_pixels=LIMIT).pixels.astype(int) - array).mean() < 3
    write(tmp_path / "o.jpg", "jpeg", array)
    with Image.open(tmp_path / "o.jpg") as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3
    coarse = tmp_path / "coarse.jpg"
    write(coarse, "jpeg", array, quality=20)
    assert coarse.stat().st_size < (tmp_path / "o.jpg").stat().st_size
    write(tmp_path / "grey.jpg", "jpeg", array[:, :, :1])
    assert read(tmp_path / "grey.jpg", max_pixels=LIMIT).header.bands == 1


@pytest.mark.parametrize("fmt", list(FORMATS))
@pytest.mark.parametrize("to_stream", [False, True])
def test_metadata_round_trip(
    noise: np.ndarray,
    icc: bytes,
    exif: Image.Exif,
    xmp: bytes,
    fmt: str,
    to_stream: bool,
    tmp_path: Path,
    encode: Encode,
) -> None:
    picture = read(encode(noise[:, :, :3], "JPEG", icc_profile=icc, exif=exif, xmp=xmp), max_pixels=LIMIT)
    path = tmp_path / "o"
    output: object = io.BytesIO() if to_stream else path
    writer = write(
        output, fmt, picture.pixels, icc=picture.icc, exif=picture.exif, xmp=picture.xmp, density=picture.density
    )
    assert writer.warnings == []
    if isinstance(output, io.BytesIO):
        path.write_bytes(output.getvalue())
    again = read(path, max_pixels=LIMIT)
    assert again.icc == icc
    assert again.xmp == picture.xmp
    assert again.header.orientation == 1
    assert again.density == pytest.approx((300 / 25.4, 300 / 25.4), rel=1e-3)
    with Image.open(path) as image:
        kept = image.getexif()
        assert kept.get(0x0112, 1) == 1
        assert kept[0x0110] == "Model 3000"
        inner = kept.get_ifd(0x8769)
        assert inner[0x9003] == "2020:01:02 03:04:05"
        assert kept.get_ifd(0x8825)[1] == "N"
        height, width = picture.pixels.shape[:2]
        assert (inner.get(0xA002, width), inner.get(0xA003, height)) == (width, height)


@pytest.mark.parametrize("fmt", list(FORMATS))
def test_nothing_is_made_up_without_metadata(noise: np.ndarray, fmt: str, tmp_path: Path) -> None:
    write(tmp_path / "o", fmt, noise[:, :, :3])
    picture = read(tmp_path / "o", max_pixels=LIMIT)
    assert (picture.icc, picture.exif, picture.xmp) == (None, None, None)


def test_grey_profile_is_kept_for_grey_and_others_are_dropped(
    noise: np.ndarray, icc: bytes, grey_icc: bytes, tmp_path: Path
) -> None:
    for fmt in ("png", "jpeg", "tiff"):
        path = tmp_path / fmt
        write(path, fmt, noise[:, :, :1], icc=grey_icc)
        assert read(path, max_pixels=LIMIT).icc == grey_icc, fmt
        writer = write(path, fmt, noise[:, :, :1], icc=icc, overwrite=True)
        assert read(path, max_pixels=LIMIT).icc is None
        assert "profile" in writer.warnings[0]
        writer = write(path, fmt, noise[:, :, :3], icc=grey_icc, overwrite=True)
        assert read(path, max_pixels=LIMIT).icc is None
        assert "profile" in writer.warnings[0]


def test_metadata_beyond_a_jpeg_segment_is_dropped_with_a_warning(noise: np.ndarray, tmp_path: Path) -> None:
    writer = write(tmp_path / "o.jpg", "jpeg", noise[:, :, :3], exif=bytes(70_000), xmp=b"<x/>" * 20_000)
    assert len(writer.warnings) == 2
    read(tmp_path / "o.jpg", max_pixels=LIMIT)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.integers(0, 40), min_size=1, max_size=12), fmt=st.sampled_from(list(FORMATS)))
def test_pieces_equal_one_shot(steps: list[int], fmt: str) -> None:
    array = np.random.default_rng(5).integers(0, 256, (67, 31, 3)).astype(np.uint8)
    whole, parts = io.BytesIO(), io.BytesIO()
    write(whole, fmt, array, step=67)
    with RowWriter(parts, fmt, 31, 67, 3, 8) as writer:
        top = 0
        for step in [*steps, 67]:
            writer.write(array[top : top + step])
            top = min(67, top + step)
        writer.commit()
    assert parts.getvalue() == whole.getvalue()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
@pytest.mark.parametrize("fmt", list(FORMATS))
def test_tiny_and_thin(fmt: str, shape: tuple[int, int], tmp_path: Path) -> None:
    array = np.full((*shape, 3), 120, np.uint8)
    write(tmp_path / "o", fmt, array)
    pixels = read(tmp_path / "o", max_pixels=LIMIT).pixels
    assert pixels.shape == array.shape
    assert np.abs(pixels.astype(int) - 120).max() <= 3


@pytest.mark.parametrize("fmt", ["png", "tiff"])
def test_sides_of_more_than_65535(fmt: str, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (2, 70_001, 3)).astype(np.uint8)
    write(tmp_path / "o", fmt, array)
    assert np.array_equal(read(tmp_path / "o", max_pixels=LIMIT).pixels, array)


def test_background_and_depth(tmp_path: Path) -> None:
    row = np.array([[[65535, 0, 0, 0], [0, 65535, 0, 32768]]], np.uint16)
    writer = write(tmp_path / "o.webp", "webp", row, background=(255, 0, 255), lossless=True)
    assert "reduced from 16" in writer.warnings[0]
    assert read(tmp_path / "o.webp", max_pixels=LIMIT).pixels.tolist() == [[[255, 0, 255], [127, 128, 127]]]
    write(tmp_path / "o.png", "png", row, background=(255, 0, 255))
    assert read(tmp_path / "o.png", max_pixels=LIMIT).pixels[0, 0].tolist() == [65535, 0, 65535]
    grey = np.array([[[200, 0]]], np.uint8)
    write(tmp_path / "g.jpg", "jpeg", grey, background=(9, 9, 9))
    assert read(tmp_path / "g.jpg", max_pixels=LIMIT).pixels.tolist() == [[[9]]]
    write(tmp_path / "c.png", "png", grey, background=(1, 2, 3))
    assert read(tmp_path / "c.png", max_pixels=LIMIT).pixels.tolist() == [[[1, 2, 3]]]


def test_16_bits_are_reduced_to_the_nearest(tmp_path: Path) -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    write(tmp_path / "o.webp", "webp", every, lossless=True)
    got = read(tmp_path / "o.webp", max_pixels=LIMIT).pixels[..., 0].ravel()
    assert np.array_equal(got, np.floor(np.arange(65536) / 257 + 0.5))


def test_quantise() -> None:
    values = np.array([[[-1.0, 0.0, 0.5, 1.0, 7.0, 100.4 / 255, 100.6 / 255]]], np.float32)
    assert quantise(values.copy(), 8).ravel().tolist() == [0, 0, 128, 255, 255, 100, 101]
    assert quantise(values.copy(), 16).ravel().tolist()[2:5] == [32768, 65535, 65535]
    for depth in (8, 16):
        every = np.arange(2**depth)
        assert np.array_equal(quantise((every / (2**depth - 1)).astype(np.float32), depth), every)
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="finite"):
            quantise(np.array([bad], np.float32), 8)
    constant = values.copy()
    constant.flags.writeable = False
    quantise(constant, 8)
    assert np.array_equal(constant, values)


def test_format_for() -> None:
    header = Header(1, 1, 3, 8, "tiff", "x")
    for path, fmt in {"a.PNG": "png", "a.jpg": "jpeg", "b.c/a.JPEG": "jpeg", "a.tif": "tiff", "a.webp": "webp"}.items():
        assert format_for(path, None, header) == fmt
    assert format_for("a.png", "jpg", header) == "jpeg"
    assert format_for(None, None, header) == "tiff"
    assert format_for("-", None, Header(1, 1, 3, 8, "gif", "x")) == "png"
    for path in ("a.gif", "a.heic", "plain", "a.png.zip"):
        failure(lambda path=path: format_for(path, None, header), path, ".png", ".tif", ".webp", ".jpg")
    with pytest.raises(UsageError, match="png, jpeg, tiff, webp"):
        format_for("a.png", "gif", header)


def test_limits_are_stated_before_work_starts(tmp_path: Path) -> None:
    failure(lambda: check_output("jpeg", 65_536, 10, 3, 8), "65,535", ".png or .tif")
    failure(lambda: check_output("webp", 10, 16_384, 3, 8), "16,383", ".png or .tif")
    failure(lambda: check_output("png", 2_000_000, 1, 3, 8), "1,000,000", ".tif")
    failure(lambda: check_output("tiff", 20_000_000, 1, 3, 8), "10,000,000")
    failure(lambda: check_output("png", 0, 5, 3, 8), "at least one pixel")
    for bands in (2, 4):
        failure(lambda bands=bands: check_output("jpeg", 9, 9, bands, 8), ".png, .tif, .webp", "--background '#ffffff'")
        assert check_output("jpeg", 9, 9, bands, 8, (255, 255, 255)).bands == bands - 1
    assert check_output("jpeg", 65_535, 65_535, 3, 8).warnings == []
    assert not check_output("tiff", 30_000, 30_000, 3, 8).bigtiff
    assert check_output("tiff", 40_000, 30_000, 3, 8).bigtiff
    assert check_output("tiff", 30_000, 30_000, 3, 16).bigtiff
    failure(lambda: RowWriter(tmp_path / "o.jpg", "jpeg", 70_000, 1, 3, 8), "65,535")
    assert list(tmp_path.iterdir()) == []
    assert writer_peak_bytes("webp", 10_000, 10_000, 3, 8) > 6 * writer_peak_bytes("jpeg", 10_000, 10_000, 3, 8)
    assert writer_peak_bytes("webp", 1000, 1000, 3, 8, lossless=True) > writer_peak_bytes("webp", 1000, 1000, 3, 8)


def test_abandoned_and_failed_writers_leave_nothing(noise: np.ndarray, tmp_path: Path) -> None:
    before = encoder_threads()
    for fmt in FORMATS:
        array = np.ascontiguousarray(noise[:, :, :3])
        path = tmp_path / "o"
        with RowWriter(path, fmt, 53, 37, 3, 8) as writer:
            writer.write(array[:20])
        with pytest.raises(KeyError), RowWriter(path, fmt, 53, 37, 3, 8) as writer:
            writer.write(array)
            raise KeyError("anything")
        with RowWriter(path, fmt, 53, 37, 3, 8):
            pass
        with RowWriter(path, fmt, 53, 37, 3, 8) as writer:
            writer.write(array[:36])
            failure(writer.commit, "36 of 37 rows")
        with RowWriter(path, fmt, 53, 37, 3, 8) as writer:
            writer.write(array)
            failure(lambda writer=writer, array=array: writer.write(array[:1]), "more rows")
        with RowWriter(path, fmt, 53, 37, 3, 8) as writer, pytest.raises(ValueError, match="expected"):
            writer.write(array[:, :50])
        with RowWriter(path, fmt, 53, 37, 3, 8) as writer, pytest.raises(ValueError, match="expected"):
            writer.write(array.astype(np.uint16))
        assert list(tmp_path.iterdir()) == []
    assert encoder_threads() == before


def test_a_large_picture_can_be_abandoned_midway(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (500, 4000, 3)).astype(np.uint8)
    for fmt in FORMATS:
        with RowWriter(tmp_path / "o", fmt, 4000, 10_000, 3, 8) as writer:
            writer.write(rows)
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_untouched(noise: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "o.png"
    path.write_bytes(b"precious")
    failure(lambda: check_target(path, False), "exists; use --overwrite or --resume")
    failure(lambda: write(path, "png", noise), "exists")
    with RowWriter(path, "png", 53, 37, 4, 8, overwrite=True) as writer:
        writer.write(noise[:9])
    assert path.read_bytes() == b"precious"
    check_target(path, True)
    assert path.read_bytes() == b"precious"
    write(path, "png", noise, overwrite=True)
    assert np.array_equal(read(path, max_pixels=LIMIT).pixels, noise)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Take "links", or links and also "renaming" that replaces nothing, away from the file system."""

    def no_links(*_: object) -> None:
        raise PermissionError("no hard links on this file system")

    def take(what: str) -> None:
        if what:
            monkeypatch.setattr(part_file.os, "link", no_links)
        if what == "renaming":
            monkeypatch.setattr(part_file, "_renamed", lambda *_: False)

    return take


@pytest.mark.parametrize("lacks", ["", "links", "renaming"])
def test_a_file_that_appears_meanwhile_is_not_replaced(
    noise: np.ndarray, tmp_path: Path, without: Callable[[str], None], lacks: str
) -> None:
    without(lacks)
    path = tmp_path / "o.png"
    with RowWriter(path, "png", 53, 37, 4, 8) as writer:
        writer.write(noise)
        path.write_bytes(b"first")
        failure(writer.commit, "appeared while", "--overwrite")
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["o.png"]
    path.unlink()
    write(path, "png", noise)
    assert np.array_equal(read(path, max_pixels=LIMIT).pixels, noise)
    assert [entry.name for entry in tmp_path.iterdir()] == ["o.png"]


@pytest.mark.parametrize("when", ["before the result is there", "after"])
def test_an_interrupt_leaves_no_empty_file_where_names_must_be_claimed(
    noise: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: Callable[[str], None], when: str
) -> None:
    without("renaming")
    really = Path.replace

    def interrupted(path: Path, target: Path) -> None:
        if when == "after":
            really(path, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    path = tmp_path / "o.png"
    with pytest.raises(KeyboardInterrupt):
        write(path, "png", noise)
    if when == "after":
        assert np.array_equal(read(path, max_pixels=LIMIT).pixels, noise)
    else:
        assert list(tmp_path.iterdir()) == []


def test_only_an_empty_file_that_nobody_holds_is_a_dead_claim(tmp_path: Path) -> None:
    path = tmp_path / "o.png"
    assert not part_file.remove_dead_claim(path)
    path.write_bytes(b"")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not part_file.remove_dead_claim(path)
    assert part_file.remove_dead_claim(path)
    assert not path.exists()
    path.write_bytes(b"x")
    assert not part_file.remove_dead_claim(path)
    assert path.exists()


def test_a_claim_is_held_until_the_result_is_there(
    noise: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: Callable[[str], None]
) -> None:
    without("renaming")
    really = Path.replace

    def beside_another_run(path: Path, target: Path) -> None:
        assert target.stat().st_size == 0
        assert not part_file.remove_dead_claim(target)
        really(path, target)
        assert not part_file.remove_dead_claim(target)

    monkeypatch.setattr(Path, "replace", beside_another_run)
    write(tmp_path / "o.png", "png", noise)
    assert np.array_equal(read(tmp_path / "o.png", max_pixels=LIMIT).pixels, noise)


def test_a_claim_that_was_taken_for_a_dead_one_is_made_again(
    noise: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: Callable[[str], None]
) -> None:
    without("renaming")
    really, removed = fcntl.flock, []

    def after_another_run(fd: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not removed:
            removed.append(part_file.remove_dead_claim(tmp_path / "o.png"))
        really(fd, operation)

    monkeypatch.setattr(part_file.fcntl, "flock", after_another_run)
    write(tmp_path / "o.png", "png", noise)
    assert removed == [True]
    assert np.array_equal(read(tmp_path / "o.png", max_pixels=LIMIT).pixels, noise)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_result_is_finished_although_its_other_name_can_not_be_removed(
    noise: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.link

    def link(old: Path, new: Path) -> None:
        really(old, new)
        os.unlink(old)  # noqa: PTH108

    monkeypatch.setattr(part_file.os, "link", link)
    write(tmp_path / "o.png", "png", noise)
    assert np.array_equal(read(tmp_path / "o.png", max_pixels=LIMIT).pixels, noise)


@pytest.mark.parametrize("lacks", ["", "links", "renaming"])
def test_an_unfinished_file_that_was_removed_leaves_no_empty_result(
    noise: np.ndarray, tmp_path: Path, without: Callable[[str], None], lacks: str
) -> None:
    without(lacks)
    with RowWriter(tmp_path / "o.png", "png", 53, 37, 4, 8) as writer:
        writer.write(noise)
        [part] = tmp_path.iterdir()
        part.unlink()
        failure(writer.commit, "can't be finished")
    assert list(tmp_path.iterdir()) == []


def test_without_links_a_name_is_taken_in_one_step(
    noise: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: Callable[[str], None]
) -> None:
    """Whoever is killed in the middle must not leave an empty file under the result's name."""
    if not hasattr(ctypes.CDLL(None), "renameat2"):
        pytest.skip("this system can't rename without replacing")
    without("links")
    monkeypatch.setattr(part_file.PartFile, "_claim", None)
    write(tmp_path / "o.png", "png", noise)
    assert [entry.name for entry in tmp_path.iterdir()] == ["o.png"]


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    failure(lambda: check_target(tmp_path, True), "is a directory")
    failure(lambda: check_target(tmp_path / "no" / "o.png", False), "does not exist", str(tmp_path / "no"))
    failure(lambda: check_target("/proc/o.png", False), "can't write in the folder /proc")
    failure(lambda: check_target("/dev/full", True), "device")
    (tmp_path / "file").touch()
    failure(lambda: check_target(tmp_path / "file" / "o.png", False), "can't be written")
    failure(lambda: check_target(tmp_path / ("x" * 300), False), "name")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    failure(lambda: check_target(loop, True), "loop")
    check_target(tmp_path / "fine.png", False)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "loop"]


@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits don't bind root; /proc stands in above")
def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    failure(lambda: check_target(tmp_path / "o.png", False), "permission denied")


def test_modes(noise: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "o.png"
    before = os.umask(0o027)
    try:
        write(path, "png", noise)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        write(path, "png", noise, overwrite=True)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


def test_links_are_written_through(noise: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "t.png", tmp_path / "link.png"
    target.write_bytes(b"old")
    link.symlink_to("real/t.png")
    failure(lambda: write(link, "png", noise), "exists")
    write(link, "png", noise, overwrite=True)
    assert link.is_symlink()
    assert np.array_equal(read(target, max_pixels=LIMIT).pixels, noise)


def test_long_names(noise: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 120 + ".png")
    write(path, "png", noise)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def python(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload]


FULL_DISK = """
    import os, resource, signal, sys, numpy as np
    from edge_liif.errors import OutputError
    from edge_liif.image.write import RowWriter
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    rows = np.random.default_rng(0).integers(0, 256, (64, 1000, 3)).astype(np.uint8)
    for fmt in ("png", "jpeg", "tiff", "webp"):
        try:
            with RowWriter(sys.argv[1] + "/o", fmt, 1000, 640, 3, 8) as writer:
                for _ in range(10):
                    writer.write(rows)
                writer.commit()
            sys.exit("no error")
        except OutputError as error:
            assert "file too large" in str(error) and "\\n" not in str(error), error
        assert os.listdir(sys.argv[1]) == [], fmt
"""


def test_disk_full(tmp_path: Path) -> None:
    result = python(FULL_DISK, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("fmt", list(FORMATS))
def test_full_stream(fmt: str) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (640, 1000, 3)).astype(np.uint8)
    with Path("/dev/full").open("wb", buffering=0) as full:
        failure(lambda: write(full, fmt, rows), "standard output", "no space left", "free some space")


def test_closed_pipe() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (640, 1000, 3)).astype(np.uint8)
    readable, writable = os.pipe()
    os.close(readable)
    with os.fdopen(writable, "wb", buffering=0) as pipe:
        failure(lambda: write(pipe, "png", rows), "broken pipe", "has ended")


KILLED = """
    import sys, time, numpy as np
    from edge_liif.image.write import RowWriter
    writer = RowWriter(sys.argv[1], "png", 1000, 100_000, 3, 8, overwrite=True)
    writer.write(np.zeros((2000, 1000, 3), np.uint8))
    print("started", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_leaves_only_what_the_next_one_cleans(noise: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "o.png"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        parts = list(tmp_path.glob(".o.png.*.part"))
        assert len(parts) == 1
        assert remove_stale_parts(path) == []
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.read_bytes() == b"old"
    other = tmp_path / ".other.png.1-12345678.part"
    other.touch()
    with RowWriter(path, "png", 53, 37, 4, 8, overwrite=True) as writer:
        assert remove_stale_parts(path) == parts
        writer.write(noise)
        writer.commit()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [other.name, "o.png"]


def test_parts_of_a_writer_elsewhere_stay(tmp_path: Path) -> None:
    """A process id from another container says nothing; the lock on the file does."""
    with RowWriter(tmp_path / "o.png", "png", 5, 5, 3, 8) as writer:
        assert writer._part is not None
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            ended.wait()
        foreign = writer._part.path.rename(tmp_path / f".o.png.{ended.pid}-00000000.part")
        assert remove_stale_parts(tmp_path / "o.png") == []
        foreign.rename(writer._part.path)
    assert list(tmp_path.iterdir()) == []


def test_an_unlocked_part_of_this_process_id_is_an_earlier_ones(tmp_path: Path) -> None:
    """In a container a program has the same process id at every start."""
    left = tmp_path / f".o.png.{os.getpid()}-12345678.part"
    left.touch()
    with RowWriter(tmp_path / "o.png", "png", 5, 5, 3, 8) as writer:
        assert writer._part is not None
        assert remove_stale_parts(tmp_path / "o.png") == [left]
        assert writer._part.path.exists()


@pytest.mark.parametrize(("hours", "left"), [(0, False), (2, True)])
def test_an_old_unlocked_part_is_nobodys_whoever_has_its_id_now(tmp_path: Path, hours: float, left: bool) -> None:
    """Low ids come again after every restart."""
    part = tmp_path / f".o.png.{os.getppid()}-12345678.part"
    part.touch()
    os.utime(part, (time.time() - 3600 * hours,) * 2)
    assert remove_stale_parts(tmp_path / "o.png") == ([part] if left else [])


@pytest.mark.parametrize("alive", [True, False])
def test_where_files_cannot_be_locked_the_process_id_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("edge_liif.image.part_file.fcntl.flock", no_locks)
    pid = os.getpid()
    if not alive:
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pid = ended.pid
    part = tmp_path / f".o.png.{pid}-12345678.part"
    part.touch()
    assert remove_stale_parts(tmp_path / "o.png") == ([] if alive else [part])


def test_after_an_interrupted_end_nothing_is_written_any_more() -> None:
    """The descriptor is closed then, and its number may be another file's: the encoder must have ended."""

    class Slow:
        def __init__(self) -> None:
            self.ended = 0.0

        def write(self, data: bytes) -> int:
            time.sleep(0.3)
            self.ended = time.monotonic()
            return len(data)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    sink = Slow()
    rows = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), RowWriter(sink, "png", 300, 300, 3, 8) as writer:  # type: ignore[arg-type]
            writer.write(rows)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            writer.commit()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    left = time.monotonic()
    time.sleep(0.7)
    assert 0 < sink.ended <= left


def test_a_slow_reader_holds_the_writer_back(noise: np.ndarray) -> None:
    class Slow(io.BytesIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            time.sleep(0.002)
            return super().write(data)

    stream = Slow()
    write(stream, "png", noise)
    assert np.array_equal(read(stream.getvalue(), max_pixels=LIMIT).pixels, noise)


def test_library_messages_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    code = """
        import sys
        from edge_liif.errors import ImageError
        from edge_liif.image.read import read
        for data in (b"P6 9 9 255\\n" + bytes(243), b"BM" + bytes(99), open(sys.argv[1], "rb").read()):
            try:
                read(data, max_pixels=1000)
            except ImageError:
                pass
    """
    result = python(code, tmp_path / "cut.png")
    assert (result.returncode, result.stderr) == (0, "")


def test_bigtiff_with_metadata(
    noise: np.ndarray, icc: bytes, exif: Image.Exif, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_liif.image.formats.BIGTIFF_BYTES", 1000)
    path = tmp_path / "o.tif"
    write(path, "tiff", noise, icc=icc, exif=exif.tobytes())
    assert path.read_bytes()[:4] == b"II+\0"
    picture = read(path, max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, noise)
    assert picture.icc == icc
    with Image.open(path) as image:
        assert image.getexif()[0x0110] == "Model 3000"


@pytest.mark.parametrize("fmt", list(FORMATS))
def test_orientation_in_given_metadata_never_turns_the_result(
    noise: np.ndarray, exif: Image.Exif, xmp: bytes, fmt: str, tmp_path: Path
) -> None:
    write(tmp_path / "o", fmt, noise[:, :, :3], exif=exif.tobytes(), xmp=xmp)
    picture = read(tmp_path / "o", max_pixels=LIMIT)
    assert picture.header.orientation == 1
    assert b'Orientation="1"' in (picture.xmp or b"")


def test_smooth_pictures_are_filtered(tmp_path: Path) -> None:
    """Enlarged pictures are smooth: without PNG's filters, which libvips leaves out, they take twice the space."""
    y, x = np.mgrid[:200, :300]
    waves = 127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7 + x / 50)
    rows = np.repeat(waves[:, :, None], 3, axis=2).astype(np.uint8)
    with RowWriter(tmp_path / "a.png", "png", 300, 200, 3, 8) as writer:
        writer.write(rows)
        writer.commit()
    plain = pyvips.Image.new_from_memory(rows.tobytes(), 300, 200, 3, "uchar").pngsave_buffer(filter="none")
    assert (tmp_path / "a.png").stat().st_size < 0.6 * len(plain)
