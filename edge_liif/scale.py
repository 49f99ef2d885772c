"""What "how much larger" may be: `--scale 3`, `--scale 1.7`, `--scale 2x3`, `--size 1920x1080`, `--size 1920x`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .errors import UsageError

# libvips, which writes the files, stops here.
LARGEST_SIDE = 10_000_000


@dataclass(frozen=True)
class Enlargement:
    """Either factors (x, y) or a size (width, height) of which one may be None (kept in proportion)."""

    factors: tuple[float, float] | None = None
    size: tuple[int | None, int | None] | None = None

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the result in pixels; a side is round(scale * side).

        Raises UsageError for a result smaller than the input, or larger than any file can hold.
        """
        if self.factors is not None:
            out_width, out_height = (round(side * f) for side, f in zip((width, height), self.factors, strict=True))
        else:
            assert self.size is not None
            asked_width, asked_height = self.size
            factor = asked_width / width if asked_width is not None else (asked_height or 0) / height
            out_width = asked_width if asked_width is not None else round(width * factor)
            out_height = asked_height if asked_height is not None else round(height * factor)
        if out_width < width or out_height < height:
            raise UsageError(
                f"{width}x{height} to {out_width}x{out_height} is not an enlargement; this program only enlarges "
                "(scale 1 or more on each axis)"
            )
        if max(out_width, out_height) > LARGEST_SIDE:
            raise UsageError(
                f"{width}x{height} would become {out_width}x{out_height}; no side may exceed {LARGEST_SIDE} pixels, "
                "choose a smaller scale"
            )
        return out_height, out_width

    @property
    def tag(self) -> str:
        """What names of results end in: x3, x1.7, x2x3, 1920x1080, w1920, h1080."""
        if self.factors is not None:
            x, y = (f"{f:g}" for f in self.factors)
            return f"x{x}" if x == y else f"x{x}x{y}"
        assert self.size is not None
        width, height = self.size
        if width is None or height is None:
            return f"h{height}" if width is None else f"w{width}"
        return f"{width}x{height}"


def enlargement(
    scale: float | str | tuple[float, float] | None = None,
    size: str | tuple[int | None, int | None] | None = None,
) -> Enlargement:
    """From numbers or the command line's words; exactly one of scale and size. Tuples are (x, y), (width, height).

    Raises UsageError for anything but finite factors of at least 1 and sizes of at least 1 pixel.
    """
    if (scale is None) == (size is None):
        raise UsageError("give either a scale (3, 1.7, 2x3: horizontal x vertical) or a size (1920x1080), not both")
    if scale is not None:
        return Enlargement(factors=_factors(scale))
    assert size is not None
    return Enlargement(size=_size(size))


def _factors(scale: float | str | tuple[float, float]) -> tuple[float, float]:
    try:
        if isinstance(scale, str):
            parts = [float(part) for part in re.split(r"[xX×]", scale.strip())]
        elif isinstance(scale, tuple):
            x, y = scale
            parts = [float(x), float(y)]
        else:
            parts = [float(scale)]
        x, y = parts * 2 if len(parts) == 1 else parts
    except (ValueError, TypeError, OverflowError):
        raise UsageError(f"scale {str(scale)[:40]!r} is not a number like 3 or 1.7, nor two like 2x3") from None
    for factor in (x, y):
        if not math.isfinite(factor) or factor < 1:
            raise UsageError(f"scale {factor:g} is not possible; it must be a finite number of at least 1")
        if factor > LARGEST_SIDE:
            raise UsageError(f"scale {factor:g} is too large; no side of the result may exceed {LARGEST_SIDE} pixels")
    return x, y


def _size(size: str | tuple[int | None, int | None]) -> tuple[int | None, int | None]:
    try:
        if isinstance(size, str):
            match = re.fullmatch(r"\s*(\d{0,9})\s*[xX×]\s*(\d{0,9})\s*", size)
            if match is None:
                raise ValueError
            width, height = (int(side) if side else None for side in match.groups())
        else:
            width, height = (None if side is None else int(side) for side in size)
    except (ValueError, TypeError):
        raise UsageError(f"size {str(size)[:40]!r} is not WIDTHxHEIGHT, like 1920x1080, 1920x or x1080") from None
    if (width is None and height is None) or any(side is not None and side < 1 for side in (width, height)):
        raise UsageError(f"size {str(size)[:40]!r} has a side that is not a number of pixels of at least 1")
    return width, height
