"""The picture in the README: a photograph reduced by 3, enlarged again by bicubic and by edge-liif, and the original.

python examples/side_by_side.py        # writes examples/side_by_side.png; needs edge-liif[eval]
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import edge_liif

FOLDER = Path(__file__).parent
SCALE, ZOOM, GAP = 3, 2, 6
# picture, left, top, width, height of the piece shown, in pixels of the original
PIECES = [("kodim23.png", 340, 150, 210, 150), ("kodim08.png", 60, 250, 210, 150)]


def main() -> None:
    upscaler = edge_liif.load(precision="fp32", halo="exact")
    font = ImageFont.load_default(size=16)
    rows = []
    for name, left, top, width, height in PIECES:
        original = Image.open(FOLDER / name).convert("RGB")
        size = (original.width // SCALE * SCALE, original.height // SCALE * SCALE)
        original = original.crop((0, 0, *size))
        small = original.resize((size[0] // SCALE, size[1] // SCALE), Image.Resampling.BICUBIC)
        bicubic = small.resize(size, Image.Resampling.BICUBIC)
        ours = Image.fromarray(upscaler(np.asarray(small), scale=SCALE))
        panels = []
        for label, picture in (("bicubic x3", bicubic), ("edge-liif x3", ours), ("original", original)):
            piece = picture.crop((left, top, left + width, top + height))
            piece = piece.resize((width * ZOOM, height * ZOOM), Image.Resampling.NEAREST)
            ImageDraw.Draw(piece).text((8, 6), label, font=font, fill="white", stroke_width=2, stroke_fill="black")
            panels.append(np.pad(np.asarray(piece), ((0, GAP), (0, GAP), (0, 0)), constant_values=255))
        rows.append(np.hstack(panels))
    Image.fromarray(np.vstack(rows)[:-GAP, :-GAP]).save(FOLDER / "side_by_side.png", optimize=True)


if __name__ == "__main__":
    main()
