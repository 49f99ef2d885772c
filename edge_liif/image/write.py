"""Writing results row by row: encoded while rows arrive, and under the final name only once complete."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge_liif.errors import OutputError
from edge_liif.image.alpha import composite
from edge_liif.image.disk_space import temporary_folder
from edge_liif.image.encoder import EncoderThread, EncodingFailed, Metadata
from edge_liif.image.exif import upright, upright_xmp
from edge_liif.image.formats import (
    FORMATS,
    SPOOLED,
    Background,
    OutputPlan,
    check_output,
    format_for,
    writer_peak_bytes,
)
from edge_liif.image.part_file import PartFile, check_target, os_reason, remove_stale_parts
from edge_liif.image.png_stream import PngEncoder, pieces
from edge_liif.image.tiff_tags import embed_exif

__all__ = [
    "FORMATS",
    "OutputPlan",
    "RowWriter",
    "check_output",
    "check_target",
    "format_for",
    "quantise",
    "remove_stale_parts",
    "writer_peak_bytes",
]

_PIECE_BYTES = 1 << 20
# A JPEG segment holds 65,533 bytes of payload, of which the XMP signature takes 29.
_JPEG_EXIF_BYTES, _JPEG_XMP_BYTES = 65_533, 65_504


def quantise(rows: NDArray[Any], depth: int) -> NDArray[Any]:
    """Float rows with values 0..1, any shape, as uint8 (depth 8) or uint16 (depth 16).

    Values are clipped and rounded to nearest, halves to even. A float32 array is used as scratch space: its contents
    are not to be used afterwards. Raises ValueError for values that aren't finite: they would become any colour.
    """
    scratch = rows if rows.dtype == np.float32 and rows.flags.writeable else rows.astype(np.float32)
    if not np.isfinite(scratch).all():
        raise ValueError("rows hold values that are not finite")
    np.clip(scratch, 0.0, 1.0, out=scratch)
    scratch *= np.float32(255 if depth == 8 else 65535)
    np.rint(scratch, out=scratch)
    return scratch.astype(np.uint8 if depth == 8 else np.uint16)


class _Descriptor:
    """A file descriptor as the sink of an encoder."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def write(self, data: bytes) -> int:
        return os.write(self.fd, data)

    def read(self, count: int) -> bytes:
        return os.read(self.fd, count)

    def seek(self, offset: int, whence: int) -> int:
        return os.lseek(self.fd, offset, whence)


