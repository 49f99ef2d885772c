"""Files to start from: a small picture in every kind that is read, and small networks in every form."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageCms


def pictures() -> dict[str, bytes]:
    """A name that ends in the extension, and the file."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:33, :47]
    smooth = np.stack([x * 5, y * 7, x + y, 255 - x], axis=2).astype(np.uint8)
    rgba = np.where(rng.random(smooth.shape) < 0.2, rng.integers(0, 256, smooth.shape), smooth).astype(np.uint8)
    rgb, deep = rgba[..., :3].copy(), rgba[..., :3].astype(np.uint16) * 251
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "Model 3000"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    blobs = {"exif": exif, "icc_profile": icc}

    def pillow(array: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
        image = Image.fromarray(array)
        buffer = io.BytesIO()
        (image if mode is None else image.convert(mode)).save(buffer, kind, **options)
        return buffer.getvalue()

    def tiff(array: np.ndarray, **options: object) -> bytes:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, **options)
        return buffer.getvalue()

    def opencv(array: np.ndarray, extension: str) -> bytes:
        return cv2.imencode(extension, array)[1].tobytes()

    return {
        "rgb.png": pillow(rgb, "PNG", **blobs),
        "rgba.png": pillow(rgba, "PNG"),
        "palette.png": pillow(rgb, "PNG", "P"),
        "bits.png": pillow(rgb, "PNG", "1"),
        "grey-alpha.png": pillow(rgba, "PNG", "LA"),
        "deep.png": opencv(deep, ".png"),
        "baseline.jpg": pillow(rgb, "JPEG", quality=80, **blobs),
        "progressive.jpg": pillow(rgb, "JPEG", progressive=True, subsampling=0),
        "grey.jpg": pillow(rgb, "JPEG", "L"),
        "strips.tif": tiff(rgb, photometric="rgb", rowsperstrip=5, compression="zlib"),
        "tiles.tif": tiff(deep, photometric="rgb", tile=(16, 16)),
        "big.tif": tiff(rgb, photometric="rgb", bigtiff=True),
        "pillow.tif": pillow(rgba, "TIFF", compression="tiff_lzw", **blobs),
        "lossy.webp": pillow(rgb, "WEBP", **blobs),
        "lossless.webp": pillow(rgba, "WEBP", lossless=True),
        "small.gif": pillow(rgb, "GIF", "P"),
        "plain.bmp": pillow(rgb, "BMP"),
        "binary.ppm": pillow(rgb, "PPM"),
        "text.pgm": b"P2\n3 2\n255\n1 2 3\n4 5 6\n",
        "bits.pbm": b"P4\n9 2\n\xaa\x80\x55\x00",
    }


def networks(folder: Path) -> dict[str, bytes]:
    """Model files: a float network of each kind; if torch is there also one compressed to packed integers, and the
    LIIF authors' format. (Not in torch's older container, which names storages by their addresses: its bytes are never
    the same twice.)"""
    from edge_liif.model.checkpoint import random_network, save_network
    from edge_liif.model.edsr import EDSRSpec
    from edge_liif.model.liif import DecoderSpec
    from edge_liif.model.rdn import RDNSpec
    from edge_liif.model.spec import ModelSpec

    decoder = DecoderSpec((16,) * 4)
    rdn = random_network(ModelSpec("tiny-rdn", RDNSpec.uniform(2, 2, 8), decoder))
    edsr = random_network(ModelSpec("tiny-edsr", EDSRSpec.uniform(2, 16), decoder))
    found = {"rdn": rdn, "edsr": edsr}
    try:
        from edge_liif.compress.config import CompressConfig
        from edge_liif.compress.pipeline import compress

        found["integers"] = compress(rdn, CompressConfig("rtn", 0.0, 4, 8))[0]
    except ImportError:
        pass
    files = {}
    try:
        import torch
    except ImportError:
        pass
    else:
        state = {key: torch.from_numpy(value) for key, value in rdn.tensors.items()}
        buffer = io.BytesIO()
        torch.save({"model": {"name": "liif", "args": {"encoder_spec": {"name": "rdn"}}, "sd": state}}, buffer)
        files["author.pth"] = buffer.getvalue()
    for name, network in found.items():
        path = folder / f"{name}.safetensors"
        save_network(network, path)
        files[path.name] = path.read_bytes()
    return files
