"""libvips at work in a thread: encoded bytes go out while rows come in through a small queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from edge_liif.image.formats import OutputPlan
from edge_liif.image.vips import reason, vips


class Sink(Protocol):
    """Where encoded bytes go; all but `write` are only used by formats that seek (TIFF)."""

    def write(self, data: bytes) -> int: ...
    def read(self, count: int) -> bytes: ...
    def seek(self, offset: int, whence: int) -> int: ...


@dataclass(frozen=True)
class Metadata:
    """What is attached to the picture: colour profile, EXIF, XMP, and pixels a millimetre (None: 72 dpi)."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    density: tuple[float, float] | None = None


class EncodingFailed(Exception):
    """Encoding stopped. cause: the exception of the sink, or what libvips said."""

    def __init__(self, cause: Exception | str) -> None:
        super().__init__(str(cause))
        self.cause = cause


MOST_WAITING = 2 << 20
"""Bytes that may wait for libvips: enough that neither it nor the network stands still, in pieces of any size."""
_SCREEN_DENSITY = (72 / 25.4, 72 / 25.4)
# VipsForeignKeep: without metadata of a kind, libvips must not make up its own.
_KEEP_EXIF, _KEEP_XMP, _KEEP_ICC, _KEEP_OTHER = 1, 2, 8, 16


class EncoderThread:
    """Encodes one PNG byte stream, given by `put`, into the format of `plan`, written to `sink`.

    `put` and `finish` raise EncodingFailed once the thread has failed; neither waits for a thread that has ended.
    """

    def __init__(self, plan: OutputPlan, sink: Sink, options: dict[str, Any], metadata: Metadata) -> None:
        self._plan, self._sink, self._options, self._metadata = plan, sink, options, metadata
        self._queue: queue.Queue[bytes] = queue.Queue()
        self._waiting = 0
        self._taken = threading.Condition()
        self._pending = memoryview(b"")
        self._failure: EncodingFailed | None = None
        self._aborted = False
        # not is_alive: a join that Ctrl-C interrupts leaves a running thread marked as ended (Python 3.11)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        """Hand over the next bytes of the stream; waits while too many wait already. Empty bytes mark the end."""
        with self._taken:
            while not self._ended.is_set() and self._waiting and self._waiting + len(data) > MOST_WAITING:
                self._taken.wait(timeout=0.1)
            if self._ended.is_set():
                raise self._failure or EncodingFailed("it stopped early")
            self._waiting += len(data)
        self._queue.put(data)

    def finish(self) -> None:
        """Mark the end of the stream and wait until everything is written."""
        self.put(b"")
        self._ended.wait()
        if self._failure is not None:
            raise self._failure

    def abort(self) -> None:
        """Stop the thread and wait for its end; whatever was written is worthless."""
        self._aborted = True
        self._queue.put(b"")
        self._ended.wait()

    def _run(self) -> None:
        try:
            self._encode()
        except EncodingFailed as failure:
            self._failure = self._failure or failure
        except vips().Error as error:
            self._failure = self._failure or EncodingFailed(reason(error))
        except Exception as error:  # a thread must not end without a word
            self._failure = self._failure or EncodingFailed(error)
        finally:
            self._ended.set()

    def _encode(self) -> None:
        pyvips = vips()
        source = pyvips.SourceCustom()
        source.on_read(self._supply)
        # Without fail_on a stream that ends early would give grey rows and success; without unlimited, libpng
        # refuses sides of more than 1,000,000 pixels.
        image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="error", unlimited=True)
        xres, yres = self._metadata.density or _SCREEN_DENSITY
        image = image.copy(xres=xres, yres=yres)
        keep = _KEEP_OTHER
        kinds = (
            ("icc-profile-data", self._metadata.icc, _KEEP_ICC),
            ("exif-data", self._metadata.exif, _KEEP_EXIF),
            ("xmp-data", self._metadata.xmp, _KEEP_XMP),
        )
        for name, blob, flag in kinds:
            if blob:
                image.set_type(pyvips.GValue.blob_type, name, blob)
                keep |= flag
        if self._plan.format == "jpeg" and self._metadata.density is not None:
            keep |= _KEEP_EXIF  # this libvips states the density of a JPEG in EXIF only
        target = pyvips.TargetCustom()
        target.on_write(self._guarded(self._sink.write))
        if self._plan.format == "tiff":
            target.on_read(self._guarded(self._sink.read, b""))
            target.on_seek(self._guarded(self._sink.seek))
        save = getattr(image, f"{self._plan.format}save_target")
        save(target, keep=keep, **self._options)

    def _supply(self, size: int) -> bytes:
        """The next bytes of the stream for libvips, at most `size`; none at its end and after an abort."""
        while not self._pending and not self._aborted:
            data = self._queue.get()
            with self._taken:
                self._waiting -= len(data)
                self._taken.notify()
            if not data:
                self._aborted = True
            self._pending = memoryview(data)
        if self._aborted and not self._pending:
            return b""
        data, self._pending = bytes(self._pending[:size]), self._pending[size:]
        return data

    def _guarded(self, action: Callable[..., Any], failed: Any = -1) -> Callable[..., Any]:
        """`action` for use as a callback from C, where exceptions can't travel: kept aside, and `failed` returned."""

        def call(*arguments: Any) -> Any:
            try:
                return action(*arguments)
            except Exception as error:
                self._failure = self._failure or EncodingFailed(error)
                return failed

        return call
