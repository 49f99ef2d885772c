"""Encoded pictures made on the spot, so that no test needs a file of its own."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from ..png import png_bomb

XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    """37 rows of 53 RGBA pixels, every value possible."""
    return np.random.default_rng(7).integers(0, 256, (37, 53, 4)).astype(np.uint8)


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """encode(array or Pillow image, "PNG", **options): the bytes of a file."""

    def encoder(picture: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(picture[:, :, 0] if picture.shape[-1] == 1 else picture)
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        return buffer.getvalue()

    return encoder


@pytest.fixture(scope="session")
def icc() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="session")
def grey_icc(icc: bytes) -> bytes:
    """A minimal grey profile: white point and a tone curve."""
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)
    white = b"XYZ " + bytes(4) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    tags = struct.pack(">I", 2) + b"wtpt" + struct.pack(">II", 156, 20) + b"kTRC" + struct.pack(">II", 176, 12)
    body = icc[4:16] + b"GRAY" + icc[20:128] + tags + white + curve
    return struct.pack(">I", 4 + len(body)) + body


@pytest.fixture
def exif() -> Image.Exif:
    """A camera model, a date, a GPS direction, and orientation 6."""
    tags = Image.Exif()
    tags[0x0110] = "Model 3000"
    tags[0x0112] = 6
    tags[0x011A], tags[0x011B], tags[0x0128] = 300.0, 300.0, 2
    tags.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    tags.get_ifd(0x8769)[0xA002] = 53
    tags.get_ifd(0x8825)[1] = "N"
    return tags


@pytest.fixture(scope="session")
def xmp() -> bytes:
    return XMP


@pytest.fixture(scope="session")
def bomb() -> bytes:
    """A PNG of a few hundred bytes that claims 100,000 x 100,000 pixels."""
    return png_bomb(100_000)
