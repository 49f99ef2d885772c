"""TIFF directories (TIFF 6.0, section 2; BigTIFF): read them from a file, and carry EXIF between them and EXIF blobs.

libvips neither reads EXIF from TIFF files nor writes it there, so this module does both.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Container
from dataclasses import dataclass

from edge_liif.image.exif import PREFIX

# Bytes of one value, by TIFF field type; and the size of the units that byte order applies to.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_SWAP_UNIT = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
# Tags of the main directory that describe the photograph, not how its pixels are stored.
_DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, 0x4746, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F)
# Structures with offsets of their own, or with facts about the old pixels, aren't carried into another file.
_OLD_PIXELS = (0x927C, 0xA002, 0xA003)
_NOT_CARRIED = (EXIF_IFD, GPS_IFD, INTEROP_IFD, *_OLD_PIXELS)
# Offsets and byte counts of strips and tiles.
_PLACES = (0x0111, 0x0117, 0x0144, 0x0145)
_CARRIED = frozenset((*_DESCRIPTIVE, EXIF_IFD, GPS_IFD, INTEROP_IFD))
_MOST_ENTRIES = 4096
_LARGEST_VALUE = 1 << 20

Pread = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Field:
    """One directory entry: field type, count, and its value bytes in the file's byte order."""

    kind: int
    count: int
    value: bytes


@dataclass(frozen=True)
class Layout:
    """Byte order ("<" or ">") and whether offsets take 8 bytes (BigTIFF)."""

    order: str
    big: bool


Directory = dict[int, Field]


