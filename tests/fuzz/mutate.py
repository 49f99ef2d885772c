"""Damage to files: from the seed of a case alone, so that every case can be made again."""

from __future__ import annotations

import functools
import io
import json
import random
import re
import struct
import zipfile
import zlib

from ..png import with_chunks

_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)


def mutated(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """One to six kinds of damage at random places; half of the PNGs get right checksums afterwards."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        result = bytearray(rng.choice(_KINDS)(result, rng, others)) or bytearray(b"\0")
    if result.startswith(b"\x89PNG") and rng.random() < 0.5:
        result = _with_right_checksums(result)
    return bytes(result)


def mutated_model(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Damage to the bytes of a model file, or to what the JSON header of a .safetensors file or the pickle of a .pth
    says."""
    if rng.random() < 0.35:
        return mutated(data, rng, others)
    if data.startswith(b"PK"):
        return _changed_archive(data, rng, others)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change_header(header, rng)
    text = json.dumps(header).encode()
    stated = len(text) if rng.random() < 0.9 else rng.choice((*_NUMBERS, 2**40, 2**63, 2**64 - 1))
    return stated.to_bytes(8, "little") + text + data[8 + length :]


# What a pickle may name instead: code, and what torch's reader lets through although no network has it.
_NAMES = (
    b"os\nsystem",
    b"builtins\neval",
    b"posix\nmkdir",
    b"collections\nOrderedDict",
    b"torch\nTensor",
    b"torch\nComplexDoubleStorage",
    b"torch\nBoolStorage",
    b"torch._utils\n_rebuild_sparse_tensor",
    b"torch._utils\n_rebuild_qtensor",
    b"torch._utils\n_rebuild_meta_tensor_no_storage",
    b"torch._utils\n_rebuild_device_tensor_from_numpy",
    b"torch._tensor\n_rebuild_from_type_v2",
    b"numpy.core.multiarray\n_reconstruct",
)
_GLOBAL = re.compile(rb"(?<=c)[\w.]+\n\w+(?=\n)")
# A small number in a pickle, as sizes, strides and offsets are, and what may stand there instead.
_SMALL = re.compile(rb"K.|M..|J....", re.DOTALL)
_LARGE = (b"K\0", b"K\1", b"M\xff\xff", b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff", b"\x8a\x05\0\0\0\0\1", b"N")


def _changed_archive(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """torch's container with one member changed and its checksums right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(buffer, "w") as target:
        names = archive.namelist()
        pickle = next(name for name in names if name.endswith("data.pkl"))
        chosen = pickle if rng.random() < 0.8 else rng.choice(names)
        for name in names:
            held = archive.read(name)
            if name == chosen:
                if name != pickle and rng.random() < 0.5:
                    continue
                held = (_changed_pickle if name == pickle else mutated)(held or b"\0", rng, others)
            # a date of its own, so that a case is the same at every hour
            target.writestr(zipfile.ZipInfo(name), held)
    return buffer.getvalue()


def _changed_pickle(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """A pickle that names other things, or has other numbers, in up to three places."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        pattern, instead = rng.choice(((_GLOBAL, _NAMES), (_SMALL, _LARGE), (_SMALL, _LARGE)))
        places = list(pattern.finditer(data[:100_000]))
        if not places or rng.random() < 0.1:
            data = mutated(data, rng, others)
            continue
        place = rng.choice(places)
        data = data[: place.start()] + rng.choice(instead) + data[place.end() :]
    return data


def _change_header(header: dict, rng: random.Random) -> None:
    names = [name for name in header if name != "__metadata__"]
    spec = header.get("__metadata__", {})
    if spec and rng.random() < 0.5:
        key = rng.choice(sorted(spec))
        try:
            held = json.loads(spec[key])
        except (ValueError, TypeError):
            spec[key] = rng.choice(("", "null", "[" * 50_000, "9" * 5000, "\0", "{}"))
            return
        spec[key] = json.dumps(_changed(held, rng))
        return
    entry = header[rng.choice(names)] if names else {}
    if not isinstance(entry, dict):
        return
    change = rng.randrange(6)
    if change == 0:
        entry["dtype"] = rng.choice(("F64", "F32", "F16", "BF16", "I64", "I32", "U8", "BOOL", "F4", "", None, 7))
    elif change == 1:
        shape = list(entry.get("shape") or [1])
        shape[rng.randrange(len(shape))] = rng.choice((*_NUMBERS, -1, 2**62, "3", None, 1.5))
        entry["shape"] = shape
    elif change == 2:
        entry["data_offsets"] = [rng.choice((*_NUMBERS, -1, 2**63)), rng.choice(_NUMBERS)]
    elif change == 3:
        entry["shape"] = rng.choice(([], [0], [1] * 65, "x", None, {}))
    elif change == 4:
        del header[rng.choice(names)]
    else:
        header["".join(rng.choices("../\\\n\0ab", k=8))] = dict(entry)


def _changed(value: object, rng: random.Random) -> object:
    """A JSON value with one thing in it changed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: _changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = rng.randrange(len(value))
        if rng.random() < 0.15:
            return value[:place] + value[place + 1 :]
        return [*value[:place], _changed(value[place], rng), *value[place + 1 :]]
    return rng.choice((None, True, -1, 0, 1, 7, 2**31, 2**64, 1e308, "", "x", "../x", "\n", [], {}, [[]], "9" * 99))


def _flip(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    for _i in range(rng.choice((1, 2, 8, 40))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _set(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
    return data


def _number(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    kind = rng.choice(("<H", ">H", "<I", ">I"))
    number = rng.choice(_NUMBERS) & (0xFFFF if kind[1] == "H" else 0xFFFFFFFF)
    # headers are where numbers matter
    place = rng.randrange(min(len(data), rng.choice((64, 300, len(data)))))
    packed = struct.pack(kind, number)
    data[place : place + len(packed)] = packed
    return data


def _truncate(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    return data[: rng.randrange(len(data))]


def _insert(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    place = rng.randrange(len(data))
    return data[:place] + rng.randbytes(rng.choice((1, 2, 7, 300))) + data[place:]


def _remove(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.choice((1, 2, 30)) :]


def _repeat(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    start = rng.randrange(len(data))
    stop = min(len(data), start + rng.choice((4, 60, 1000)))
    return data[:stop] + data[start:stop] * rng.choice((1, 1, 50)) + data[stop:]


def _splice(data: bytearray, rng: random.Random, others: list[bytes]) -> bytearray:
    other = rng.choice(others)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def _bulk(data: bytearray, rng: random.Random, others: list[bytes]) -> bytearray:
    """Much metadata in a well-formed way: packed in a PNG, by fields that share bytes in a TIFF, in segments of a JPEG.
    Bytes at random would never come to that."""
    if data.startswith(b"\x89PNG"):
        chunks = []
        # libpng drops texts of more than 8 MB, so several of 7 come further than one of 100
        for number in range(rng.choice((1, 3, 9))):
            language = b"a" * rng.choice((0, 2, 5000)) + b"\0" + b"b" * rng.choice((0, 9000)) + b"\0"
            xmp = b"XML:com.adobe.xmp\0\1\0" + language
            heads = ((b"iCCP", b"x\0\0"), (b"zTXt", b"k%d\0\0" % number), (b"iTXt", xmp), (b"prVW", b""))
            kind, head = rng.choice(heads)
            chunks.append((kind, head + _packed(rng.choice((1, 7, 7, 7, 40, 100)), kind == b"iCCP")))
        return bytearray(with_chunks(bytes(data), *chunks))
    if data.startswith((b"II*\0", b"MM\0*")) and len(data) > 8:
        order = "<" if data.startswith(b"II") else ">"
        (at,) = struct.unpack_from(order + "I", data, 4)
        if at + 2 <= len(data):
            (count,) = struct.unpack_from(order + "H", data, at)
            if rng.random() < 0.2:  # a tag that comes twice, with another value
                place = at + 2 + 12 * rng.randrange(max(1, count))
                data[place : place + 12] = data[place - 12 : place - 4] + struct.pack(order + "I", rng.choice(_NUMBERS))
                return data
            if rng.random() < 0.3:
                return _endless(data, order, at, count, rng)
            entries, more = data[at + 2 : at + 2 + 12 * count], rng.choice((3, 100, 3000))
            values = rng.choice((len(data) // 2, 1 << 20, 2**31))
            for tag in range(0xC000, 0xC000 + more):
                entries += struct.pack(order + "HHII", tag, rng.choice((1, 7, 12)), values, 8)
            struct.pack_into(order + "I", data, 4, len(data))
            return data + struct.pack(order + "H", len(entries) // 12) + entries + bytes(4 + rng.choice((0, 3 << 20)))
    if data.startswith(b"\xff\xd8"):
        marker = rng.choice((0xE1, 0xE2, 0xED, 0xFE))
        segments = (bytes((0xFF, marker, 0xFF, 0xFF)) + bytes(65533)) * rng.choice((1, 20, 300))
        # at the start, behind the frame header, or between two scans; sometimes behind a byte that belongs nowhere
        place = rng.choice((2, data.find(b"\xff\xc4"), data.rfind(b"\xff\xda")))
        return data[: max(2, place)] + rng.choice((b"", b"", b"\0")) + segments + data[max(2, place) :]
    return _repeat(data, rng, others)


def _endless(data: bytearray, order: str, at: int, count: int, rng: random.Random) -> bytearray:
    """Copies of the first directory of a TIFF, behind it one after the other, as reduced pictures."""
    table = bytearray(data[at + 2 : at + 2 + 12 * count])
    if len(table) < 12 * count or count == 0:
        return data
    table[:12] = struct.pack(order + "HHII", 0x00FE, 4, 1, 1)
    end = at + 2 + 12 * count
    for _ in range(rng.choice((3, 99, 100, 300))):
        data += bytes(-len(data) % 2)
        data[end : end + 4] = struct.pack(order + "I", len(data))
        end = len(data) + 2 + len(table)
        data += struct.pack(order + "H", count) + table + bytes(4)
    return data


@functools.lru_cache(maxsize=8)
def _packed(mib: int, profile: bool) -> bytes:
    """So many MiB of letters, or of a colour profile, deflated."""
    size = mib << 20
    head = size.to_bytes(4, "big") + bytes(12) + b"RGB XYZ " + bytes(12) + b"acsp" if profile else b""
    return zlib.compress(head + (b"\0" if profile else b"a") * (size - len(head)), 9)


_KINDS = (_flip, _flip, _set, _number, _number, _truncate, _insert, _remove, _repeat, _splice, _bulk)


def _with_right_checksums(data: bytearray) -> bytearray:
    """The chunks of a PNG as far as they go, each with the checksum that its contents need."""
    offset = 8
    while offset + 12 <= len(data):
        end = offset + 8 + int.from_bytes(data[offset : offset + 4], "big")
        if end + 4 > len(data):
            break
        data[end : end + 4] = zlib.crc32(data[offset + 4 : end]).to_bytes(4, "big")
        offset = end + 4
    return data
