"""Encoded pictures as a thing to read from: a file held open once, or bytes.

The file is opened once and every look at it goes through that descriptor, so what was checked is what is decoded.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_liif.errors import ImageError
from edge_liif.image.vips import vips


def printable(name: str) -> str:
    """`name` for a one-line message: quoted and escaped if it holds anything that isn't printable."""
    return name if name and name.isprintable() else repr(name)


class EncodedSource:
    """A readable, seekable encoded picture; made by `open_source`, closed by `close` or as a context manager."""

    def __init__(self, name: str, *, data: bytes | None = None, path: Path | None = None, fd: int = -1) -> None:
        self.name = printable(name)
        self.path = path
        self._data = data
        self._fd = fd
        self._before = os.fstat(fd) if data is None else None
        self._kept: list[Any] = []

    @property
    def size(self) -> int:
        """Bytes of the encoded file."""
        return len(self._data) if self._data is not None else self._stat().st_size

    @property
    def in_memory(self) -> bool:
        return self._data is not None

    def _stat(self) -> os.stat_result:
        assert self._before is not None
        return self._before

    def pread(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer only at the end. Raises ImageError if the device fails."""
        if offset < 0 or count <= 0:
            return b""
        if self._data is not None:
            return self._data[offset : offset + count]
        parts = []
        try:
            count = min(count, max(0, self.size - offset))
            # one piece as a rule: joining takes everything twice
            while count > 0 and (part := os.pread(self._fd, min(count, 1 << 30), offset)):
                parts.append(part)
                offset += len(part)
                count -= len(part)
        except (OSError, OverflowError) as error:
            raise ImageError(f"{self.name}: can't be read ({error}); check the disk") from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def vips_source(self, *, whole: bool = False) -> Any:
        """A fresh `pyvips.Source` at the start of the picture.

        whole: hand libvips the bytes instead of the descriptor. Decoders that want all of a file map it into
        memory, and a file that shrinks while it is mapped kills the process instead of raising an error.
        """
        pyvips = vips()
        if self._data is None and not whole:
            os.lseek(self._fd, 0, os.SEEK_SET)
            source = pyvips.Source.new_from_descriptor(self._fd)
        else:
            source = pyvips.Source.new_from_memory(self.read_all())
        # libvips points into the bytes, but only the Python object keeps them from being freed.
        self._kept.append(source)
        return source

    def read_all(self) -> bytes:
        return self._data if self._data is not None else self.pread(0, self.size)

    def verify_unchanged(self) -> None:
        """Raise ImageError if the file was modified, replaced or removed since it was opened."""
        if self._before is None or self.path is None:
            return
        was = self._before
        try:
            now, there = os.fstat(self._fd), self.path.stat()
        except OSError as error:
            raise ImageError(f"{self.name}: vanished while it was read; run again once it is complete") from error
        same = (was.st_size, was.st_mtime_ns) == (now.st_size, now.st_mtime_ns)
        if not same or (was.st_dev, was.st_ino) != (there.st_dev, there.st_ino):
            raise ImageError(f"{self.name}: changed while it was read; run again once it is complete")

    def close(self) -> None:
        self._kept.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> EncodedSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_source(source: str | Path | bytes | EncodedSource, name: str | None = None) -> EncodedSource:
    """Open an encoded picture: a path, or the bytes of one (standard input).

    name: how messages call it; the path, or "standard input" for bytes, if not given.
    A named pipe is read to its end into memory. Raises ImageError if it is missing, a directory, not readable,
    a device, or empty.
    """
    if isinstance(source, EncodedSource):
        return source
    if isinstance(source, (bytes, bytearray, memoryview)):
        label = "standard input" if name is None else name
        if len(source) == 0:
            raise ImageError(f"{printable(label)}: is empty (0 bytes); check what writes to it")
        return EncodedSource(label, data=bytes(source))
    label = str(source) if name is None else name
    shown = printable(label)
    path = Path(source)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise ImageError(f"{shown}: {_open_failure(error)}") from error
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{shown}: is a directory; name the pictures in it")
        if stat.S_ISFIFO(status.st_mode):
            with os.fdopen(os.dup(fd), "rb") as pipe:
                data = pipe.read()
            if not data:
                raise ImageError(f"{shown}: is empty (0 bytes); check what writes to it")
            os.close(fd)
            return EncodedSource(label, data=data)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{shown}: is a device, not a file; name a picture file")
        if status.st_size == 0:
            raise ImageError(f"{shown}: is empty (0 bytes); copy or download it again")
        return EncodedSource(label, path=path, fd=fd)
    except BaseException:
        os.close(fd)
        raise


def _open_failure(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist; check the path"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied); change its permissions or copy it"
    if isinstance(error, IsADirectoryError):
        return "is a directory; name the pictures in it"
    if isinstance(error, NotADirectoryError):
        return "does not exist (part of its path is a file); check the path"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "is a link that points to itself; check the path"
    if isinstance(error, OSError):
        return f"can't be opened ({error.strerror or error}); check the path"
    return f"is not a valid path ({error}); check the path"
