"""What is known about a picture before decoding (`Header`) and the decoded picture itself (`Picture`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_liif.errors import ImageError
from edge_liif.image.metadata import kept_bytes
from edge_liif.image.pixel_file import Pixels


@dataclass(frozen=True)
class Header:
    """A picture's properties, as its array will have them.

    width, height: pixels, after the EXIF orientation is applied.
    bands: 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA, after palettes and 1, 2 and 4 bit samples are expanded.
    depth: bits a sample, 8 or 16.
    format: "png", "jpeg", "tiff", "webp", "gif", "bmp", "pnm", or "array" for one handed over by Python code.
    source: the name used in messages, safe to print.
    jpeg_quality: 1..100 estimated from the quantization tables of a JPEG, else None.
    needs_whole: decoding holds the whole picture a second time (interlaced PNG, progressive JPEG, WebP, GIF, ...).
    orientation: the EXIF orientation 1..8 that the file asked for; already accounted for in width and height.
    held_bytes: bytes of the encoded file that stay in memory while decoding; 0 when it is read piecewise.
    strip_bytes: size in bytes of the largest strip or row of tiles that is decoded at once; 0 if a few rows suffice.
    metadata_bytes: bytes of colour profile, EXIF, XMP and whatever else is no pixels, unpacked.
    """

    width: int
    height: int
    bands: int
    depth: int
    format: str
    source: str
    jpeg_quality: int | None = None
    needs_whole: bool = False
    orientation: int = 1
    held_bytes: int = 0
    strip_bytes: int = 0
    metadata_bytes: int = 0

    @property
    def kept_bytes(self) -> int:
        """Bytes beside the pixels that are in memory from opening the picture until its result is written."""
        return kept_bytes(self.held_bytes, self.metadata_bytes)

    @property
    def has_alpha(self) -> bool:
        return self.bands in (2, 4)

    @property
    def is_grey(self) -> bool:
        return self.bands <= 2

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def array_bytes(self) -> int:
        """Size in bytes of the decoded (height, width, bands) array."""
        return self.pixels * self.bands * (self.depth // 8)


@dataclass
class Picture:
    """A decoded picture.

    pixels: (height, width, bands), uint8 or uint16, C-contiguous; or a `PixelFile`, if `read` was given a folder.
    icc, exif, xmp: metadata as stored in the file, except that the orientation says 1 and thumbnails are gone.
    density: pixels per millimetre (horizontal, vertical) where the file states it.
    warnings: lines for the user about things that were tolerated.
    """

    pixels: Pixels
    header: Header
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    density: tuple[float, float] | None = None
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def from_array(cls, array: NDArray[Any], name: str = "array") -> Picture:
        """A picture from an array of shape (H, W) or (H, W, 1..4), dtype uint8 or uint16, in any memory order.

        The pixels are not copied if they already lie C-contiguous in native byte order.
        Raises ImageError for any other shape or type, saying how to convert.
        """
        if not isinstance(array, np.ndarray):
            raise ImageError(f"{name}: a {type(array).__name__} is not a numpy array; pass numpy.asarray(picture)")
        if array.ndim == 2:
            array = array[:, :, np.newaxis]
        if array.ndim != 3:
            raise ImageError(
                f"{name}: has {array.ndim} axes; pass one picture of shape (height, width) or (height, width, channels)"
            )
        height, width, bands = array.shape
        if not 1 <= bands <= 4:
            hint = "move the channel axis last" if array.shape[0] <= 4 else "pass grey, grey+alpha, RGB or RGBA"
            raise ImageError(f"{name}: has {bands} channels; {hint} (1 to 4 channels as the last axis)")
        if height == 0 or width == 0:
            raise ImageError(f"{name}: has no pixels (shape {array.shape}); pass at least 1x1")
        kind = array.dtype.newbyteorder("=")
        if kind not in (np.dtype(np.uint8), np.dtype(np.uint16)):
            raise ImageError(f"{name}: samples are {array.dtype}; {_conversion(array.dtype)}")
        pixels = np.ascontiguousarray(array, dtype=kind)
        return cls(pixels, Header(width, height, bands, kind.itemsize * 8, "array", name))


def _conversion(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return "multiply to 0..255 and convert to uint8, or to 0..65535 and convert to uint16"
    if dtype.kind == "b":
        return "convert to uint8 and multiply by 255"
    if dtype.kind in "iu":
        return "scale to 0..255 and convert to uint8, or to 0..65535 and convert to uint16"
    return "pass uint8 or uint16"
