"""Reading pictures: `probe` looks at the header only, `read` decodes strictly into one array."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_liif.errors import ImageError, MemoryCapError
from edge_liif.image.containers import damaged, gif_is_animated, scan_bmp, scan_jpeg, scan_png, scan_pnm
from edge_liif.image.exif import upright, upright_xmp
from edge_liif.image.metadata import kept_bytes, webp_metadata_bytes
from edge_liif.image.picture import Header, Picture
from edge_liif.image.pixel_file import PixelFile, Pixels, empty_pixels
from edge_liif.image.raster import decode_raster
from edge_liif.image.sniff import SNIFF_BYTES, sniff
from edge_liif.image.source import EncodedSource, open_source
from edge_liif.image.tiff_pages import scan_tiff
from edge_liif.image.tiff_tags import exif_density, exif_from_tiff
from edge_liif.image.vips import reason, vips

__all__ = ["decode_peak_bytes", "open_source", "probe", "read", "read_top"]

Encoded = str | Path | bytes | EncodedSource

_FILES_HELD = {"gif": "GIF", "webp": "WebP"}
"""Formats whose decoders want the whole file, by their titles."""
_STRIP_BYTES = 4 << 20
# Measured with pyvips-binary 8.18: what its libraries take once, and the rows of the stored picture in its caches.
_DECODER_BYTES = 40 << 20
_DECODER_ROWS = 3200
# What libjpeg says about files that break the letter of the standard but lose no pixels.
_HARMLESS = re.compile(r"extraneous bytes before marker|unknown JFIF revision|Invalid SOS parameters|Unknown Adobe")


def probe(source: Encoded, name: str | None = None, *, most_kept: int | None = None) -> Header:
    """The header of a picture, without decoding pixels.

    source: a path, the bytes of an encoded file, or what `open_source` returned (left open).
    name: what messages call it; the path, or "standard input", if not given.
    most_kept: bytes that may be in memory beside the pixels (`Header.kept_bytes`); what a decoder holds of files and
    metadata it already holds for this.
    Raises ImageError for everything that `read` would refuse by its header, MemoryCapError above `most_kept`.
    """
    with _opened(source, name) as encoded:
        return _probe(encoded, most_kept)[0]


def read(source: Encoded, name: str | None = None, *, max_pixels: int, folder: Path | None = None) -> Picture:
    """Decode a picture into (height, width, bands), uint8 or uint16, with its orientation applied.

    max_pixels: the most pixels (width times height) to accept; checked before anything is decoded.
    folder: where to keep the pixels in a file (`PixelFile`) instead of in memory; OutputError if it has no room.
    Raises ImageError if the picture is missing, unreadable, of a refused kind, too large, truncated, damaged, or
    changed while it was read.
    """
    with _opened(source, name) as encoded:
        header, image = _probe(encoded)
        check_pixels(header, max_pixels)
        if image is None:
            raster = scan_bmp(encoded) if header.format == "bmp" else scan_pnm(encoded)
            decoded = decode_raster(encoded, raster, header.bands)
            picture = Picture(decoded, header)
            if folder is not None:
                picture.pixels = PixelFile(decoded.shape, decoded.dtype, folder)
                picture.pixels[:, :] = decoded
        else:
            loaded = [image]
            del image
            picture = _decode(encoded, header, loaded, folder)
        encoded.verify_unchanged()
        return picture


def read_top(source: Encoded, *, rows: int, columns: int) -> NDArray[Any]:
    """Up to `rows` first rows and `columns` of the middle of a picture as it is stored, (rows, columns, bands), uint8
    or uint16; the first column's number is a multiple of 8. Only these rows are decoded, unless the header says
    `needs_whole`. Raises ImageError as `read` does, but not for what is wrong further down."""
    with _opened(source, None) as encoded:
        header, image = _probe(encoded)
        if image is None:
            raster = scan_bmp(encoded) if header.format == "bmp" else scan_pnm(encoded)
            stored = decode_raster(encoded, raster, header.bands)
            left = _middle(stored.shape[1], columns)
            return stored[:rows, left : left + columns]
        left, columns = _middle(image.width, columns), min(columns, image.width)
        top = np.empty((min(rows, image.height), columns, header.bands), np.uint8 if header.depth == 8 else np.uint16)
        try:
            for row, strip in _strips(image, top.shape, top.dtype, left):
                top[row : row + len(strip)] = strip
        except vips().Error as error:
            raise damaged(header.source, reason(error)) from error
        return top


def _middle(width: int, columns: int) -> int:
    return max(0, width - columns) // 16 * 8


def check_pixels(header: Header, max_pixels: int) -> None:
    """Raise ImageError if the picture has more than `max_pixels` pixels."""
    if header.pixels > max_pixels:
        raise ImageError(
            f"{header.source}: has {header.width}x{header.height} = {header.pixels:,} pixels, more than the limit of "
            f"{max_pixels:,}; raise --max-pixels if you trust this file"
        )


def decode_peak_bytes(header: Header) -> int:
    """The most memory in bytes that `read` takes at once, its result included; an upper estimate from the header."""
    peak = header.array_bytes + header.kept_bytes + _DECODER_BYTES + _STRIP_BYTES + 2 * header.strip_bytes
    stored_width = header.height if header.orientation >= 5 else header.width
    peak += min(header.array_bytes * 3, _DECODER_ROWS * stored_width * header.bands * (header.depth // 8))
    if header.needs_whole:
        # Bytes a pixel that the decoder itself holds: coefficients of a progressive JPEG at 2 bytes a sample beside
        # the strips; RGBA canvases of WebP and GIF; the raw and the converted array of BMP and PNM.
        peak += header.pixels * {"jpeg": 8, "webp": 12, "gif": 12}.get(header.format, 0)
        if header.format not in ("jpeg", "webp", "gif"):
            peak += 2 * header.array_bytes
    return peak


def _opened(source: Encoded, name: str | None) -> AbstractContextManager[EncodedSource]:
    return nullcontext(source) if isinstance(source, EncodedSource) else open_source(source, name)


def _probe(encoded: EncodedSource, most_kept: int | None = None) -> tuple[Header, Any]:
    """The header, and the libvips image it came from (None for BMP and PNM)."""
    kind = sniff(encoded.pread(0, SNIFF_BYTES), encoded.name)
    if kind in ("bmp", "pnm"):
        raster = scan_bmp(encoded) if kind == "bmp" else scan_pnm(encoded)
        header = Header(raster.width, raster.height, raster.bands, raster.depth, kind, encoded.name)
        return replace(header, needs_whole=True, held_bytes=encoded.size), None
    facts: dict[str, Any] = {"held_bytes": encoded.size if encoded.in_memory else 0, "metadata_bytes": 0}
    if kind == "png":
        png = scan_png(encoded)
        if png.animated:
            raise _animated(encoded.name, "PNG")
        facts |= {"needs_whole": png.interlaced, "metadata_bytes": png.metadata_bytes}
    elif kind == "jpeg":
        jpeg = scan_jpeg(encoded)
        if jpeg.precision != 8:
            raise ImageError(f"{encoded.name}: is a JPEG of {jpeg.precision} bits a sample; convert it to 16-bit PNG")
        facts |= {"needs_whole": jpeg.progressive, "jpeg_quality": jpeg.quality}
        facts["metadata_bytes"] = jpeg.metadata_bytes
    elif kind == "tiff":
        tiff = scan_tiff(encoded)
        facts |= {"strip_bytes": tiff.strip_bytes, "metadata_bytes": tiff.metadata_bytes}
    else:
        facts |= {"needs_whole": True, "held_bytes": encoded.size}
        if kind == "webp":
            facts["metadata_bytes"] = webp_metadata_bytes(encoded)
    kept = kept_bytes(facts["held_bytes"], facts["metadata_bytes"])
    if most_kept is not None and kept > most_kept:
        raise MemoryCapError(
            f"{encoded.name}: takes up to {-(-kept >> 20)} MiB beside its pixels (metadata, or a file that is decoded "
            "as a whole), more than --memory leaves; save it as PNG without metadata, or raise --memory"
        )
    if kind == "gif" and gif_is_animated(encoded.read_all()):
        raise _animated(encoded.name, "GIF")
    image = _load(encoded, kind, "warning" if kind == "jpeg" else "error")
    if image.get_typeof("n-pages") and image.get("n-pages") > 1 and kind != "tiff":
        raise _animated(encoded.name, _FILES_HELD[kind])
    if image.get_typeof("jpeg-multiscan") and image.get("jpeg-multiscan"):
        facts["needs_whole"] = True
    if kind == "jpeg" and facts["needs_whole"]:
        # what stands between the scans is kept too, twice (measured); the file's size bounds it
        facts["held_bytes"] += 2 * encoded.size
    bands, depth = _samples(image, encoded.name)
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    orientation = orientation if 1 <= orientation <= 8 else 1
    width, height = (image.height, image.width) if orientation >= 5 else (image.width, image.height)
    return Header(width, height, bands, depth, kind, encoded.name, orientation=orientation, **facts), image


def _animated(name: str, kind: str) -> ImageError:
    return ImageError(f"{name}: is an animated {kind}; extract one frame as PNG")


def _load(encoded: EncodedSource, kind: str, fail_on: str) -> Any:
    pyvips = vips()
    loader = getattr(pyvips.Image, f"{kind}load_source")
    options: dict[str, Any] = {"access": "sequential", "fail_on": fail_on}
    if kind == "tiff":
        # libtiff would refuse strips of more than 50 MB as an attack; scan_tiff bounds them by the picture's size.
        options["unlimited"] = True
    try:
        return loader(encoded.vips_source(whole=kind in _FILES_HELD), **options)
    except pyvips.Error as error:
        raise damaged(encoded.name, reason(error)) from error


def _samples(image: Any, name: str) -> tuple[int, int]:
    """Bands and depth of the array, or ImageError for colour spaces and sample types that are refused."""
    space = image.interpretation
    if space == "cmyk":
        raise ImageError(f"{name}: is in CMYK; convert it to RGB (with its colour profile) first")
    if space in ("lab", "labs", "labq", "lch", "xyz", "yxy", "hsv"):
        raise ImageError(f"{name}: is in the colour space {space.upper()}; convert it to RGB first")
    if image.format in ("float", "double", "complex", "dpcomplex") or image.coding != "none":
        raise ImageError(f"{name}: has floating-point (HDR) samples; tone-map it to 8 or 16 bit first")
    if image.format not in ("uchar", "ushort"):
        held = {"char": "signed 8-bit", "short": "signed 16-bit", "int": "signed 32-bit", "uint": "32-bit integer"}
        raise ImageError(f"{name}: has {held.get(image.format, image.format)} samples; convert it to 8 or 16 bit first")
    if not 1 <= image.bands <= 4:
        raise ImageError(f"{name}: has {image.bands} channels; keep grey or RGB, with at most one alpha channel")
    return image.bands, 8 if image.format == "uchar" else 16


def _decode(encoded: EncodedSource, header: Header, loaded: list[Any], folder: Path | None) -> Picture:
    """loaded: the libvips image, which nothing else holds, so that it can go before it is needed again."""
    image, warnings = loaded.pop(), []
    shape = (header.height, header.width, header.bands)
    pixels = empty_pixels(shape, np.uint8 if header.depth == 8 else np.uint16, folder)
    flaw = None
    try:
        _fetch(image, pixels, header.orientation)
    except vips().Error as error:
        if not _harmless(header, error):
            raise damaged(header.source, reason(error)) from error
        flaw = reason(error)
    if flaw is not None:
        # Decode again without counting such complaints, still refusing what is truncated.
        del image
        image = _load(encoded, "jpeg", "error")
        try:
            _fetch(image, pixels, header.orientation)
        except vips().Error as error:
            raise damaged(header.source, reason(error)) from error
        warnings.append(f"{header.source}: the decoder tolerated a flaw ({flaw})")
    picture = Picture(pixels, header, warnings=warnings)
    picture.icc = _blob(image, "icc-profile-data")
    exif = exif_from_tiff(encoded.pread) if header.format == "tiff" else _blob(image, "exif-data")
    picture.exif = upright(exif)
    if exif is not None and picture.exif is None:
        warnings.append(f"{header.source}: its EXIF data is damaged and was dropped")
    picture.xmp = upright_xmp(_blob(image, "xmp-data"))
    # libvips states 1 pixel a millimetre where the file states nothing.
    stated = (image.xres, image.yres) != (1.0, 1.0) and min(image.xres, image.yres) > 0
    density = (image.xres, image.yres) if stated else exif_density(exif)
    picture.density = density[::-1] if density and header.orientation >= 5 else density
    return picture


def _harmless(header: Header, error: Exception) -> bool:
    """Whether the decoder of a JPEG said nothing but what costs no pixels."""
    said = [line.strip() for line in str(getattr(error, "detail", "") or error).splitlines() if "Jpeg" in line]
    return header.format == "jpeg" and bool(said) and all(_HARMLESS.search(line) for line in said)


def _fetch(image: Any, pixels: Pixels, orientation: int) -> None:
    """Decode all of `image` into the upright `pixels` (H, W, bands)."""
    shape = (image.height, image.width, pixels.shape[2])
    for row, strip in _strips(image, shape, pixels.dtype):
        top, left, block = _upright(strip, row, pixels.shape, orientation)
        pixels[top : top + block.shape[0], left : left + block.shape[1]] = block


def _strips(image: Any, shape: tuple[int, ...], dtype: Any, left: int = 0) -> Iterator[tuple[int, NDArray[Any]]]:
    """(first row, strip) of the first rows of `image`, as they are stored, from column `left` on; (rows, columns,
    bands) in all."""
    height, width, bands = shape
    region = vips().Region.new(image)
    step = max(1, min(256, _STRIP_BYTES // (width * bands * np.dtype(dtype).itemsize)))
    for top in range(0, height, step):
        rows = min(step, height - top)
        yield top, np.frombuffer(region.fetch(left, top, width, rows), dtype).reshape(rows, width, bands)


def _upright(strip: NDArray[Any], row: int, shape: tuple[int, ...], orientation: int) -> tuple[int, int, NDArray[Any]]:
    """Where rows of the file, from `row` on, lie in the upright picture of that shape: its row, its column, and a view
    of the strip turned (EXIF 2.32, 4.6.4.A, Orientation). Turned strip by strip, it takes no second copy."""
    stored_height = shape[1] if orientation >= 5 else shape[0]
    if orientation in (3, 4, 6, 7):
        strip, row = strip[::-1], stored_height - row - len(strip)
    if orientation in (2, 3, 7, 8):
        strip = strip[:, ::-1]
    return (0, row, strip.swapaxes(0, 1)) if orientation >= 5 else (row, 0, strip)


def _blob(image: Any, name: str) -> bytes | None:
    return bytes(image.get(name)) if image.get_typeof(name) else None
