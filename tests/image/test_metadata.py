"""What metadata unpacks to is known before anything is decoded, and small files can't state large amounts of it."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
from PIL import Image

from edge_liif.errors import ImageError, MemoryCapError
from edge_liif.image import read as reading
from edge_liif.image.exif import upright_xmp
from edge_liif.image.picture import Header
from edge_liif.image.read import open_source, probe, read
from edge_liif.image.tiff_tags import exif_from_tiff

from ..png import with_chunks

MIB = 1 << 20


@pytest.fixture
def png(noise: np.ndarray, encode: Callable[..., bytes]) -> bytes:
    return encode(noise[:, :, :3], "png")


def packed(count: int) -> bytes:
    return zlib.compress(bytes(count), 9)


def counted_probe(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[Header, list[int]]:
    """(header, bytes asked for each time the file was read from)."""
    with open_source(data) as source:
        really, counts = source.pread, []

        def counted(offset: int, count: int) -> bytes:
            counts.append(count)
            return really(offset, count)

        monkeypatch.setattr(source, "pread", counted)
        return probe(source), counts


CHUNKS = {
    "profile": (b"iCCP", b"name\0\0"),
    "text": (b"zTXt", b"keyword\0\0"),
    "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
    "text with a language": (b"iTXt", b"keyword\0\1\0de\0Stichwort\0"),
    "text with a long language": (b"iTXt", b"keyword\0\1\0" + b"a" * 9000 + b"\0Stichwort\0"),
}


@pytest.mark.parametrize("kind", CHUNKS)
def test_compressed_metadata_counts_as_what_it_unpacks_to(png: bytes, kind: str) -> None:
    name, head = CHUNKS[kind]
    assert probe(png).metadata_bytes < 1000
    large = with_chunks(png, (name, head + packed(5 * MIB + 3)))
    assert len(large) < len(png) + 30_000
    assert 5 * MIB < probe(large).metadata_bytes < 5 * MIB + 20_000


@pytest.mark.parametrize("sizes", [[70 * MIB], [30 * MIB] * 3], ids=["one chunk", "several chunks"])
def test_metadata_that_unpacks_to_too_much_is_refused(png: bytes, sizes: list[int]) -> None:
    chunks = [(b"zTXt", b"k%d\0\0" % number + packed(size)) for number, size in enumerate(sizes)]
    with pytest.raises(ImageError, match="unpacks to more than 64 MiB; save the picture without it"):
        probe(with_chunks(png, *chunks))


def test_plain_and_broken_chunks_count_as_they_are(png: bytes) -> None:
    plain = with_chunks(png, (b"iTXt", b"keyword\0\0\0\0\0" + bytes(90_000)))
    assert 90_000 < probe(plain).metadata_bytes < 91_000
    private = with_chunks(png, (b"prVW", bytes(90_000)))  # a preview for its maker
    assert probe(private).metadata_bytes == probe(png).metadata_bytes
    broken = with_chunks(png, (b"zTXt", b"keyword\0\0" + b"no deflate stream"))
    assert probe(broken).metadata_bytes < 1000


def test_what_does_not_fit_is_refused_before_the_decoder_makes_it(png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    large = with_chunks(png, (b"iCCP", b"name\0\0" + packed(5 * MIB)))
    kept = probe(large).kept_bytes
    assert probe(large, most_kept=kept).kept_bytes == kept > 20 * MIB
    monkeypatch.setattr(reading, "_load", None)
    with pytest.raises(MemoryCapError, match=r"takes up to 21 MiB beside its pixels .* more than --memory leaves; "):
        probe(large, most_kept=kept - 1)


def test_segments_of_a_jpeg_and_chunks_of_a_webp(noise: np.ndarray) -> None:
    picture = Image.fromarray(noise[:, :, :3])
    for form, options in (("jpeg", {"comment": bytes(60_000)}), ("webp", {"exif": b"Exif\0\0" + bytes(60_000)})):
        data = io.BytesIO()
        picture.save(data, form, **options)
        assert 60_000 <= probe(data.getvalue()).metadata_bytes < 62_000, form


@pytest.mark.parametrize("stray", [b"", b"\0"], ids=["in order", "behind a stray byte"])
def test_segments_behind_the_frame_header_of_a_jpeg(
    noise: np.ndarray, encode: Callable[..., bytes], stray: bytes
) -> None:
    jpeg = encode(noise[:, :, :3], "jpeg")
    tables = jpeg.index(b"\xff\xc4")
    segments = (b"\xff\xed\xff\xff" + bytes(65_533)) * 20
    header = probe(jpeg[:tables] + stray + segments + jpeg[tables:])
    assert 20 * 65_533 <= header.metadata_bytes <= 20 * 65_535 + len(jpeg)


def test_what_stands_between_the_scans_of_a_jpeg_is_bounded_by_the_file(noise: np.ndarray) -> None:
    data = io.BytesIO()
    Image.fromarray(noise[:, :, :3]).save(data, "jpeg", progressive=True)
    jpeg = data.getvalue()
    second = jpeg.rindex(b"\xff\xda")
    jpeg = jpeg[:second] + (b"\xff\xed\xff\xff" + bytes(65_533)) * 20 + jpeg[second:]
    assert probe(jpeg).kept_bytes >= 3 * len(jpeg)  # in memory, and what the decoder keeps


def test_fill_bytes_between_markers_are_read_in_small_blocks(
    noise: np.ndarray, encode: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg = encode(noise[:, :, :3], "jpeg")
    data = jpeg[:2] + b"\xff\xff\x01" * 1000 + jpeg[2:]
    _, counts = counted_probe(data, monkeypatch)
    assert sum(counts) < 100 * len(data)


def test_xmp_is_turned_upright_in_time_that_grows_with_its_length() -> None:
    packet = b"<tiff:Orientation" * 200_000 + b"tiff:Orientation" + b" " * 500_000
    start = time.process_time()
    assert upright_xmp(packet) == packet
    assert time.process_time() - start < 10  # 3 MB; it would have been hours


@pytest.mark.parametrize("images", [1, 2, 500_000])
def test_a_second_image_of_a_gif_is_found_before_the_decoder_makes_a_table(
    images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = b"\x21\xfe\x02hi\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    gif = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * images + b";"
    if images == 1:
        assert probe(gif).pixels == 1
    else:
        monkeypatch.setattr(reading, "_load", None)
        with pytest.raises(ImageError, match="is an animated GIF"):
            probe(gif)


def test_chunks_of_a_webp_are_not_walked_without_end(noise: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO()
    Image.fromarray(noise[:, :, :3]).save(data, "webp", exif=b"Exif\0\0" + bytes(60_000))
    webp = data.getvalue() + b"none\0\0\0\0" * 50_000
    header, counts = counted_probe(webp, monkeypatch)
    assert 60_000 <= header.metadata_bytes <= len(webp)
    assert len(counts) < 2000


def test_fields_of_a_tiff(noise: np.ndarray) -> None:
    data = io.BytesIO()
    layers = [(37724, 7, 3 * MIB, bytes(3 * MIB), True)]
    tifffile.imwrite(data, noise[:, :, :3], photometric="rgb", extratags=layers)
    assert 3 * MIB < probe(data.getvalue()).metadata_bytes < 3 * MIB + 2000
    assert np.array_equal(read(data.getvalue(), max_pixels=10**6).pixels, noise[:, :, :3])


def test_places_of_a_tiff_take_eight_bytes_each(noise: np.ndarray) -> None:
    """However short the numbers in the file are."""
    data = io.BytesIO()
    tifffile.imwrite(data, np.zeros((5000, 3), np.uint8), photometric="minisblack", rowsperstrip=1)
    assert probe(data.getvalue()).metadata_bytes >= 5000 * (8 + 8)


def test_a_tiff_of_endless_directories_is_refused(noise: np.ndarray) -> None:
    data = io.BytesIO()
    with tifffile.TiffWriter(data) as writer:
        for _ in range(150):  # as reduced copies, which are no pages
            writer.write(noise[:4, :4, :3], photometric="rgb", subfiletype=1 if _ else 0, contiguous=False)
    with pytest.raises(ImageError, match="is a TIFF of more than 100 pictures; extract one of them"):
        probe(data.getvalue())


def test_of_a_tag_that_comes_twice_the_first_counts() -> None:
    """As in libtiff: else a strip, or a tile, is larger than the plan thinks."""
    fields = [(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1)]
    fields += [(278, 4, 1, 64), (278, 4, 1, 1), (279, 4, 1, 4096)]
    table = b"".join(struct.pack("<HHII", *field) for field in fields)
    data = struct.pack("<2sHI", b"II", 42, 8 + 4096) + bytes(4096) + struct.pack("<H", len(fields)) + table + bytes(4)
    assert probe(data).strip_bytes == 64 * 64


def test_thousands_of_tiff_fields_are_refused_by_their_number() -> None:
    data = struct.pack("<2sHI", b"II", 42, 8)
    for number in range(3):
        fields = [(254, 4, 1, 1 if number else 0), (256, 4, 1, 1), (257, 4, 1, 1)]
        fields += [(tag, 3, 1, 0) for tag in range(1000 + 4000 * number, 5000 + 4000 * number)]
        following = len(data) + 2 + 12 * len(fields) + 4 if number < 2 else 0
        table = b"".join(struct.pack("<HHII", *field) for field in fields)
        data += struct.pack("<H", len(fields)) + table + struct.pack("<I", following)
    with pytest.raises(ImageError, match="its directories state 12009 fields"):
        probe(data)


def test_a_large_maker_note_does_not_take_the_rest_of_the_exif_with_it() -> None:
    entries = [(0x829A, 5, 1, 0), (0x927C, 7, MIB - 4, 0)]
    value = struct.pack("<II", 1, 125)
    main = [(256, 4, 1, 1), (257, 4, 1, 1), (0x010F, 2, 3, int.from_bytes(b"Me\0\0", "little")), (0x8769, 4, 1, 0)]
    start = 8
    inner = start + 2 + 12 * len(main) + 4
    place = inner + 2 + 12 * len(entries) + 4
    entries = [(tag, kind, count, place) for tag, kind, count, _ in entries]
    main[3] = (0x8769, 4, 1, inner)
    data = struct.pack("<2sHI", b"II", 42, start)
    for table in (main, entries):
        data += struct.pack("<H", len(table)) + b"".join(struct.pack("<HHII", *entry) for entry in table) + bytes(4)
    data += value + bytes(MIB)
    exif = exif_from_tiff(lambda offset, count: data[offset : offset + count])
    assert exif is not None
    tags = Image.Exif()
    tags.load(exif)
    assert tags[0x010F] == "Me"
    assert tags.get_ifd(0x8769) == {0x829A: 1 / 125}


def test_fields_that_share_the_bytes_of_a_tiff_are_refused() -> None:
    """A megabyte could state gigabytes, which libtiff reads."""
    value, fields = 16, [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 1)]
    fields += [(tag, 1, MIB, value) for tag in range(52_000, 52_300)]
    table = b"".join(struct.pack("<HHII", *field) for field in fields)
    data = struct.pack("<2sHI", b"II", 42, value + MIB) + bytes(8 + MIB) + struct.pack("<H", len(fields)) + table
    with pytest.raises(ImageError, match="more bytes than the file has"):
        probe(data + bytes(4))


def test_fill_bytes_of_a_jpeg_are_read_in_blocks(
    noise: np.ndarray, encode: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg = encode(noise[:, :, :3], "jpeg")
    header, counts = counted_probe(jpeg[:2] + b"\xff" * MIB + jpeg[2:], monkeypatch)
    assert (header.width, header.height) == (noise.shape[1], noise.shape[0])
    assert header.jpeg_quality == probe(jpeg).jpeg_quality
    assert len(counts) < 100
