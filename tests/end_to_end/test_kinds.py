"""Kinds of pictures through the whole run: depth, grey, alpha, palette, profiles and EXIF."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from ..png import png_file
from .pictures import distance, gradient, size


def test_grey_stays_grey(cli, picture):
    picture("a.png", mode="L")
    assert cli("run", "a.png", "--scale", "3").status == 0
    assert distance("a_x3.png", "a.png", "L") < 4


def test_palette_becomes_rgb(cli, picture):
    picture("a.png", mode="P")
    assert cli("run", "a.png", "--scale", "3").status == 0
    assert distance("a_x3.png", "a.png", "RGB") < 8


def test_rgba_keeps_its_alpha(cli, picture):
    picture("a.png", mode="RGBA")
    assert cli("run", "a.png", "--scale", "3").status == 0
    assert distance("a_x3.png", "a.png", "RGBA") < 4


def test_grey_with_alpha_stays_so(cli):
    Image.fromarray(gradient(16, 12, 2)).save("a.png")
    assert Image.open("a.png").mode == "LA"
    assert cli("run", "a.png", "--scale", "2").status == 0
    assert distance("a_x2.png", "a.png", "LA") < 4


def test_colour_under_transparency_makes_no_dark_fringe(cli):
    array = np.zeros((16, 16, 4), np.uint8)
    array[4:12, 4:12] = 255  # white on transparent black
    Image.fromarray(array).save("a.png")
    assert cli("run", "a.png", "--scale", "3").status == 0
    result = np.asarray(Image.open("a_x3.png"))
    seen = result[..., 3] > 8
    assert seen.any()
    assert result[seen][:, :3].min() > 200


def test_background_is_put_under_transparency(cli, picture):
    Image.fromarray(np.zeros((12, 16, 4), np.uint8)).save("a.png")
    assert cli("run", "a.png", "--scale", "2", "-o", "a.jpg", "--background", "#f80").status == 0
    assert np.abs(np.asarray(Image.open("a.jpg"), int) - [255, 136, 0]).max() < 6


def test_sixteen_bits_in_and_out_with_full_precision(cli):
    deep = (gradient(16, 12, 3).astype(np.uint16) * 257) ^ 0x15
    cv2.imwrite("a.png", deep)
    done = cli("run", "a.png", "--scale", "2", "--json")
    assert done.objects[0]["precision"] == "fp32"
    assert "16 bits" in done.objects[0]["why"]
    result = cv2.imread("a_x2.png", cv2.IMREAD_UNCHANGED)
    assert (result.dtype, result.shape) == (np.uint16, (24, 32, 3))
    assert len(np.unique(result & 0xFF)) > 100  # not eight bits in a wider coat
    expected = cv2.resize(deep, (32, 24), interpolation=cv2.INTER_CUBIC)
    assert np.abs(result.astype(int) - expected).mean() < 4 * 257


def test_sixteen_bits_to_jpeg_says_what_is_lost(cli):
    cv2.imwrite("a.png", gradient().astype(np.uint16) * 257)
    done = cli("run", "a.png", "--scale", "2", "-o", "a.jpg", "--json")
    assert done.status == 0
    assert any("reduced from 16 bits" in warning for warning in done.objects[0]["warnings"])
    assert "warning: JPEG holds 8 bits" in done.stderr


@pytest.fixture
def annotated(picture) -> Path:
    """A JPEG with a profile, a camera's name, and orientation 6: stored 16x12, seen 12x16."""
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "Model 3000", 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return picture("a.jpg", exif=exif.tobytes(), icc_profile=profile, quality=95)


@pytest.mark.parametrize("name", ["b.png", "b.jpg", "b.tif", "b.webp"])
def test_profile_and_exif_are_kept_and_the_picture_is_upright(cli, annotated, name):
    assert cli("run", "a.jpg", "--scale", "2", "-o", name).status == 0
    with Image.open(annotated) as source, Image.open(name) as result:
        assert result.size == (24, 32)
        assert result.getexif()[0x0110] == "Model 3000"
        assert result.getexif().get(0x0112, 1) == 1
        assert result.info["icc_profile"] == source.info["icc_profile"]
        turned = source.transpose(Image.Transpose.ROTATE_270).resize((24, 32), Image.Resampling.BICUBIC)
        assert np.abs(np.asarray(result.convert("RGB"), int) - np.asarray(turned, int)).mean() < 5


def test_strip_drops_profile_and_exif_but_stays_upright(cli, annotated):
    assert cli("run", "a.jpg", "--scale", "2", "-o", "b.jpg", "--strip").status == 0
    with Image.open("b.jpg") as result:
        assert result.size == (24, 32)
        assert "icc_profile" not in result.info
        assert 0x0110 not in result.getexif()
    assert b"Model 3000" not in Path("b.jpg").read_bytes()


def test_quality_and_lossless_reach_the_writer(cli, picture):
    picture("a.png", 32, 32)
    for name, options in (("low.jpg", ["--quality", "20"]), ("high.jpg", ["--quality", "98"])):
        assert cli("run", "a.png", "--scale", "2", "-o", name, *options).status == 0
    assert Path("low.jpg").stat().st_size < Path("high.jpg").stat().st_size
    for name, options in (("a.webp", ["--lossless"]), ("b.png", [])):
        assert cli("run", "a.png", "--scale", "2", "-o", name, *options).status == 0
    assert np.array_equal(np.asarray(Image.open("a.webp")), np.asarray(Image.open("b.png")))


def test_white_stays_white(cli):
    Image.new("RGB", (24, 24), "white").save("a.png")
    # least at the very rim, where the networks see padding
    for model, precision, least in (("edsr-baseline-liif", "fp32", 252), ("edsr-baseline-liif-int8", "int8", 248)):
        options = ["--model", model, "--precision", precision, "--overwrite"]
        assert cli("run", "a.png", "--scale", "3", *options).status == 0
        white = np.asarray(Image.open("a_x3.png"))
        assert white.min() >= least and white[9:-9, 9:-9].min() >= 254


def test_interlaced_and_one_bit_pngs(cli):
    scan = bytes([0b0_1010101])
    raw = b"".join(b"\0" + scan for _ in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 1, 0, 0, 0, 0)
    Path("bits.png").write_bytes(png_file((b"IHDR", header), (b"IDAT", zlib.compress(raw))))
    assert cli("run", "bits.png", "--scale", "2").status == 0
    assert size("bits_x2.png") == (16, 16)
