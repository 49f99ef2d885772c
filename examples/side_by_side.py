"""The two pictures in the README: photographs reduced by 3 and enlarged again, beside the original; and the photographs
as JPEGs, enlarged, of which there is no original at that size.

python examples/side_by_side.py        # writes side_by_side.png and jpeg_side_by_side.png; needs edge-liif[eval]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import edge_liif
from edge_liif.evaluate.degrade import jpeg_coded

FOLDER = Path(__file__).parent
SCALE, ZOOM, GAP = 3, 2, 6
QUALITY = 30


@dataclass(frozen=True)
class Piece:
    """left, top, width, height: of the part that is shown, in pixels of the original."""

    picture: str
    left: int
    top: int
    width: int
    height: int

    def original(self) -> Image.Image:
        return Image.open(FOLDER / self.picture).convert("RGB")


REDUCED = [Piece("kodim23.png", 340, 150, 210, 150), Piece("kodim08.png", 60, 250, 210, 150)]
CODED = [Piece("kodim23.png", 140, 140, 140, 100), Piece("kodim08.png", 330, 210, 140, 100)]


def main() -> None:
    default = edge_liif.load(precision="fp32", halo="exact")
    for_jpegs = edge_liif.load("edsr-baseline-liif-jpeg-int8", precision="fp32", halo="exact")
    save([reduced(piece, default) for piece in REDUCED], "side_by_side.png")
    save([coded(piece, default, for_jpegs) for piece in CODED], "jpeg_side_by_side.png")


def reduced(piece: Piece, model: edge_liif.Upscaler) -> NDArray[np.uint8]:
    """Reduced by PIL's bicubic, enlarged by bicubic and by the model, and the original; pixels doubled to be seen."""
    original = piece.original()
    size = (original.width // SCALE * SCALE, original.height // SCALE * SCALE)
    original = original.crop((0, 0, *size))
    small = original.resize((size[0] // SCALE, size[1] // SCALE), Image.Resampling.BICUBIC)
    pictures = {
        f"bicubic x{SCALE}": small.resize(size, Image.Resampling.BICUBIC),
        f"edge-liif x{SCALE}": Image.fromarray(model(np.asarray(small), scale=SCALE)),
        "original": original,
    }
    return panels(pictures, (piece.left, piece.top, piece.width, piece.height), ZOOM)


def coded(piece: Piece, clean: edge_liif.Upscaler, robust: edge_liif.Upscaler) -> NDArray[np.uint8]:
    """The photograph as a JPEG, enlarged by bicubic, by the model for clean pictures and by that for JPEGs, 1:1."""
    lr = jpeg_coded(np.asarray(piece.original()), QUALITY)
    size = (SCALE * lr.shape[1], SCALE * lr.shape[0])
    pictures = {
        f"JPEG quality {QUALITY}, bicubic x{SCALE}": Image.fromarray(lr).resize(size, Image.Resampling.BICUBIC),
        "the model for clean pictures": Image.fromarray(clean(lr, scale=SCALE)),
        f"edge-liif x{SCALE}": Image.fromarray(robust(lr, scale=SCALE)),
    }
    box = (SCALE * piece.left, SCALE * piece.top, SCALE * piece.width, SCALE * piece.height)
    return panels(pictures, box, 1)


def panels(pictures: Mapping[str, Image.Image], box: tuple[int, int, int, int], zoom: int) -> NDArray[np.uint8]:
    """The same part (left, top, width, height) of each, labelled, a white border to the right and below."""
    left, top, width, height = box
    font = ImageFont.load_default(size=16)
    shown = []
    for label, picture in pictures.items():
        part = picture.crop((left, top, left + width, top + height))
        part = part.resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
        ImageDraw.Draw(part).text((8, 6), label, font=font, fill="white", stroke_width=2, stroke_fill="black")
        shown.append(np.pad(np.asarray(part), ((0, GAP), (0, GAP), (0, 0)), constant_values=255))
    return np.hstack(shown)


def save(rows: list[NDArray[np.uint8]], name: str) -> None:
    Image.fromarray(np.vstack(rows)[:-GAP, :-GAP]).save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    main()
