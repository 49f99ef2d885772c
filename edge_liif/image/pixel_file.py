"""Pixels in an unnamed file instead of in memory, for pictures that are large beside the memory cap."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_liif.errors import ImageError, OutputError
from edge_liif.image.source import printable


class PixelFile:
    """An array (height, width, bands) of uint8 or uint16 of which parts are read and written: `file[2:9, 4:8, 0:3]`,
    `file[2:9, 4:8] = block`.

    It is read, not mapped: mapped pages would count as resident memory. The file has no name, so that it is gone with
    the process however that ends; all its space is reserved when it is made. The page cache keeps what it can.

    Raises OutputError if `folder` has no room for it, ImageError if the disk fails later.
    """

    def __init__(self, shape: tuple[int, int, int], dtype: Any, folder: Path) -> None:
        self.shape, self.dtype, self.folder = shape, np.dtype(dtype), folder
        shown = printable(str(folder))
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (lives as long as the picture)
            self._reserve()
        except OSError as error:
            need = f"{self.nbytes / 2**20:,.0f} MiB"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OutputError(
                    f"{shown}: the picture's pixels are kept in a file and need {need} of temporary space here, which "
                    f"there is not ({(error.strerror or str(error)).lower()}); free some, or give a larger --memory"
                ) from error
            raise OutputError(
                f"{shown}: can't hold {need} of temporary pixels ({(error.strerror or str(error)).lower()}); "
                "choose another output folder, or give a larger --memory"
            ) from error

    def _reserve(self) -> None:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, self.nbytes)
                return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
        # some file systems can't; a full disk is then found while the picture is decoded
        self._file.truncate(self.nbytes)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.itemsize

    def like(self, bands: int) -> PixelFile:
        """Another file for a picture of the same size and type."""
        return PixelFile((*self.shape[:2], bands), self.dtype, self.folder)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        rows, columns, bands = (*key, slice(None))[:3]
        top, bottom, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        block = np.empty((max(0, bottom - top), max(0, right - left), self.shape[2]), self.dtype)
        for part, place in self._runs(block, top, left):
            self._transfer(os.preadv, part, place, "read")
        return block[..., bands]

    def __setitem__(self, key: tuple[slice, slice], block: NDArray[Any]) -> None:
        top, left = (axis.indices(size)[0] for axis, size in zip(key, self.shape, strict=False))
        for part, place in self._runs(np.ascontiguousarray(block, self.dtype), top, left):
            self._transfer(os.pwritev, part, place, "written")

    def _runs(self, block: NDArray[Any], top: int, left: int) -> list[tuple[NDArray[Any], int]]:
        """The block in pieces that lie together in the file, and their offsets."""
        row = self.shape[1] * self.shape[2] * self.itemsize
        start = top * row + left * self.shape[2] * self.itemsize
        if block.size == 0:
            return []
        if block.shape[1] == self.shape[1]:
            return [(block, start)]
        return [(block[i], start + i * row) for i in range(len(block))]

    def _transfer(self, call: Any, part: NDArray[Any], place: int, what: str) -> None:
        view = part.data.cast("B")
        try:
            while view:
                done = call(self._file.fileno(), [view[: 1 << 30]], place)
                if not done:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                view, place = view[done:], place + done
        except OSError as error:
            raise ImageError(
                f"{printable(str(self.folder))}: the temporary pixels there can't be {what} "
                f"({(error.strerror or str(error)).lower()}); check the disk"
            ) from error


Pixels = NDArray[Any] | PixelFile


def empty_pixels(shape: tuple[int, int, int], dtype: Any, folder: Path | None) -> Pixels:
    """Room for a picture: in memory, or in an unnamed file in `folder`."""
    return np.empty(shape, dtype) if folder is None else PixelFile(shape, dtype, folder)
