"""Fetching a model file over http(s): resumed where it broke off, checked, and under its name only when whole.

While `rdn-liif.pth` is fetched its bytes are in `rdn-liif.pth.part`; `rdn-liif.pth.part.json` says which url they came
from and which version of the file the server called it, so that a file that has changed since is not stitched.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from io import FileIO
from pathlib import Path
from typing import Any

from edge_liif.errors import DownloadError, ModelError
from edge_liif.model.zoo import ModelEntry, read_record, sha256_of, write_record

Progress = Callable[[int, "int | None"], None]

_CHUNK = 1 << 16
_ENOUGH_PROGRESS = 1 << 20  # bytes; a connection that broke after so many starts the count of attempts again
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # answers that say "not now" rather than "not here"

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # not where the process id is, which others must be able to read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class _UrlFailed(Exception):
    """This url does not give the file; another may."""


class _WebPage(_UrlFailed):
    """It gives a page for people instead."""


class _Broken(Exception):
    """This request failed; the same one may work in a moment."""


class _CanNotResume(_Broken):
    """Ask for the whole file. What is there stays until the answer shows a file: this url may be the wrong one."""


@dataclass(frozen=True)
class _Job:
    target: Path
    part: Path
    origin: Path
    size: int | None
    sha256: str
    progress: Progress
    timeout: float
    attempts: int
    backoff: float

    def have(self) -> int:
        """Bytes fetched so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    def read_origin(self) -> dict[str, Any]:
        try:
            origin = json.loads(self.origin.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return origin if isinstance(origin, dict) else {}

    def begin(self, url: str, headers: Message) -> None:
        """Empties the .part before it says where the bytes come from: killed in between, nothing is mixed."""
        with _disk(self.part):
            self.part.write_bytes(b"")
            origin = {"url": url, "etag": headers.get("ETag"), "last_modified": headers.get("Last-Modified")}
            self.origin.write_text(json.dumps(origin), encoding="utf-8")

    def discard(self) -> None:
        with _disk(self.part):
            self.part.unlink(missing_ok=True)
            self.origin.unlink(missing_ok=True)


def fetch(
    entry: ModelEntry,
    destination_folder: Path,
    *,
    convert: Callable[[Path, Path], None],
    progress: Progress | None = None,
    timeout: float = 30.0,
    urls: Sequence[str] | None = None,
    keep_source: bool = False,
) -> Path:
    """Downloads a model of the manifest, converts it and gives the path of `destination_folder/NAME.safetensors`,
    with its record NAME.json beside it. If that is there already and is whole, the network is not used.

    `convert(source, result)` writes the safetensors file `result` from the downloaded checkpoint `source`; it is not
    called for an entry whose format is safetensors. What it raises passes through (OSError as DownloadError) and
    leaves nothing under the final name; the download itself is kept, so that the next call only converts.
    `urls` replaces the entry's own; `keep_source` keeps the checkpoint. The rest, and DownloadError: see `download`.
    """
    final = Path(destination_folder) / f"{entry.name}.safetensors"
    urls = entry.urls if urls is None else urls
    if not urls:
        raise DownloadError(f"{entry.name} has no address to fetch it from" + " (it is bundled)" * entry.bundled)
    with _locked(final):
        if _is_whole(final, entry):
            return final
        source = final.with_name(entry.name + (".pth" if entry.format == "liif-pth" else ".download"))
        url = download(urls, source, size=entry.size, sha256=entry.sha256, progress=progress, timeout=timeout)
        half = final.with_name(f".{final.name}.half.safetensors")
        try:
            with _disk(final):
                if entry.format == "liif-pth":
                    convert(source, half)
                else:
                    source.replace(half)
                found = sha256_of(half)
                # The record first: killed in between, there is no model without a record.
                write_record(final, sha256=found, source_url=url, source_sha256=entry.sha256)
                half.replace(final)
                if not keep_source:
                    source.unlink(missing_ok=True)
        finally:
            with suppress(OSError):
                half.unlink(missing_ok=True)
    return final


def _is_whole(final: Path, entry: ModelEntry) -> bool:
    try:
        record = read_record(final)
        known = record is not None and record.source_sha256 == entry.sha256
        return known and record is not None and final.is_file() and sha256_of(final) == record.sha256
    except ModelError:  # a damaged record or file: fetched anew
        return False


def download(
    urls: Sequence[str],
    target: Path,
    *,
    size: int | None,
    sha256: str,
    progress: Progress | None = None,
    timeout: float = 30.0,
    attempts: int = 4,
    backoff: float = 0.5,
) -> str | None:
    """Downloads the file of `size` bytes (None: not known) and that sha256 to `target`, from the first of `urls`
    (http or https) that gives it. Gives that url, or None if `target` was there already.

    `progress(done, total)` gets bytes, `total` None if not known; `done` only falls if a server makes the download
    start anew. `timeout` is seconds without a byte; a request that breaks is repeated up to `attempts` times in a
    row, after `backoff` seconds, twice as long each time. Interrupted, the bytes stay in `target` + ".part" and the
    next call goes on from there; content of the wrong sha256 is deleted. Proxies of the environment are used.

    Raises DownloadError, one line naming each url and its reason; also if another process is fetching the same file,
    the folder can't be written, or the disk has too little room.
    """
    target = Path(target)
    part, origin = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.json")
    report = progress or (lambda done, total: None)
    job = _Job(target, part, origin, size, sha256, report, timeout, attempts, backoff)
    if not sha256:
        raise DownloadError(f"{target.name}: no sha256 is known for it, so it can't be checked and is not fetched")
    for url in urls:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise DownloadError(f"{url}: only http and https addresses are fetched")
    with _locked(target):
        if target.is_file() and sha256_of(target) == sha256:
            return None
        _check_room(job)
        failures: dict[str, _UrlFailed] = {}
        for url in urls:
            try:
                _get(url, job)
            except _UrlFailed as failure:
                failures[url] = failure
                continue
            with _disk(target):
                job.part.replace(target)
                job.origin.unlink(missing_ok=True)
            return url
    raise DownloadError(_explain(job, failures))


def _explain(job: _Job, failures: dict[str, _UrlFailed]) -> str:
    reasons = "; ".join(f"{url} {failure}" for url, failure in failures.items()) or "no address is known"
    text = f"{job.target.name} could not be fetched: {reasons}"
    if any(isinstance(failure, _WebPage) for failure in failures.values()):
        text += f"; open it in a browser, save the file, then run: edge-liif models import FILE{job.target.suffix}"
        text += f" (expected sha256 {job.sha256})"
    return text


def _check_room(job: _Job) -> None:
    if job.size is None:
        return
    with _disk(job.target):
        free, needed = shutil.disk_usage(job.target.parent).free, job.size - job.have()
    if free < needed:
        raise DownloadError(f"{job.target.parent}: {needed} more bytes are needed and {free} are free on that disk")


def _get(url: str, job: _Job) -> None:
    older = job.have()
    _repeat(url, job)
    try:
        _check_content(job)
    except _UrlFailed:
        if not older:
            raise
        # Bytes from an earlier call may be of another version or another url: this url is judged by its own.
        _repeat(url, job)
        _check_content(job)


def _check_content(job: _Job) -> None:
    have, found = job.have(), sha256_of(job.part)
    if found != job.sha256 or job.size not in (None, have):
        job.discard()
        raise _UrlFailed(f"gives other content: expected sha256 {job.sha256}, found {found} ({have} bytes)")


def _repeat(url: str, job: _Job) -> None:
    tries, best, resume = 0, job.have(), True
    while True:
        try:
            return _request(url, job, resume)
        except _Broken as error:
            resume = not isinstance(error, _CanNotResume)
            have = job.have()
            tries = 0 if have >= best + _ENOUGH_PROGRESS else tries + 1
            best = max(best, have)
            if tries >= job.attempts:
                raise _UrlFailed(f"{error} (tried {tries} times; {have} bytes are kept)") from error
            time.sleep(min(job.backoff * 2 ** max(tries - 1, 0), 8.0))


def _request(url: str, job: _Job, resume: bool) -> None:
    """One request, for the bytes that are not there yet. Returns once they all are."""
    have = job.have() if resume else 0
    if job.size is not None and have > job.size:
        have = 0
    if have and have == job.size:
        job.progress(have, have)
        return
    response = _open(url, job, have)
    if response is not None:
        with response:
            _receive(url, job, response, have)


def _open(url: str, job: _Job, have: int) -> http.client.HTTPResponse | None:
    """The answer to a request for everything from byte `have` on; None if the server says that is the end."""
    headers = {"User-Agent": "edge-liif", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        origin = job.read_origin()
        etag = origin.get("etag") or ""
        # RFC 9110, 13.1.5: a weak ETag can't vouch for equal bytes.
        version = etag if etag and not etag.startswith("W/") else origin.get("last_modified")
        if version and origin.get("url") == url:
            headers["If-Range"] = version
    try:
        return _opener().open(urllib.request.Request(url, headers=headers), timeout=job.timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return None
            raise _CanNotResume("has no more bytes where the last fetch stopped") from error
        reason = " ".join(f"answers HTTP {error.code} {error.reason}".split())
        raise (_Broken if error.code in _TRY_AGAIN else _UrlFailed)(reason) from error
    except urllib.error.URLError as error:  # what went wrong before the request was sent
        cause = error.reason
        lost = isinstance(cause, ConnectionError) and not isinstance(cause, ConnectionRefusedError)
        raise (_Broken if lost else _UrlFailed)(_reason(cause, job)) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise _UrlFailed(f"is not a usable address: {error}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(_reason(error, job)) from error


def _opener() -> urllib.request.OpenerDirector:
    """Only http and https, also after redirects; certificates are checked; proxies of the environment are used."""
    proxies = {scheme: url for scheme, url in urllib.request.getproxies().items() if scheme in ("http", "https")}
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _reason(error: BaseException | str, job: _Job) -> str:
    if isinstance(error, socket.gaierror):
        return f"can't be reached: the host name is not known ({error.strerror})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return f"does not answer: no byte within {job.timeout:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection"
    return " ".join(f"can't be fetched: {error or type(error).__name__}".split())


def _receive(url: str, job: _Job, response: http.client.HTTPResponse, have: int) -> None:
    headers = response.headers
    if headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise _WebPage("answers with a web page, not a file")
    length = headers.get("Content-Length", "")
    if response.status == 206:
        total = _total_of_rest(url, job, headers, have)
    else:
        have, total = 0, int(length) if length.isdecimal() else None
    wrong_size = job.size is not None and total not in (None, job.size)
    block = b""
    if not have:
        # Nothing on the disk is touched until the first bytes show a file. (A page has a wrong size too: page first.)
        while len(block) < 512 and (more := _read(response, job)):
            block += more
        if block.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
            raise _WebPage("answers with a web page, not a file")
    if wrong_size:
        raise _UrlFailed(f"offers {total} bytes, expected {job.size}")
    if not have:
        job.begin(url, headers)
    job.progress(have, job.size or total)
    with _disk(job.part):
        file = FileIO(job.part, "ab")  # unbuffered: what was received survives a killed process
    with file:
        while block or (block := _read(response, job)):
            have += len(block)
            if job.size is not None and have > job.size:
                job.discard()
                raise _UrlFailed(f"sends more than the expected {job.size} bytes")
            _store(file, block, job)
            job.progress(have, job.size or total)
            block = b""
        with _disk(job.part):
            os.fsync(file.fileno())  # the rename must not reach the disk before the bytes
    whole = job.size if total is None else total
    if whole is not None and have < whole:
        raise _Broken(f"ended the connection after {have} of {whole} bytes")


def _total_of_rest(url: str, job: _Job, headers: Message, have: int) -> int | None:
    """The whole file's bytes by a 206 answer, None if it doesn't tell. Refuses what is not the rest of the .part."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
    origin = job.read_origin()
    marks = (origin.get("etag"), headers.get("ETag"))
    # Some servers don't know If-Range and send the rest of another version.
    changed = origin.get("url") == url and None not in marks and marks[0] != marks[1]
    total = int(match[2]) if match and match[2] != "*" else None
    if not match or int(match[1]) != have or changed or (total is None and job.size is None):
        raise _CanNotResume("does not go on with what was fetched before")
    return total


def _read(response: http.client.HTTPResponse, job: _Job) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(_reason(error, job)) from error


def _store(file: FileIO, block: bytes, job: _Job) -> None:
    rest = memoryview(block)
    with _disk(job.part):
        while rest:
            rest = rest[file.write(rest) :]


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turns what the operating system says about files into a DownloadError."""
    try:
        yield
    except OSError as error:
        raise DownloadError(f"{path}: can't be written: {error.strerror or error}") from error


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Holds TARGET.lock. The lock is the kernel's: it ends with its process, so a file left behind locks nothing."""
    lock = target.with_name(target.name + ".lock")
    with _disk(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take_lock(lock)
    while not _still_named(descriptor, lock):  # its holder removed it between our open and our lock
        os.close(descriptor)
        descriptor = _take_lock(lock)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _still_named(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False


def _take_lock(lock: Path) -> int:
    with _disk(lock):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(descriptor)
        except (BlockingIOError, PermissionError) as error:
            owner = os.read(descriptor, 20).decode(errors="replace") or "unknown"
            os.close(descriptor)
            raise DownloadError(f"{lock.stem} is being fetched already, by process {owner}; wait for it") from error
        except OSError:
            os.close(descriptor)
            raise
    return descriptor