def read_layout(pread: Pread) -> tuple[Layout, int]:
    """Layout and the offset of the first directory. Raises ValueError if the header is not a TIFF's."""
    head = pread(0, 16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise ValueError("no TIFF header")
    magic = struct.unpack_from(order + "H", head, 2)[0]
    if magic == 43 and len(head) == 16:
        return Layout(order, True), struct.unpack_from(order + "Q", head, 8)[0]
    if magic != 42:
        raise ValueError("no TIFF header")
    return Layout(order, False), struct.unpack_from(order + "I", head, 4)[0]


@dataclass(frozen=True)
class Table:
    """A directory before its values are read. entries: (tag, type, count, the cell that holds the value or its offset);
    following: offset of the next directory, 0 after the last."""

    entries: list[tuple[int, int, int, bytes]]
    following: int

    def value_bytes(self, file_bytes: int) -> tuple[int, int]:
        """Bytes of all values, whatever they are for, as they are stored and as libtiff holds them: where strips and
        tiles lie takes 8 bytes each. Those that a file of so many bytes can't hold are left out."""
        stored = held = 0
        for tag, kind, values, _ in self.entries:
            width = _TYPE_BYTES.get(kind, 0)
            if width * values <= file_bytes:
                stored += width * values
                held += max(width, 8 if width and tag in _PLACES else 0) * values
        return stored, held


def read_directory(
    pread: Pread,
    layout: Layout,
    offset: int,
    wanted: Container[int] | None = None,
    unwanted: Container[int] = (),
) -> Directory:
    """`read_table` and `read_fields`. Raises ValueError as they do."""
    return read_fields(pread, layout, read_table(pread, layout, offset), wanted, unwanted)


def read_fields(
    pread: Pread, layout: Layout, table: Table, wanted: Container[int] | None = None, unwanted: Container[int] = ()
) -> Directory:
    """The fields of a directory: those of the tags `wanted`, or all, but for the `unwanted`.

    Fields of unknown type or of more than 1 MiB are left out. Raises ValueError if the values are more than 1 MiB in
    all: they may overlap, and a small file can state any number of large ones.
    """
    inline = 8 if layout.big else 4
    word = layout.order + ("Q" if layout.big else "I")
    fields: Directory = {}
    total = 0
    for tag, kind, values, cell in table.entries:
        size = _TYPE_BYTES.get(kind, 0) * values
        if not 0 < size <= _LARGEST_VALUE or (wanted is not None and tag not in wanted) or tag in unwanted:
            continue
        total += size
        if total > _LARGEST_VALUE:
            raise ValueError("the values of a TIFF directory take more than 1 MiB")
        value = cell[:size] if size <= inline else pread(struct.unpack(word, cell)[0], size)
        if len(value) == size:
            fields.setdefault(tag, Field(kind, values, value))  # of a tag that comes twice libtiff takes the first
    return fields


def read_table(pread: Pread, layout: Layout, offset: int) -> Table:
    """The table of the directory at `offset`. Raises ValueError if it is cut."""
    count_format, entry_bytes, inline = ("Q", 20, 8) if layout.big else ("H", 12, 4)
    count_bytes = struct.calcsize("<" + count_format)
    head = pread(offset, count_bytes)
    if len(head) < count_bytes:
        raise ValueError("a TIFF directory lies beyond the end of the file")
    (count,) = struct.unpack(layout.order + count_format, head)
    if not 0 < count <= _MOST_ENTRIES:
        raise ValueError(f"a TIFF directory states {count} fields")
    table = pread(offset + count_bytes, count * entry_bytes + inline)
    if len(table) < count * entry_bytes:
        raise ValueError("a TIFF directory is cut")
    word = "Q" if layout.big else "I"
    entries = list(struct.iter_unpack(f"{layout.order}HH{word}{inline}s", table[: count * entry_bytes]))
    tail = table[count * entry_bytes :]
    return Table(entries, struct.unpack(layout.order + word, tail)[0] if len(tail) == inline else 0)


def integers(fields: Directory, layout: Layout, tag: int) -> list[int]:
    """The values of an integer field; empty if it is missing or of another type."""
    field = fields.get(tag)
    code = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(field.kind) if field else None
    return list(struct.unpack(f"{layout.order}{field.count}{code}", field.value)) if field and code else []


def exif_from_tiff(pread: Pread) -> bytes | None:
    """An EXIF blob of a TIFF's descriptive tags and its EXIF and GPS directories; None if it has none of them."""
    try:
        layout, offset = read_layout(pread)
        main = read_directory(pread, layout, offset, _CARRIED)
        tree = _with_children(pread, layout, {tag: main[tag] for tag in _DESCRIPTIVE if tag in main}, main)
    except (ValueError, struct.error):
        return None
    if not tree.fields and not tree.children:
        return None
    body = bytearray(struct.pack(layout.order + "2sHI", b"II" if layout.order == "<" else b"MM", 42, 8))
    # Directories are laid out from the inside out, so the first offset is known last.
    start = _append(body, tree, Layout(layout.order, False), [])
    struct.pack_into(layout.order + "I", body, 4, start)
    return PREFIX + bytes(body) if len(body) + len(PREFIX) <= 65533 else None


def exif_density(exif: bytes | None) -> tuple[float, float] | None:
    """Pixels a millimetre (horizontal, vertical) as an EXIF blob states them; None if it doesn't."""
    blob = (exif or b"").removeprefix(PREFIX)
    try:
        layout, offset = read_layout(lambda at, count: blob[at : at + count])
        main = read_directory(lambda at, count: blob[at : at + count], layout, offset)
        sides = [struct.unpack(layout.order + "II", main[tag].value) for tag in (0x011A, 0x011B)]
    except (ValueError, KeyError, struct.error):
        return None
    # Resolution unit: 2 inches, 3 centimetres.
    unit = {2: 25.4, 3: 10.0}.get((integers(main, layout, 0x0128) or [2])[0])
    if unit is None or any(above == 0 or below == 0 for above, below in sides):
        return None
    return sides[0][0] / sides[0][1] / unit, sides[1][0] / sides[1][1] / unit


@dataclass(frozen=True)
class _Tree:
    fields: Directory
    children: dict[int, _Tree]


def _with_children(pread: Pread, layout: Layout, fields: Directory, links: Directory, depth: int = 0) -> _Tree:
    children = {}
    for tag in (EXIF_IFD, GPS_IFD, INTEROP_IFD) if depth < 2 else ():
        target = integers(links, layout, tag)
        if not target:
            continue
        try:
            # a maker note alone may be as large as all of a directory may be
            inner = read_directory(pread, layout, target[0], unwanted=_OLD_PIXELS)
        except (ValueError, struct.error):
            continue
        kept = {key: field for key, field in inner.items() if key not in _NOT_CARRIED}
        children[tag] = _with_children(pread, layout, kept, inner, depth + 1)
    return _Tree({tag: field for tag, field in fields.items() if tag not in _NOT_CARRIED}, children)


def _append(body: bytearray, tree: _Tree, layout: Layout, verbatim: list[bytes], base: int = 0) -> int:
    """Append directory `tree` to `body`, which starts at file offset `base`; returns the directory's file offset.

    verbatim: entries already encoded for `layout` (of a file that is extended) to merge in.
    """
    word, inline = ("Q", 8) if layout.big else ("I", 4)
    entries = list(verbatim)
    for tag, child in tree.children.items():
        at = _append(body, child, layout, [], base)
        # LONG (LONG8 in BigTIFF), not the IFD types: readers of EXIF know only the former for these links.
        entries.append(struct.pack(f"{layout.order}HH{word}{word}", tag, 16 if layout.big else 4, 1, at))
    for tag, field in tree.fields.items():
        cell = field.value
        if len(cell) > inline:
            body.extend(b"\0" * (-(base + len(body)) % 8))
            cell = struct.pack(layout.order + word, base + len(body))
            body.extend(field.value)
        head = struct.pack(f"{layout.order}HH{word}", tag, field.kind, field.count)
        entries.append(head + cell.ljust(inline, b"\0"))
    body.extend(b"\0" * (-(base + len(body)) % 8))
    start = base + len(body)
    entries.sort(key=lambda entry: struct.unpack_from(layout.order + "H", entry)[0])
    body.extend(struct.pack(layout.order + ("Q" if layout.big else "H"), len(entries)))
    body.extend(b"".join(entries) + b"\0" * inline)
    return start


def _swapped(field: Field) -> Field:
    unit = _SWAP_UNIT.get(field.kind, 1)
    value = field.value
    return Field(field.kind, field.count, b"".join(value[i : i + unit][::-1] for i in range(0, len(value), unit)))


def _reordered(tree: _Tree) -> _Tree:
    return _Tree(
        {tag: _swapped(field) for tag, field in tree.fields.items()},
        {tag: _reordered(child) for tag, child in tree.children.items()},
    )


def embed_exif(fd: int, exif: bytes) -> None:
    """Add an EXIF blob's tags to the single-page TIFF open for reading and writing as `fd`.

    A new main directory is appended and the header points to it; pixels stay where they are. A blob that can't be
    followed is left out. Raises OSError if writing fails.
    """
    blob = exif[len(PREFIX) :] if exif.startswith(PREFIX) else exif

    def from_blob(offset: int, count: int) -> bytes:
        return blob[offset : offset + count]

    def from_file(offset: int, count: int) -> bytes:
        return os.pread(fd, count, offset)

    try:
        layout, offset = read_layout(from_blob)
        main = read_directory(from_blob, layout, offset)
        tree = _with_children(from_blob, layout, {tag: main[tag] for tag in _DESCRIPTIVE if tag in main}, main)
        target, at = read_layout(from_file)
        present = read_directory(from_file, target, at, _CARRIED)
    except (ValueError, struct.error):
        return
    if layout.order != target.order:
        tree = _reordered(tree)
    tree = _Tree({tag: field for tag, field in tree.fields.items() if tag not in present}, tree.children)
    if not tree.fields and not tree.children:
        return
    count_format, entry_bytes = ("Q", 20) if target.big else ("H", 12)
    count_bytes = struct.calcsize("<" + count_format)
    (count,) = struct.unpack(target.order + count_format, from_file(at, count_bytes))
    table = from_file(at + count_bytes, count * entry_bytes)
    verbatim = [table[i : i + entry_bytes] for i in range(0, len(table), entry_bytes)]
    end = os.fstat(fd).st_size
    body = bytearray()
    start = _append(body, tree, target, verbatim, end)
    _pwrite(fd, bytes(body), end)
    word = struct.pack(target.order + ("Q" if target.big else "I"), start)
    _pwrite(fd, word, 8 if target.big else 4)


def _pwrite(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done
