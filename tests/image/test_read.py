"""Reading: what is accepted comes out exactly, what is refused says so in one line."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageOps

from edge_liif.errors import ImageError, OutputError
from edge_liif.image import read as reading
from edge_liif.image.pixel_file import PixelFile
from edge_liif.image.read import decode_peak_bytes, open_source, probe, read
from edge_liif.image.tiff_tags import embed_exif

Encode = Callable[..., bytes]
LIMIT = 10**6


def refused(source: object, *words: str, name: str | None = None, max_pixels: int = LIMIT) -> str:
    with pytest.raises(ImageError) as caught:
        read(source, name, max_pixels=max_pixels)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    assert "; " in line, "a message says what to do"
    for word in words:
        assert word in line
    return line


def tiff(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def vips_image(array: np.ndarray) -> pyvips.Image:
    kind = "uchar" if array.dtype == np.uint8 else "ushort"
    image = pyvips.Image.new_from_memory(array.tobytes(), array.shape[1], array.shape[0], array.shape[2], kind)
    space = {1: "b-w", 2: "b-w", 3: "srgb", 4: "srgb"} if kind == "uchar" else {1: "grey16", 2: "grey16"}
    return image.copy(interpretation=space.get(array.shape[2], "rgb16"))


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_exact_samples(noise: np.ndarray, kind: str, depth: int, bands: int) -> None:
    array = noise[:, :, :bands].copy()
    if depth == 16:
        array = array.astype(np.uint16) * 251 + 7
    data = getattr(vips_image(array), f"{kind}save_buffer")()
    header = probe(data)
    assert (header.width, header.height, header.bands, header.depth, header.format) == (53, 37, bands, depth, kind)
    picture = read(data, max_pixels=LIMIT)
    assert picture.header == header
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.dtype == array.dtype
    assert np.array_equal(picture.pixels, array)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_16_bit_tiff_in_every_layout(noise: np.ndarray, byteorder: str, planar: str, bigtiff: bool) -> None:
    array = noise[:, :, :3].astype(np.uint16) * 257 - 3
    stored = np.moveaxis(array, 2, 0) if planar == "separate" else array
    data = tiff(stored, byteorder=byteorder, planarconfig=planar, photometric="rgb", bigtiff=bigtiff)
    assert np.array_equal(read(data, max_pixels=LIMIT).pixels, array)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_orientation_is_applied_and_reset(noise: np.ndarray, encode: Encode, kind: str, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112], tags[0x0110] = orientation, "Model 3000"
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encode(noise[:, :, :3], kind, exif=tags, **lossless)
    picture = read(data, max_pixels=LIMIT)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert picture.pixels.shape == upright.shape
    assert (picture.header.height, picture.header.width) == upright.shape[:2]
    assert picture.pixels.flags.c_contiguous
    assert np.array_equal(picture.pixels, upright)
    assert picture.exif is not None
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept.get(0x0112, 1) == 1
    assert kept[0x0110] == "Model 3000"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "depth"), [("png", 8), ("tiff", 16)])
def test_pixels_in_a_file_are_the_same(
    noise: np.ndarray, kind: str, depth: int, orientation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = noise[:, :, :3].astype(np.uint16) * 250 if depth == 16 else noise[:, :, :3]
    image = vips_image(array.copy()).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    data = getattr(image, f"{kind}save_buffer")()
    monkeypatch.setattr(reading, "_STRIP_BYTES", 7 * 53 * 3 * depth // 8)
    whole = read(data, max_pixels=LIMIT)
    stored = read(data, max_pixels=LIMIT, folder=tmp_path)
    assert whole.header == stored.header
    assert isinstance(stored.pixels, PixelFile)
    assert stored.pixels.dtype == whole.pixels.dtype and stored.pixels.shape == whole.pixels.shape
    assert np.array_equal(stored.pixels[:, :], whole.pixels)
    assert np.array_equal(stored.pixels[3:20, 5:11, 1:3], whole.pixels[3:20, 5:11, 1:3])
    assert not list(tmp_path.iterdir())


def test_no_room_for_pixels_in_a_file(noise: np.ndarray, encode: Encode, tmp_path: Path) -> None:
    data = encode(noise[:, :, :3], "PNG")
    with pytest.raises(OutputError, match="can't hold 0 MiB of temporary pixels"):
        read(data, max_pixels=LIMIT, folder=tmp_path / "none")


def test_bitmaps_go_into_a_file_too(noise: np.ndarray, encode: Encode, tmp_path: Path) -> None:
    data = encode(noise[:, :, :3], "PPM")
    assert np.array_equal(read(data, max_pixels=LIMIT, folder=tmp_path).pixels[:, :], noise[:, :, :3])


def test_strips_of_a_turned_picture_meet(encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(1).integers(0, 256, (300, 41, 3)).astype(np.uint8)
    tags = Image.Exif()
    tags[0x0112] = 7
    data = encode(array, "PNG", exif=tags)
    monkeypatch.setattr(reading, "_STRIP_BYTES", 7 * 41 * 3)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.array_equal(read(data, max_pixels=LIMIT).pixels, upright)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_metadata_is_kept(
    noise: np.ndarray, encode: Encode, icc: bytes, exif: Image.Exif, xmp: bytes, kind: str
) -> None:
    options: dict[str, object] = {"icc_profile": icc, "exif": exif}
    if kind in ("JPEG", "WEBP"):
        options["xmp"] = xmp
    data = encode(noise[:, :, :3], kind, **options)
    if kind == "TIFF":
        data = getattr(pyvips.Image.tiffload_buffer(data), "tiffsave_buffer")()  # noqa: B009
    picture = read(data, max_pixels=LIMIT)
    assert picture.icc == icc
    if kind in ("JPEG", "WEBP"):
        assert picture.xmp == xmp.replace(b'Orientation="6"', b'Orientation="1"')
    if kind != "TIFF":
        kept = Image.Exif()
        assert picture.exif is not None
        kept.load(picture.exif)
        assert kept[0x0110] == "Model 3000"
        assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert kept.get_ifd(0x8825)[1] == "N"
        assert kept[0x0112] == 1
        assert picture.density == pytest.approx((300 / 25.4, 300 / 25.4), rel=1e-3)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_exif_of_tiff(noise: np.ndarray, exif: Image.Exif, byteorder: str, bigtiff: bool, tmp_path: Path) -> None:
    path = tmp_path / "order.tif"
    tifffile.imwrite(path, noise, byteorder=byteorder, bigtiff=bigtiff, photometric="rgb", metadata=None)
    fd = os.open(path, os.O_RDWR)
    embed_exif(fd, exif.tobytes())
    os.close(fd)
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        assert tags["Model"].value == "Model 3000"
        assert tags["ExifTag"].value["DateTimeOriginal"] == "2020:01:02 03:04:05"
        assert tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert np.array_equal(file.asarray(), noise)
    picture = read(path, max_pixels=LIMIT)
    assert np.array_equal(picture.pixels, noise)
    kept = Image.Exif()
    assert picture.exif is not None
    kept.load(picture.exif)
    assert kept[0x0110] == "Model 3000"
    assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert kept.get_ifd(0x8825)[1] == "N"


def test_exif_thumbnail_is_dropped(noise: np.ndarray, encode: Encode) -> None:
    ifd0 = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\0\0\0\x1a"
    thumbnail = b"\0\x01" + b"\x02\x01\0\x04\0\0\0\x01\0\0\0\x30" + b"\0\0\0\0" + b"\xff\xd8\xff\xd9"
    picture = read(encode(noise[:, :, :3], "JPEG", exif=b"Exif\0\0" + ifd0 + thumbnail), max_pixels=LIMIT)
    assert picture.header.orientation == 6
    assert picture.exif is not None
    assert picture.exif[6:][22:26] == bytes(4), "the link to the second directory is cut"


def test_broken_exif_is_dropped_with_a_warning(noise: np.ndarray, encode: Encode) -> None:
    picture = read(encode(noise[:, :, :3], "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff\0\0\0\0\0\0"), max_pixels=LIMIT)
    assert picture.exif is None


def test_palette_and_bilevel(noise: np.ndarray, encode: Encode) -> None:
    rgb = Image.fromarray(noise[:, :, :3])
    for kind in ("PNG", "GIF", "TIFF", "BMP"):
        palette = rgb.quantize(16)
        picture = read(encode(palette, kind), max_pixels=LIMIT)
        assert picture.header.bands == 3, kind
        assert np.array_equal(picture.pixels, np.asarray(palette.convert("RGB"))), kind
    for kind in ("PNG", "GIF"):
        picture = read(encode(palette, kind, transparency=3), max_pixels=LIMIT)
        assert picture.header.bands == 4, kind
        shown = np.asarray(Image.open(io.BytesIO(encode(palette, kind, transparency=3))).convert("RGBA"))
        assert np.array_equal(picture.pixels[..., 3], shown[..., 3]), kind
        visible = shown[..., 3] > 0
        assert np.array_equal(picture.pixels[visible], shown[visible]), kind
    for kind in ("PNG", "TIFF", "PPM"):
        picture = read(encode(rgb.convert("1"), kind), max_pixels=LIMIT)
        assert picture.header.bands == 1, kind
        assert np.array_equal(picture.pixels[..., 0], np.asarray(rgb.convert("1")) * np.uint8(255)), kind


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_is_expanded(bits: int) -> None:
    values = np.tile(np.arange(2**bits, dtype=np.uint8), (4, 3))[..., np.newaxis]
    full = (values.astype(int) * 255 // (2**bits - 1)).astype(np.uint8)
    data = vips_image(full).pngsave_buffer(bitdepth=bits)
    assert data[24] == bits
    picture = read(data, max_pixels=LIMIT)
    assert picture.pixels.shape == full.shape
    assert np.array_equal(picture.pixels, full)


def test_png_transparent_colour_becomes_alpha(noise: np.ndarray, encode: Encode) -> None:
    rgb = noise[:, :, :3].copy()
    rgb[5, 5] = (1, 2, 3)
    picture = read(encode(rgb, "PNG", transparency=(1, 2, 3)), max_pixels=LIMIT)
    assert picture.header.bands == 4
    assert picture.pixels[5, 5, 3] == 0
    assert (picture.pixels[..., 3] == 0).sum() == (rgb == (1, 2, 3)).all(2).sum()


def test_interlaced_and_progressive_match_plain(noise: np.ndarray, encode: Encode) -> None:
    rgb = np.ascontiguousarray(noise[:, :, :3])
    interlaced = vips_image(rgb).pngsave_buffer(interlace=True)
    assert probe(interlaced).needs_whole
    assert np.array_equal(read(interlaced, max_pixels=LIMIT).pixels, rgb)
    plain, progressive = encode(rgb, "JPEG"), encode(rgb, "JPEG", progressive=True)
    assert not probe(plain).needs_whole
    assert probe(progressive).needs_whole
    assert np.array_equal(read(plain, max_pixels=LIMIT).pixels, read(progressive, max_pixels=LIMIT).pixels)
    for whole, strips in ((interlaced, vips_image(rgb).pngsave_buffer()), (progressive, plain)):
        assert decode_peak_bytes(probe(whole)) > decode_peak_bytes(probe(strips))
    assert decode_peak_bytes(probe(plain)) > probe(plain).array_bytes


@pytest.mark.parametrize("quality", [10, 30, 50, 75, 90, 95, 100])
def test_jpeg_quality_is_estimated(noise: np.ndarray, encode: Encode, quality: int) -> None:
    estimate = probe(encode(noise[:, :, :3], "JPEG", quality=quality)).jpeg_quality
    assert estimate == pytest.approx(quality, abs=2)
    assert probe(encode(noise[:, :, :3], "PNG")).jpeg_quality is None


def test_bmp_and_pnm(noise: np.ndarray, encode: Encode) -> None:
    rgb = np.ascontiguousarray(noise[:, :, :3])
    for kind, form in (("BMP", "bmp"), ("PPM", "pnm")):
        picture = read(encode(rgb, kind), max_pixels=LIMIT)
        assert picture.header.format == form
        assert np.array_equal(picture.pixels, rgb)
    assert np.array_equal(read(encode(rgb[:, :, :1], "PPM"), max_pixels=LIMIT).pixels, rgb[:, :, :1])
    deep = rgb.astype(np.uint16) * 257 - 5
    body = b"P6 # comment\n53 37\n65535\n" + deep.astype(">u2").tobytes()
    assert np.array_equal(read(body, max_pixels=LIMIT).pixels, deep)
    assert read(b"P2\n2 1\n255\n7 9\n", max_pixels=LIMIT).pixels.ravel().tolist() == [7, 9]
    # A bitmap of 32 bits without an alpha mask has padding there, not transparency.
    assert np.array_equal(read(encode(noise, "BMP"), max_pixels=LIMIT).pixels, rgb)
    with_mask = cv2.imencode(".bmp", noise[:, :, [2, 1, 0, 3]])[1].tobytes()
    assert np.array_equal(read(with_mask, max_pixels=LIMIT).pixels, noise)
    refused(b"P5 2 2 100\n" + bytes(4), "100, not 255")


def test_premultiplied_tiff_is_undone(noise: np.ndarray) -> None:
    half = np.dstack([noise[:, :, :3] // 2, np.full(noise.shape[:2], 128, np.uint8)])
    picture = read(tiff(half, photometric="rgb", extrasamples=["assocalpha"]), max_pixels=LIMIT)
    assert picture.pixels[..., 3].max() == 128
    assert np.abs(picture.pixels[..., :3].astype(int) - half[..., :3].astype(float) * 255 / 128).max() <= 1


def test_path_bytes_and_open_source_agree(noise: np.ndarray, encode: Encode, tmp_path: Path) -> None:
    data = encode(noise, "PNG")
    path = tmp_path / "wrong extension.jpg"
    path.write_bytes(data)
    for source in (path, str(path), data):
        assert np.array_equal(read(source, max_pixels=LIMIT).pixels, noise)
    with open_source(path) as source:
        assert probe(source).format == "png"
        assert np.array_equal(read(source, max_pixels=LIMIT).pixels, noise)
        assert probe(source).source == str(path)
    assert probe(data).source == "standard input"
    assert probe(data, "-").source == "-"


def test_named_pipe(noise: np.ndarray, encode: Encode, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = encode(noise, "PNG")
    threading.Thread(target=pipe.write_bytes, args=(data,)).start()
    assert np.array_equal(read(pipe, max_pixels=LIMIT).pixels, noise)


def test_bad_paths(tmp_path: Path) -> None:
    refused(tmp_path / "none.png", "does not exist")
    refused(tmp_path, "is a directory")
    empty = tmp_path / "empty.png"
    empty.touch()
    refused(empty, "empty (0 bytes)")
    refused(b"", "standard input", "empty")
    refused(empty / "below.png", "does not exist")
    refused("/dev/null", "device")
    refused("nul\0byte.png", "not a valid path")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused(loop, "link")
    assert "'line\\nbreak.png'" in refused("line\nbreak.png")
    refused("\x1b[31mred.png", "\\x1b[31m")
    refused(os.fsdecode(b"caf\xe9.png"), "\\udce9")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    refused(path, "permission denied")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"just some text\n" * 9, ["not a picture", "PNG, JPEG, TIFF, WebP, GIF, BMP and PNM"]),
        (b"\x00", ["not a picture"]),
        (b"BM is how this text starts, and on it goes", ["not a picture"]),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", ["SVG", "PNG, JPEG"]),
        (b"%PDF-1.7\n", ["PDF", "PNG, JPEG"]),
        (b"\0\0\0\x18ftypheic\0\0\0\0", ["HEIC", "PNG, JPEG"]),
        (b"\0\0\0\x18ftypavif\0\0\0\0", ["AVIF"]),
        (b"8BPS\0\x01", ["Photoshop"]),
        (b"#?RADIANCE\n", ["high dynamic range"]),
        (b"PF\n2 2\n-1\n" + bytes(48), ["floating-point"]),
        (b"\x89PNG\r\n\x1a\n", ["truncated or damaged"]),
        (b"\xff\xd8\xff", ["truncated or damaged"]),
        (b"II*\0", ["truncated or damaged"]),
        (b"RIFF\0\0\0\0WEBP", ["truncated or damaged"]),
        (b"GIF89a", ["truncated or damaged"]),
        (b"BM" + bytes(12) + b"\x28\0\0\0", ["truncated or damaged"]),
        (b"P6\n3", ["truncated or damaged"]),
        (b"P6\n" + b" " * 4000, ["truncated or damaged"]),
    ],
)
def test_not_pictures(data: bytes, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "claims-to-be.png"
    path.write_bytes(data)
    assert refused(path, *words).startswith(str(path))
    refused(data, *words)
    with pytest.raises(ImageError):
        probe(data)


def forms(array: np.ndarray, encode: Encode) -> dict[str, bytes]:
    rgb = np.ascontiguousarray(array[:, :, :3])
    return {
        "png": encode(rgb, "PNG"),
        "interlaced png": vips_image(rgb).pngsave_buffer(interlace=True),
        "jpeg": encode(rgb, "JPEG"),
        "progressive jpeg": encode(rgb, "JPEG", progressive=True),
        "tiff": encode(rgb, "TIFF"),
        "deflate tiff": encode(rgb, "TIFF", compression="tiff_deflate"),
        "tiled tiff": vips_image(rgb).tiffsave_buffer(tile=True, tile_width=16, tile_height=16, compression="lzw"),
        "directory first tiff": tiff(rgb, photometric="rgb"),
        "webp": encode(rgb, "WEBP"),
        "lossless webp": encode(rgb, "WEBP", lossless=True),
        "gif": encode(rgb, "GIF"),
        "bmp": encode(rgb, "BMP"),
        "ppm": encode(rgb, "PPM"),
    }


@pytest.mark.parametrize("part", [0.02, 0.2, 0.5, 0.9, 0.99, 1.0])
def test_truncated_files_are_refused(noise: np.ndarray, encode: Encode, part: float, tmp_path: Path) -> None:
    for form, data in forms(noise, encode).items():
        cut = data[: int(len(data) * part)] if part < 1 else data[:-1]
        if form == "gif" and part == 1:
            continue  # only the trailer byte is gone, and every pixel is there
        path = tmp_path / "cut"
        path.write_bytes(cut)
        assert "truncated" in refused(path, name=form)
        refused(cut, name=form)


@pytest.mark.parametrize("cut", [1, 2, 4, 11, 12, 13])
def test_jpeg_and_png_without_their_last_bytes(noise: np.ndarray, encode: Encode, cut: int) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        refused(encode(noise[:, :, :3], kind)[:-cut], "truncated")


def test_flipped_bits_are_refused_where_the_format_can_tell(noise: np.ndarray, encode: Encode) -> None:
    for kind in ("PNG", "JPEG"):
        data = bytearray(encode(noise[:, :, :3], kind, **({"quality": 95} if kind == "JPEG" else {})))
        if kind == "PNG":
            data[len(data) // 2] ^= 0x10
        else:
            # A marker inside the coded data ends it early, though the file has its end.
            data[len(data) // 2 : len(data) // 2 + 2] = b"\xff\xd9"
        refused(bytes(data), "damaged")


def test_any_damage_is_an_image_error_or_a_picture(noise: np.ndarray, encode: Encode) -> None:
    rng = np.random.default_rng(11)
    for data in forms(noise[:9, :11], encode).values():
        for _ in range(25):
            broken = bytearray(data)
            for at in rng.integers(0, len(broken), 3):
                broken[at] = rng.integers(0, 256)
            try:
                picture = read(bytes(broken), max_pixels=10**5)
            except ImageError as error:
                assert "\n" not in str(error)
            else:
                assert picture.pixels.shape[:2] == (picture.header.height, picture.header.width)


def test_harmless_jpeg_flaws_are_tolerated_with_a_warning(noise: np.ndarray, encode: Encode) -> None:
    data = encode(noise[:, :, :3], "JPEG")
    end = data.rindex(b"\xff\xd9")
    picture = read(data[:end] + bytes(4) + data[end:] + b"after the end", max_pixels=LIMIT)
    start = data.index(b"\xff\xda")
    flawed = read(data[:start] + bytes(4) + data[start:], max_pixels=LIMIT)
    assert len(flawed.warnings) == 1
    plain = read(data, max_pixels=LIMIT)
    assert np.array_equal(flawed.pixels, plain.pixels)
    assert np.array_equal(picture.pixels, plain.pixels)
    assert plain.warnings == []


def test_refused_kinds(noise: np.ndarray, encode: Encode) -> None:
    rgb = noise[:, :, :3]
    image = Image.fromarray(rgb)
    for kind in ("JPEG", "TIFF"):
        refused(encode(image.convert("CMYK"), kind), "CMYK")
    refused(encode(Image.new("LAB", (5, 5)), "TIFF"), "Lab")
    for kind, title in (("GIF", "GIF"), ("WEBP", "WebP"), ("PNG", "PNG")):
        refused(encode(image, kind, save_all=True, append_images=[image.rotate(90)]), f"animated {title}")
    refused(tiff(np.stack([rgb, rgb, rgb]), photometric="rgb"), "3 pages")
    refused(tiff(rgb.astype(np.float32), photometric="rgb"), "floating-point")
    refused(tiff(rgb.astype(np.float64), photometric="rgb"), "floating-point")
    refused(tiff(rgb.astype(np.float16), photometric="rgb"), "floating-point")
    refused(tiff(rgb.astype(np.uint32), photometric="rgb"), "32-bit")
    refused(tiff(rgb.astype(np.int16), photometric="rgb"), "signed 16-bit")
    refused(tiff(np.concatenate([noise, noise], 2), photometric="rgb"), "8 channels")
    refused(tiff(rgb, photometric="rgb", subfiletype=1), "camera raw")
    refused(encode(image.convert("YCbCr"), "TIFF"), "YCbCr")


def test_tiff_with_reduced_copy_is_one_page(noise: np.ndarray) -> None:
    rgb = np.ascontiguousarray(noise[:, :, :3])
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(rgb, photometric="rgb", metadata=None)
        writer.write(rgb[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    assert np.array_equal(read(buffer.getvalue(), max_pixels=LIMIT).pixels, rgb)


def test_bombs_are_refused_by_their_header(bomb: bytes, noise: np.ndarray, encode: Encode) -> None:
    assert probe(bomb).pixels == 10**10
    refused(bomb, "100000x100000", "--max-pixels", max_pixels=10**9)
    data = encode(noise, "PNG")
    refused(data, "1,961", max_pixels=1960)
    read(data, max_pixels=1961)


def test_a_file_that_changes_while_it_is_read(
    noise: np.ndarray, encode: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "moving.png"
    data = encode(noise, "PNG")
    fetch = reading._fetch

    def meanwhile(action: Callable[[], object]) -> None:
        path.write_bytes(data)

        def interfered(*arguments: object) -> None:
            fetch(*arguments)  # type: ignore[arg-type]
            action()

        monkeypatch.setattr(reading, "_fetch", interfered)

    meanwhile(lambda: path.write_bytes(data + b"more"))
    refused(path, "changed while it was read")
    meanwhile(path.unlink)
    refused(path, "vanished while it was read")
    meanwhile(lambda: (tmp_path / "other").write_bytes(data) and (tmp_path / "other").replace(path))
    refused(path, "changed while it was read")
    meanwhile(lambda: None)
    assert np.array_equal(read(path, max_pixels=LIMIT).pixels, noise)


def test_a_file_cut_between_probe_and_decode(noise: np.ndarray, encode: Encode, tmp_path: Path) -> None:
    for form, data in forms(noise, encode).items():
        path = tmp_path / "shrinking"
        path.write_bytes(data)
        with open_source(path) as source:
            probe(source)
            os.truncate(path, len(data) // 2)
            refused(source)
        assert form


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (2, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM"])
def test_tiny_and_thin(encode: Encode, kind: str, shape: tuple[int, int]) -> None:
    array = np.full((*shape, 3), 120, np.uint8)
    picture = read(encode(array, kind), max_pixels=LIMIT)
    assert picture.pixels.shape == array.shape
    assert np.abs(picture.pixels.astype(int) - 120).max() <= 3


def test_tiff_of_one_large_strip(tmp_path: Path) -> None:
    """More than the 50 MB that libtiff takes for an attack."""
    array = np.zeros((2000, 9000, 3), np.uint8)
    array[::7, ::5] = 99
    path = tmp_path / "one.tif"
    tifffile.imwrite(
        path, array, photometric="rgb", rowsperstrip=2000, compression="zlib", compressionargs={"level": 1}
    )
    assert probe(path).strip_bytes == array.nbytes
    assert np.array_equal(read(path, max_pixels=10**8).pixels, array)


def test_tiff_tiles_far_larger_than_the_picture(noise: np.ndarray) -> None:
    data = bytearray(tiff(noise, photometric="rgb", tile=(64, 64)))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for tag in ("TileWidth", "TileLength"):
            entry = file.pages[0].tags[tag]
            at = entry.valueoffset
            data[at - 6 : at - 4] = b"\x04\0"  # LONG
            data[at : at + 4] = (1 << 16).to_bytes(4, "little")
    refused(bytes(data), "truncated or damaged")