class _Stream:
    """A binary stream as the sink of an encoder that never seeks."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def write(self, data: bytes) -> int:
        written = self.stream.write(bytes(data))
        return len(data) if written is None else written

    def read(self, count: int) -> bytes:
        raise OSError(errno.ESPIPE, "the stream can't be read")

    def seek(self, offset: int, whence: int) -> int:
        raise OSError(errno.ESPIPE, "the stream can't seek")


class RowWriter:
    """Writes one picture, from top to bottom, to a file or a binary stream.

    output: a path, or a binary stream such as `sys.stdout.buffer` (what went there can't be undone; TIFF goes through
    a temporary file first because it needs seeking).
    fmt: a key of FORMATS. width, height: pixels. bands (1..4), depth (8 or 16): of the rows that `write` gets; they
    are composited onto `background` (RGB 0..255) and reduced to 8 bits where `check_output` says so.
    icc, exif, xmp, density: as in `Picture`; EXIF dimensions and resolution are brought up to date.
    quality: 1..100 for JPEG and lossy WebP. JPEG keeps full-resolution chroma, because the network's colour detail
    would be thrown away otherwise, and standard Huffman tables, because optimal ones need the whole picture in memory.
    lossless: lossless WebP. compression: deflate level 0..9 of PNG.

    Use as a context manager and call `commit` last; leaving the context without it removes everything. Raises
    OutputError for what the format can't hold and for targets that can't be written, before any encoding.
    """

    def __init__(
        self,
        output: str | Path | BinaryIO,
        fmt: str,
        width: int,
        height: int,
        bands: int,
        depth: int,
        icc: bytes | None = None,
        exif: bytes | None = None,
        xmp: bytes | None = None,
        *,
        density: tuple[float, float] | None = None,
        quality: int = 95,
        lossless: bool = False,
        compression: int = 6,
        overwrite: bool = False,
        background: Background | None = None,
    ) -> None:
        self.plan = check_output(fmt, width, height, bands, depth, background)
        self.warnings = list(self.plan.warnings)
        self.rows_written = 0
        self._shape = (width, bands)
        self._dtype = np.dtype(np.uint8 if depth == 8 else np.uint16)
        if fmt == "jpeg":
            exif = self._within(exif, _JPEG_EXIF_BYTES, "EXIF")
            xmp = self._within(xmp, _JPEG_XMP_BYTES, "XMP")
        icc = self._fitting(icc)
        # Rows come upright, whatever the blobs of the caller say.
        exif, xmp = upright(exif), upright_xmp(xmp)
        self._exif = exif
        self._done = False
        self._encoder: Any = None
        self._part: PartFile | None = None
        self._stream: BinaryIO | None = None
        self._spool: BinaryIO | None = None
        self._name = "standard output"
        sink: _Descriptor | _Stream
        if isinstance(output, (str, Path)):
            self._part = PartFile(output, overwrite)
            self._name = self._part.shown
            sink = _Descriptor(self._part.fd)
        else:
            self._stream = output
            if fmt in SPOOLED:
                self._spool = tempfile.TemporaryFile(dir=temporary_folder())  # noqa: SIM115 (closed by commit or abandon)
            sink = _Stream(output) if self._spool is None else _Descriptor(self._spool.fileno())
        try:
            options = _save_options(self.plan, quality, lossless, compression)
            self._png = PngEncoder(width, height, self.plan.bands, self.plan.depth)
            self._encoder = EncoderThread(self.plan, sink, options, Metadata(icc, exif, xmp, density))
            self._put(self._png.start())
        except BaseException:
            # An interrupt may arrive here too: the part file exists already, and nobody else would remove it.
            self.abandon()
            raise

    def write(self, rows: NDArray[Any]) -> None:
        """Append rows, shape (n, width, bands) in the writer's depth, n >= 0.

        Raises OutputError if encoding or writing has failed so far, or for more rows than the height; everything
        written is removed then. Raises ValueError for another shape or type.
        """
        if self._done:
            raise ValueError("the writer is closed")
        if rows.ndim != 3 or rows.shape[1:] != self._shape or rows.dtype != self._dtype:
            raise ValueError(f"rows are {rows.dtype}{rows.shape}, expected {self._dtype}(n, {self._shape})")
        self.rows_written += rows.shape[0]
        if self.rows_written > self.plan.height:
            self.abandon()
            raise OutputError(f"{self._name}: got more rows than its height of {self.plan.height}; not written")
        for piece in pieces(rows, _PIECE_BYTES):
            if data := self._png.rows(self._converted(piece)):
                self._put(data)

    def commit(self) -> None:
        """Finish: encode what is left, flush it to the disk and give the file its name.

        Raises OutputError if rows are missing or anything fails; everything written is removed then.
        """
        if self._done:
            raise ValueError("the writer is closed")
        try:
            if self.rows_written != self.plan.height:
                raise OutputError(f"{self._name}: got {self.rows_written} of {self.plan.height} rows; not written")
            self._encoder.put(self._png.end())
            self._encoder.finish()
            if self._part is not None:
                if self.plan.format == "tiff" and self._exif:
                    embed_exif(self._part.fd, self._exif)
                self._part.commit()
            else:
                self._flush_stream()
            self._done = True
        except EncodingFailed as failure:
            raise self._error(failure.cause) from failure
        except OSError as error:
            raise self._error(error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Stop and remove everything written; does nothing after `commit`."""
        if self._done:
            self._close_spool()
            return
        self._done = True
        if self._encoder is not None:
            self._encoder.abort()
        if self._part is not None:
            self._part.discard()
        self._close_spool()

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def _converted(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self.plan.background is not None:
            rows = composite(rows, self.plan.background)
        if self.plan.depth == 8 and rows.dtype == np.uint16:
            rows = ((rows.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        return rows

    def _put(self, data: bytes) -> None:
        try:
            self._encoder.put(data)
        except EncodingFailed as failure:
            self.abandon()
            raise self._error(failure.cause) from failure

    def _error(self, cause: Exception | str) -> OutputError:
        if isinstance(cause, OSError):
            return OutputError(f"{self._name}: can't be written ({os_reason(cause)}); {_advice(cause)}")
        # what is left for PNG: libvips says that writing failed when there was no memory for the bytes to be written
        advice = "free some memory" if self.plan.format == "png" or isinstance(cause, MemoryError) else "try .png"
        return OutputError(f"{self._name}: can't be encoded as {FORMATS[self.plan.format].title} ({cause}); {advice}")

    def _within(self, blob: bytes | None, most: int, what: str) -> bytes | None:
        if blob is None or len(blob) <= most:
            return blob
        self.warnings.append(f"its {what} data of {len(blob):,} bytes is more than JPEG holds and was dropped")
        return None

    def _fitting(self, icc: bytes | None) -> bytes | None:
        """The profile, unless it is for another kind of picture: such files are refused by some readers."""
        grey = self.plan.bands <= 2 and self.plan.format != "webp"  # WebP stores grey as RGB
        if icc is None or icc[16:20] == (b"GRAY" if grey else b"RGB "):
            return icc
        self.warnings.append(f"its colour profile is not for {'grey' if grey else 'RGB'} pictures and was dropped")
        return None

    def _flush_stream(self) -> None:
        assert self._stream is not None
        if self._spool is not None:
            if self._exif:
                embed_exif(self._spool.fileno(), self._exif)
            self._spool.seek(0)
            while block := self._spool.read(1 << 20):
                self._stream.write(block)
        self._stream.flush()

    def _close_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space"
    if error.errno == errno.EFBIG:
        return "choose another disk, or raise the file size limit"
    if error.errno == errno.EPIPE:
        return "the program that reads it has ended"
    return "check the disk"


def _save_options(plan: OutputPlan, quality: int, lossless: bool, compression: int) -> dict[str, Any]:
    if plan.format == "jpeg":
        return {"Q": quality, "subsample_mode": "off", "optimize_coding": False}
    if plan.format == "webp":
        # exact: colour under transparent pixels is data when nothing may be lost.
        return {"Q": quality, "lossless": lossless, "exact": lossless}
    if plan.format == "tiff":
        return {"compression": "deflate", "predictor": "horizontal", "bigtiff": plan.bigtiff}
    # libvips would filter nothing by default: enlarged photographs took 1.5 to 1.9 times the space.
    return {"compression": compression, "filter": "all"}
