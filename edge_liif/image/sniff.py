"""Which kind of picture some bytes are, by their first bytes alone; a file's extension is never asked."""

from __future__ import annotations

from edge_liif.errors import ImageError

READABLE = "PNG, JPEG, TIFF, WebP, GIF, BMP and PNM (pbm, pgm, ppm)"
SNIFF_BYTES = 512

_REFUSED_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"hevc": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"crx ": "a camera raw file (CR3)",
}

_REFUSED = (
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"v/1\x01", "OpenEXR, a high dynamic range format"),
    (b"#?RADIANCE", "Radiance HDR, a high dynamic range format"),
    (b"#?RGBE", "Radiance HDR, a high dynamic range format"),
    (b"PF\n", "PFM, a floating-point format"),
    (b"Pf\n", "PFM, a floating-point format"),
    (b"P7\n", "PAM"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"DDS ", "DDS"),
    (b"SIMPLE  =", "FITS"),
    (b"FUJIFILM", "a camera raw file (RAF)"),
    (b"IIRO", "a camera raw file (ORF)"),
    (b"IIU\x00", "a camera raw file (RW2)"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"\x89JNG", "JNG"),
    (b"\x8aMNG", "MNG, an animation format"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
)


def sniff(head: bytes, name: str) -> str:
    """The format of a picture that starts with `head` (SNIFF_BYTES of it, or all): a `Header.format` value.

    Raises ImageError naming the kinds that are read if it is another kind or no picture at all.
    """
    kind = _readable(head)
    if kind is not None:
        return kind
    what = _refused(head)
    if what is not None:
        raise ImageError(f"{name}: is {what}, which isn't read; convert it to one of {READABLE}")
    raise ImageError(f"{name}: is not a picture that can be read; give {READABLE}")


def _readable(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    # The header size that follows tells a bitmap from text that happens to start with "BM".
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return "bmp"
    if len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n":
        return "pnm"
    return None


def _refused(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return _REFUSED_BRANDS.get(head[8:12], "a video or a HEIF picture")
    for magic, what in _REFUSED:
        if head.startswith(magic):
            return what
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<svg") or (start.startswith((b"<?xml", b"<!doctype")) and b"<svg" in start):
        return "SVG, a vector drawing"
    return None
