"""Pictures that can't be enlarged: one clear line, exit status, nothing made, nothing changed."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..png import png_bomb
from .pictures import gradient

RUN = ("--scale", "2", "--quiet")


def test_truncated(refused, picture):
    for name in ("a.png", "a.jpg", "a.webp"):
        path = picture(name, 64, 64)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        line = refused("run", name, *RUN)
        assert line.startswith(f"edge-liif: {name}: ")
        assert "damaged" in line or "truncated" in line or "ends" in line


def test_empty(refused):
    Path("a.png").write_bytes(b"")
    assert "a.png: is empty (0 bytes)" in refused("run", "a.png", *RUN)


def test_text_named_png(refused):
    Path("a.png").write_text("This is a letter, not a picture.\n" * 20)
    line = refused("run", "a.png", *RUN)
    assert "a.png: is not a picture" in line
    assert "PNG, JPEG" in line


def test_kind_that_is_not_read(refused):
    Path("a.jpg").write_bytes(b"%PDF-1.7\n" + bytes(100))
    assert "is PDF" in refused("run", "a.jpg", *RUN)


def test_missing(refused):
    assert refused("run", "a.png", *RUN).endswith("a.png: does not exist; check the path")


def test_folder_without_pictures(refused):
    Path("empty").mkdir()
    Path("empty/notes.txt").write_text("x")
    assert "empty: no pictures in this folder (--recursive" in refused("run", "empty", *RUN, status=2)


def test_pattern_without_pictures(refused):
    assert "no file matches" in refused("run", "*.png", *RUN, status=2)


def test_folder_named_like_a_picture(refused):
    Path("a.png").mkdir()
    assert "no pictures in this folder" in refused("run", "a.png", *RUN, status=2)


def test_empty_name(refused, picture):
    picture("a.png")  # an unset variable must not mean "everything here"
    assert "empty name" in refused("run", "", *RUN, status=2)


def test_names_that_are_too_long(cli, picture):
    done = cli("run", "a" * 300 + ".png", *RUN)
    assert done.status == 1
    assert done.stderr.endswith("aaa.png: can't be opened (File name too long); check the path\n")
    longest = "b" * 251 + ".png"  # it can exist, but what its result would be called can't
    picture(longest)
    done = cli("run", longest, *RUN)
    assert done.status == 1
    assert done.stderr.endswith("give another name\n")


def test_unreadable(refused, command, ordinary_user, picture):
    picture("a.png").chmod(0)

    def call(*arguments):
        return command(*arguments, prefix=ordinary_user)

    try:
        line = refused("run", "a.png", *RUN, call=call)
    finally:
        Path("a.png").chmod(0o600)
    assert "a.png: may not be read (permission denied)" in line


def test_device_as_input(refused):
    assert "is a device" in refused("run", "/dev/zero", *RUN, "-o", "a.png")


def test_cmyk(refused):
    Image.new("CMYK", (8, 8)).save("a.jpg")
    assert "CMYK; convert it to RGB" in refused("run", "a.jpg", *RUN)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_animated(refused, kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(f"a.{kind}", save_all=True, append_images=frames[1:], duration=100)
    assert "animated" in refused("run", f"a.{kind}", *RUN)


def test_float(refused):
    Image.fromarray(gradient()[..., 0].astype(np.float32) / 255).save("a.tif")
    assert "float" in refused("run", "a.tif", *RUN)


def test_alpha_to_jpeg_needs_a_background(refused, picture):
    picture("a.png", mode="RGBA")
    line = refused("run", "a.png", *RUN, "-o", "a.jpg")
    for part in ("can't hold transparency", ".png", ".tif", ".webp", "--background"):
        assert part in line


def test_bomb_above_max_pixels(refused):
    Path("a.png").write_bytes(png_bomb(100_000))
    line = refused("run", "a.png", *RUN)
    assert "10,000,000,000 pixels, more than the limit of 500,000,000" in line
    assert "--max-pixels" in line


def test_bomb_below_max_pixels_meets_the_memory_cap(refused):
    Path("a.png").write_bytes(png_bomb(20_000))
    line = refused("run", "a.png", *RUN, "--memory", "200MiB")
    assert "does not fit into --memory 200MiB" in line


def test_bomb_that_fits_into_a_file_is_found_there(refused, command):
    """Its pixels would wait on the disk; it ends long before them, and takes no more memory than the cap."""
    Path("a.png").write_bytes(png_bomb(20_000))
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))  # noqa: E731
    line = refused("run", "a.png", *RUN, "--memory", "512MiB", call=lambda *words: command(*words, preexec_fn=limit))
    assert "a.png: is truncated or damaged" in line


def test_max_pixels_is_the_users(refused, picture):
    picture("a.png")
    assert "192 pixels, more than the limit of 191" in refused("run", "a.png", *RUN, "--max-pixels", "191")


def test_stdin_that_does_not_end_is_cut_off(command):
    with Path("/dev/zero").open("rb") as zeros:
        done = command("run", "-", *RUN, "-o", "a.png", "--max-pixels", "1000", stdin=zeros.read(3 << 20))
    assert done.status == 1
    assert "more bytes than --max-pixels allows" in done.stderr


def test_extension_does_not_matter(cli, picture):
    shutil.move(picture("a.png"), "a.txt")
    assert cli("run", "a.txt", *RUN).status == 0
    assert Path("a_x2.png").exists()
