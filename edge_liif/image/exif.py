"""EXIF blobs and XMP packets: marking a picture as upright once its orientation has been applied.

An EXIF blob is a small TIFF file (Exif 2.32, 4.5). It is edited in place and never laid out anew, because maker notes
hold offsets into it that only their maker understands.
"""

from __future__ import annotations

import re
import struct

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112


def upright(blob: bytes | None) -> bytes | None:
    """`blob` with orientation 1 and without its thumbnail, starting with the "Exif" prefix that JPEG uses.

    The thumbnail shows the old picture; cutting the link to the second directory is how it is dropped. A blob whose
    structure can't be followed gives None: a wrong orientation would turn the picture twice.
    """
    if not blob:
        return None
    body = bytearray(blob[len(PREFIX) :] if blob.startswith(PREFIX) else blob)
    order = {b"II": "<", b"MM": ">"}.get(bytes(body[:2]))
    if order is None or len(body) < 14:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", body, 4)
        (count,) = struct.unpack_from(order + "H", body, start)
        end = start + 2 + 12 * count
        for at in range(start + 2, end, 12):
            tag, kind = struct.unpack_from(order + "HH", body, at)
            if tag == ORIENTATION:
                struct.pack_into(order + "HHIHH", body, at, tag, 3, 1, 1, 0)
            elif at + 12 > len(body):
                raise struct.error(f"tag {tag:#x} of kind {kind} is cut")
        # Some writers leave out the link; its absence is not damage.
        if end + 4 <= len(body):
            struct.pack_into(order + "I", body, end, 0)
    except struct.error:
        return None
    return PREFIX + bytes(body)


def upright_xmp(packet: bytes | None) -> bytes | None:
    """`packet` with every tiff:Orientation set to 1, as attribute or as element; the packet's length is kept."""
    if not packet:
        return None
    # bounded, and stopping at the next tag: in time that grows with the packet, whatever is in it
    packet = re.sub(rb"(tiff:Orientation\s{0,99}=\s{0,99}[\"'])[2-8]", rb"\g<1>1", packet)
    return re.sub(rb"(<tiff:Orientation[^<>]*>\s{0,99})[2-8](?=\s{0,99}</tiff:Orientation)", rb"\g<1>1", packet)
