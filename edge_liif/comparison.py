"""What `edge-liif run --compare` puts on its page: the result beside the bicubic enlargement of the same file."""

from __future__ import annotations

import importlib.util
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import EdgeLiifError, OutputError, UsageError
from .files import STREAM
from .image.source import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .image.picture import Header, Picture
    from .job import WriteOptions
    from .report import Report

LARGEST_PIXELS = 40_000_000
"""Of a result: both pictures lie in the page as text, and browsers hold them decoded, 4 bytes a pixel each."""

# What Pillow takes a pixel of the result at worst: two arrays of 4 bytes and a file that grows, then the result's own.
_PIXEL_BYTES = 24
_PILLOW_BYTES = 32 << 20
_FOR_BROWSERS = ("png", "jpeg", "webp")


class ComparisonError(OutputError):
    """The page can't be written; the picture itself is done."""


def page_path(name: str, inputs: int, output: str | None, from_stdin: bool) -> Path:
    """The page that --compare names. Raises UsageError where the call leaves no single picture in a file to compare."""
    if Path(name).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--compare {printable(name)} is not the name of a page, like compare.html")
    if inputs != 1:
        raise UsageError(f"--compare makes a page of one picture, and {inputs} inputs were given")
    if output == STREAM or (output is None and from_stdin):
        raise UsageError("--compare needs the result in a file, not on stdout; give -o FILE")
    if importlib.util.find_spec("PIL") is None:
        raise UsageError("--compare enlarges by Pillow's bicubic, which is not installed: pip install pillow")
    return Path(name)


def check_page(
    page: Path, source: Path | None, target: Path | None, size: tuple[int, int], write: WriteOptions
) -> None:
    """Everything that can be wrong with the page, before the picture is begun. size: (width, height) of the result.

    Raises OutputError. With `resume`, a page that is there is no error; it will be kept.
    """
    from .image.part_file import check_target

    shown = printable(str(page))
    width, height = size
    if width * height > LARGEST_PIXELS:
        raise OutputError(
            f"{shown}: the result would have {width}x{height} = {width * height:,} pixels, more than the "
            f"{LARGEST_PIXELS:,} that a page can hold; leave --compare out"
        )
    for other, what in ((source, "the input itself"), (target, "the name of the result")):
        if other is not None and _same(page, other):
            raise OutputError(f"{shown}: is {what}; give --compare another name")
    check_target(page, write.overwrite or (write.resume and page.is_file()))


def page_bytes(header: Header, width: int, height: int) -> int:
    """The most memory in bytes that making the page takes; an upper estimate, from the input's header and the result's
    size in pixels."""
    from .image.read import decode_peak_bytes

    return _PILLOW_BYTES + decode_peak_bytes(header) + _PIXEL_BYTES * width * height


def write_page(source: bytes | Path, target: Path, write: WriteOptions, report: Report) -> None:
    """Write the page of a finished result. source: the input's file or bytes, target: the result's file.

    Raises ComparisonError; neither the result nor an older page is touched then.
    """
    page = write.compare
    assert page is not None
    if write.resume and page.is_file():
        report.compare = str(page)
        return
    from .bench.compare_page import write_compare_page

    try:
        before, after = _pictures(source, report.input, target, write)
        write_compare_page(before, after, _facts(report), page, overwrite=write.overwrite)
    except (EdgeLiifError, OSError, MemoryError) as error:
        why = "there is not enough memory for the page" if isinstance(error, MemoryError) else str(error)
        raise ComparisonError(f"{why}; the picture itself is done: {printable(str(target))}") from error
    report.compare = str(page)


def _pictures(source: bytes | Path, name: str, target: Path, write: WriteOptions) -> tuple[bytes, bytes]:
    """(bicubic enlargement of the input, result) as files that browsers show."""
    from PIL import Image

    from .image.alpha import composite
    from .image.read import probe, read

    result = probe(target)
    picture = read(source, name, max_pixels=LARGEST_PIXELS)
    pixels = _eight_bits(picture)
    if write.background is not None and not result.has_alpha:
        pixels = composite(pixels, write.background)
    icc = None if write.strip else picture.icc
    size = (result.width, result.height)
    before = _png(_image(pixels).resize(size, Image.Resampling.BICUBIC), icc)
    del picture, pixels
    if result.format in _FOR_BROWSERS:
        return before, target.read_bytes()
    enlarged = read(target, max_pixels=LARGEST_PIXELS)
    return before, _png(_image(_eight_bits(enlarged)), enlarged.icc)


def _image(pixels: NDArray[np.uint8]) -> Any:
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _png(image: Any, icc: bytes | None) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", icc_profile=icc)
    return file.getvalue()


def _eight_bits(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, bands), rounded to 8 bits; row by row, because a whole picture in 32 bits would be held for a moment."""
    import numpy as np

    pixels = np.asarray(picture.pixels)
    if pixels.dtype == np.uint8:
        return pixels
    rounded = np.empty(pixels.shape, np.uint8)
    for row, line in zip(rounded, pixels, strict=True):
        row[:] = (line.astype(np.uint32) + 128) // 257
    return rounded


def _facts(report: Report) -> dict[str, str]:
    """Lines below the pictures, and the names of the sides."""
    facts = {"title": f"{Path(report.input).name}, enlarged", "before": "bicubic", "after": report.model or "edge-liif"}
    if report.input_size and report.output_size and report.scale:
        sizes = [f"{width}x{height}" for width, height in (report.input_size, report.output_size)]
        x, y = report.scale
        facts["size"] = f"{sizes[0]} to {sizes[1]} pixels (x{x:.4g}" + (")" if x == y else f" by x{y:.4g})")
    if report.output:
        facts["result"] = Path(report.output).name
    if report.model:
        facts["model"] = f"{report.model} ({report.model_why})"
        facts["computed by"] = f"{report.engine} on {report.device}, {report.precision}"
    if "enlarge" in report.seconds:
        facts["time"] = f"{report.seconds['enlarge']:.1f} s to enlarge"
    return facts


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return os.path.abspath(one) == os.path.abspath(other)  # noqa: PTH100 (links stay: they are two names)
