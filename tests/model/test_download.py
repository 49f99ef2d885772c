"""Downloads against a server on this machine that misbehaves on request and counts what it sends."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_liif.errors import DownloadError
from edge_liif.model import download as module
from edge_liif.model.download import download, fetch
from edge_liif.model.zoo import ModelEntry, read_record

DATA = random.Random(1).randbytes(300_000)
OTHER = random.Random(2).randbytes(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@dataclass
class Behaviour:
    """How the server answers one request."""

    content: bytes = DATA
    status: int = 200
    etag: str | None = '"v1"'
    modified: str | None = None
    ranges: bool = True  # answers Range at all
    if_range: bool = True  # honours If-Range
    announce: bool = True  # sends Content-Length
    chunked: bool = False
    kind: str = "application/octet-stream"
    cut: int | None = None  # closes the connection after so many bytes of the body
    stall: int | None = None  # waits after so many bytes of the body until the test ends
    most: int | None = None  # gives no more than so many bytes for one Range
    content_range: str | None = None
    location: str | None = None


@dataclass
class Seen:
    path: str
    range: str | None
    if_range: str | None
    sent: int = 0


@dataclass
class Site:
    """Each path has a list of behaviours, one a request; the last one stays."""

    paths: dict[str, list[Behaviour]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def on(self, path: str, *behaviours: Behaviour) -> str:
        self.paths[path] = list(behaviours) or [Behaviour()]
        return self.url + path


def answer(handler: BaseHTTPRequestHandler, site: Site) -> None:
    seen = Seen(handler.path, handler.headers.get("Range"), handler.headers.get("If-Range"))
    site.seen.append(seen)
    behaviours = site.paths.get(handler.path) or [Behaviour(b"no", status=404)]
    how = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
    status, body, headers = how.status, how.content, {"Content-Type": how.kind}
    same = not how.if_range or seen.if_range in (None, how.etag, how.modified)
    if status == 200 and seen.range and how.ranges and same:
        start = int(re.fullmatch(r"bytes=(\d+)-", seen.range)[1])  # type: ignore[index]
        if start >= len(body):
            status, body, headers["Content-Range"] = 416, b"", f"bytes */{len(how.content)}"
        else:
            end = min(len(body), start + (how.most or len(body)))
            status, body, headers["Content-Range"] = 206, body[start:end], f"bytes {start}-{end - 1}/{len(how.content)}"
    optional = {"ETag": how.etag, "Last-Modified": how.modified, "Location": how.location}
    optional["Content-Range"] = how.content_range
    headers |= {name: value for name, value in optional.items() if value}
    if how.chunked:
        headers["Transfer-Encoding"] = "chunked"
    elif how.announce:
        headers["Content-Length"] = str(len(body))
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    stop = min(len(body) if limit is None else limit for limit in (how.cut, how.stall))
    for first in range(0, stop, 10_000):
        block = body[first : min(first + 10_000, stop)]
        seen.sent += len(block)  # before: the test may go on as soon as it has the last block
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if how.chunked else block)
    if how.stall is not None:
        site.over.wait(15)
    elif how.chunked and how.cut is None:
        handler.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ftp_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        close_connection = True

        def do_GET(self) -> None:
            self.close_connection = True
            with suppress(OSError):  # the client went away, as some tests mean it to
                answer(self, site)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield site
    site.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "net.pth"


def get(urls: str | list[str], target: Path, **options: Any) -> str | None:
    defaults: dict[str, Any] = {"size": len(DATA), "sha256": SHA, "timeout": 5.0, "backoff": 0.01}
    return download([urls] if isinstance(urls, str) else urls, target, **(defaults | options))


def refused(urls: str | list[str], target: Path, **options: Any) -> str:
    """The message of a download that must fail: one line, and nothing under the final name."""
    with pytest.raises(DownloadError) as caught:
        get(urls, target, **options)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    return str(caught.value)


def part_of(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def only(target: Path) -> None:
    """The whole file and nothing else: no .part, no lock."""
    assert target.read_bytes() == DATA
    assert [path.name for path in target.parent.iterdir()] == [target.name]


class TestPlain:
    def test_whole_file(self, site: Site, target: Path) -> None:
        url = site.on("/net")
        assert get(url, target) == url
        only(target)
        assert [(seen.range, seen.sent) for seen in site.seen] == [(None, len(DATA))]

    def test_there_already(self, site: Site, target: Path) -> None:
        target.parent.mkdir()
        target.write_bytes(DATA)
        assert get(site.on("/net"), target) is None
        assert site.seen == []

    def test_other_file_there_is_replaced(self, site: Site, target: Path) -> None:
        target.parent.mkdir()
        target.write_bytes(OTHER)
        get(site.on("/net"), target)
        only(target)

    def test_redirect(self, site: Site, target: Path) -> None:
        site.on("/net")
        get(site.on("/old", Behaviour(b"", status=302, location="/net")), target)
        only(target)
        assert [seen.path for seen in site.seen] == ["/old", "/net"]

    @pytest.mark.parametrize("how", [Behaviour(announce=False), Behaviour(chunked=True)], ids=["close", "chunked"])
    @pytest.mark.parametrize("size", [None, len(DATA)])
    def test_length_not_announced(self, site: Site, target: Path, how: Behaviour, size: int | None) -> None:
        get(site.on("/net", how), target, size=size)
        only(target)

    def test_progress(self, site: Site, target: Path) -> None:
        calls: list[tuple[int, int | None]] = []
        url = site.on("/net", Behaviour(cut=120_000), Behaviour())
        get(url, target, progress=lambda done, total: calls.append((done, total)))
        done = [call[0] for call in calls]
        assert done == sorted(done)
        assert done[0] == 0
        assert 120_000 in done
        assert done[-1] == len(DATA)
        assert {call[1] for call in calls} == {len(DATA)}

    def test_progress_without_any_length(self, site: Site, target: Path) -> None:
        calls: list[tuple[int, int | None]] = []
        how = Behaviour(announce=False)
        get(site.on("/net", how), target, size=None, progress=lambda done, total: calls.append((done, total)))
        assert calls[-1] == (len(DATA), None)

    def test_proxy_of_the_environment(self, site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", site.url)
        site.paths["http://models.invalid/net"] = [Behaviour()]
        get("http://models.invalid/net", target)
        only(target)


class TestResume:
    @pytest.mark.parametrize("chunked", [False, True])
    def test_connection_cut(self, site: Site, target: Path, chunked: bool) -> None:
        get(site.on("/net", Behaviour(cut=110_000, chunked=chunked), Behaviour()), target)
        only(target)
        assert [seen.sent for seen in site.seen] == [110_000, 190_000]
        assert (site.seen[1].range, site.seen[1].if_range) == ("bytes=110000-", '"v1"')

    def test_several_cuts_and_small_ranges(self, site: Site, target: Path) -> None:
        get(site.on("/net", Behaviour(cut=50_000), Behaviour(cut=60_000), Behaviour(most=100_000)), target)
        only(target)
        assert sum(seen.sent for seen in site.seen) == len(DATA)

    def test_gives_up_and_next_call_goes_on(self, site: Site, target: Path) -> None:
        url = site.on("/net", Behaviour(cut=40_000))
        message = refused(url, target, attempts=3)
        assert f"{url} ended the connection after 120000 of 300000 bytes (tried 3 times" in message
        assert part_of(target).read_bytes() == DATA[:120_000]
        site.on("/net")
        get(url, target)
        only(target)
        assert site.seen[-1].sent == 180_000

    def test_attempts_start_again_after_enough_progress(
        self, site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_ENOUGH_PROGRESS", 40_000)
        get(site.on("/net", Behaviour(cut=40_000)), target, attempts=2)
        only(target)

    def test_killed_client(self, site: Site, target: Path) -> None:
        url = site.on("/net", Behaviour(stall=130_000), Behaviour())
        client = start_client(url, target, 130_000)
        client.send_signal(signal.SIGKILL)
        client.wait()
        assert not target.exists()
        assert target.with_name("net.pth.lock").exists()  # left behind, and no hindrance
        get(url, target)
        only(target)
        assert (site.seen[1].range, site.seen[1].sent) == ("bytes=130000-", 170_000)

    def test_interrupted_client(self, site: Site, target: Path) -> None:
        def interrupt(done: int, total: int | None) -> None:
            if done >= 100_000:
                raise KeyboardInterrupt

        url = site.on("/net")
        with pytest.raises(KeyboardInterrupt):
            get(url, target, progress=interrupt)
        kept = part_of(target).stat().st_size
        assert kept >= 100_000
        assert not target.with_name("net.pth.lock").exists()
        get(url, target)
        only(target)
        assert site.seen[1].sent == len(DATA) - kept

    def test_server_ignores_range(self, site: Site, target: Path) -> None:
        get(site.on("/net", Behaviour(cut=110_000), Behaviour(ranges=False)), target)
        only(target)
        assert [seen.sent for seen in site.seen] == [110_000, 300_000]

    def test_changed_etag(self, site: Site, target: Path) -> None:
        get(site.on("/net", Behaviour(OTHER, cut=110_000), Behaviour(etag='"v2"')), target)
        only(target)
        assert [(seen.if_range, seen.sent) for seen in site.seen] == [(None, 110_000), ('"v1"', 300_000)]

    def test_changed_etag_at_a_server_that_ignores_if_range(self, site: Site, target: Path) -> None:
        get(site.on("/net", Behaviour(OTHER, cut=110_000), Behaviour(etag='"v2"', if_range=False)), target)
        only(target)
        assert site.seen[-1].range is None

    def test_changed_last_modified(self, site: Site, target: Path) -> None:
        monday, tuesday = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
        first, second = Behaviour(OTHER, etag='W/"1"', modified=monday, cut=110_000), Behaviour(modified=tuesday)
        get(site.on("/net", first, second), target)
        only(target)
        assert [seen.if_range for seen in site.seen] == [None, monday]  # a weak ETag is not sent

    def test_changed_file_without_any_mark(self, site: Site, target: Path) -> None:
        url = site.on("/net", Behaviour(OTHER, etag=None, cut=110_000))
        refused(url, target, attempts=1)
        site.on("/net", Behaviour(etag=None))
        get(url, target)  # stitched, found out by its sha256, fetched again from the start
        only(target)
        assert [(seen.range, seen.sent) for seen in site.seen[1:]] == [("bytes=110000-", 190_000), (None, 300_000)]

    def test_part_from_another_url(self, site: Site, target: Path) -> None:
        refused(site.on("/a", Behaviour(cut=110_000)), target, attempts=1)
        get(site.on("/b", Behaviour(etag='"other server"')), target)
        only(target)
        assert (site.seen[1].if_range, site.seen[1].sent) == (None, 190_000)

    @pytest.mark.parametrize("text", ["bytes 5-9/300000", "bytes 110000-299999/4", "nonsense"])
    def test_wrong_content_range(self, site: Site, target: Path, text: str) -> None:
        wrong = Behaviour(DATA[110_000:], status=206, content_range=text)
        if text.endswith("/4"):
            assert "offers 4 bytes" in refused(site.on("/net", Behaviour(cut=110_000), wrong), target)
            return
        get(site.on("/net", Behaviour(cut=110_000), wrong, Behaviour()), target)
        only(target)
        assert [seen.range for seen in site.seen] == [None, "bytes=110000-", None]

    def test_whole_part_needs_no_request(self, site: Site, target: Path) -> None:
        target.parent.mkdir()
        part_of(target).write_bytes(DATA)
        calls: list[int] = []
        get(site.on("/net"), target, progress=lambda done, total: calls.append(done))
        only(target)
        assert site.seen == []
        assert calls == [len(DATA)]

    def test_whole_part_of_unknown_size_and_416(self, site: Site, target: Path) -> None:
        target.parent.mkdir()
        part_of(target).write_bytes(DATA)
        get(site.on("/net"), target, size=None)
        only(target)
        assert [(seen.range, seen.sent) for seen in site.seen] == [("bytes=300000-", 0)]

    @pytest.mark.parametrize("size", [None, len(DATA)])
    def test_part_too_long(self, site: Site, target: Path, size: int | None) -> None:
        target.parent.mkdir()
        part_of(target).write_bytes(OTHER + b"more")
        get(site.on("/net"), target, size=size)
        only(target)

    def test_416_for_a_part_that_is_not_whole(self, site: Site, target: Path) -> None:
        get(site.on("/net", Behaviour(cut=110_000), Behaviour(b"", status=416), Behaviour()), target)
        only(target)
        assert [seen.range for seen in site.seen] == [None, "bytes=110000-", None]


class TestWrongContent:
    def test_wrong_sha256(self, site: Site, target: Path) -> None:
        url = site.on("/net", Behaviour(OTHER))
        message = refused(url, target)
        found = hashlib.sha256(OTHER).hexdigest()
        assert f"{url} gives other content: expected sha256 {SHA}, found {found}" in message
        assert list(target.parent.iterdir()) == []
        assert len(site.seen) == 1  # not fetched again and again

    def test_wrong_sha256_then_good_url(self, site: Site, target: Path) -> None:
        good = site.on("/good")
        assert get([site.on("/bad", Behaviour(OTHER)), good], target) == good
        only(target)

    def test_wrong_size_announced(self, site: Site, target: Path) -> None:
        assert "offers 299999 bytes, expected 300000" in refused(site.on("/net", Behaviour(DATA[:-1])), target)
        assert list(target.parent.iterdir()) == []

    def test_too_large_and_not_announced(self, site: Site, target: Path) -> None:
        url = site.on("/net", Behaviour(DATA * 20, chunked=True))
        assert "sends more than the expected 300000 bytes" in refused(url, target)
        assert list(target.parent.iterdir()) == []

    def test_too_small_and_not_announced(self, site: Site, target: Path) -> None:
        message = refused(site.on("/net", Behaviour(DATA[:-1], announce=False)), target)
        assert "299999" in message
        assert SHA in message

    def test_no_sha256(self, site: Site, target: Path) -> None:
        assert "no sha256 is known" in refused(site.on("/net"), target, sha256="")
        assert site.seen == []

    @pytest.mark.parametrize(
        "how",
        [
            Behaviour(b"<!-- " + PAGE, kind="text/html; charset=utf-8"),
            Behaviour(PAGE),
            Behaviour(b"\n  <HTML lang=en>", announce=False),
            Behaviour(PAGE + b" " * len(DATA), chunked=True),
        ],
        ids=["type", "body", "short", "long"],
    )
    @pytest.mark.parametrize("size", [None, len(DATA)])
    def test_web_page(self, site: Site, target: Path, how: Behaviour, size: int | None) -> None:
        # With an announced length the size alone would refuse the page; the reason must be the page all the same.
        how.announce = how.announce and size is None
        url = site.on("/page", how)
        message = refused([url, site.on("/page2", how)], target, size=size)
        assert f"{url} answers with a web page, not a file" in message
        assert f"{site.url}/page2 answers with a web page" in message
        advice = "open it in a browser, save the file, then run: edge-liif models import FILE.pth"
        assert advice in message
        assert SHA in message
        assert list(target.parent.iterdir()) == []
        assert len(site.seen) == 2

    def test_announced_web_page_of_another_size(self, site: Site, target: Path) -> None:
        assert "web page" in refused(site.on("/page", Behaviour(PAGE, kind="text/html")), target)
        assert "web page" in refused(site.on("/page", Behaviour(PAGE)), target)

    def test_web_page_then_good_url(self, site: Site, target: Path) -> None:
        good = site.on("/good")
        assert get([site.on("/page", Behaviour(PAGE, kind="text/html")), good], target) == good
        only(target)

    @pytest.mark.parametrize("ranges", [False, True])
    @pytest.mark.parametrize("kind", ["text/html", "application/octet-stream"])
    def test_web_page_does_not_cost_what_was_fetched(self, site: Site, target: Path, ranges: bool, kind: str) -> None:
        url = site.on("/net", Behaviour(cut=110_000), Behaviour(status=404), Behaviour())
        page = site.on("/page", Behaviour(PAGE, kind=kind, ranges=ranges))  # with ranges: 416 first
        assert "web page" in refused([url, page], target, attempts=2)
        assert part_of(target).stat().st_size == 110_000
        get([url, page], target)
        only(target)
        assert site.seen[-1].sent == 190_000


class TestServerTrouble:
    def test_404_is_final(self, site: Site, target: Path) -> None:
        url = site.url + "/none"
        assert f"{url} answers HTTP 404 Not Found" in refused(url, target)
        assert len(site.seen) == 1
        assert "browser" not in refused(url, target)

    def test_500_then_good(self, site: Site, target: Path) -> None:
        get(site.on("/net", Behaviour(b"oops", status=500), Behaviour()), target)
        only(target)

    def test_500_for_ever(self, site: Site, target: Path) -> None:
        message = refused(site.on("/net", Behaviour(b"oops", status=500)), target, attempts=3)
        assert "answers HTTP 500 Internal Server Error (tried 3 times" in message
        assert len(site.seen) == 3

    def test_redirect_loop(self, site: Site, target: Path) -> None:
        message = refused(site.on("/loop", Behaviour(b"", status=302, location="/loop")), target)
        assert "HTTP 302" in message

    @pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:text/plain,x"])
    def test_redirect_to_other_kinds_of_address(self, site: Site, target: Path, location: str) -> None:
        refused(site.on("/net", Behaviour(b"", status=302, location=location)), target)
        assert len(site.seen) == 1

    @pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "net.pth", "data:,x"])
    def test_only_http(self, target: Path, url: str) -> None:
        assert "only http and https addresses are fetched" in refused(url, target)
        assert not target.parent.exists()

    def test_no_url(self, target: Path) -> None:
        assert "no address is known" in refused([], target)

    @pytest.mark.parametrize("url", ["http://127.0.0.1:port/", "http://127.0.0.1/a b", "http://127.0.0.1/\u20ac"])
    def test_unusable_url(self, target: Path, url: str) -> None:
        assert "is not a usable address" in refused(url, target)

    def test_stalled_before_the_answer(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("http_proxy", raising=False)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/net"
            message = refused(url, target, timeout=0.1, attempts=2)
        assert f"{url} does not answer: no byte within 0.1 s (tried 2 times" in message

    def test_stalled_in_the_middle(self, site: Site, target: Path) -> None:
        get(site.on("/net", Behaviour(stall=110_000), Behaviour()), target, timeout=0.2)
        only(target)
        assert site.seen[1].sent == 190_000

    def test_refused_connection(self, site: Site, target: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        url = f"http://127.0.0.1:{port}/net"
        assert f"{url} refuses the connection" in refused(url, target)

    def test_unknown_host(self, site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*args: Any, **options: Any) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        url = "https://models.invalid/net"
        message = refused(url, target)
        assert f"{url} can't be reached: the host name is not known (Name or service not known)" in message

    def test_no_http(self, target: Path, site: Site) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def speak() -> None:
                for _ in range(2):
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(10_000)
                        connection.sendall(b"SSH-2.0-x\r\n\r\n")

            thread = threading.Thread(target=speak)
            thread.start()
            message = refused(f"http://127.0.0.1:{server.getsockname()[1]}/net", target, attempts=2)
            thread.join()
        assert "can't be fetched: SSH-2.0-x (tried 2 times" in message

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
    def test_certificate_is_checked(self, site: Site, target: Path, tmp_path: Path) -> None:
        key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        subprocess.run([*make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        server.handle_error = lambda *args: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            message = refused(f"https://127.0.0.1:{server.server_port}/net", target)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
        assert "is not trusted" in message


class TestDisk:
    def test_folder_is_made(self, site: Site, tmp_path: Path) -> None:
        deep = tmp_path / "a" / "b" / "net.pth"
        get(site.on("/net"), deep)
        only(deep)

    def test_folder_can_not_be_made(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DownloadError, match=r"file/sub: can't be written: Not a directory"):
            get(site.on("/net"), tmp_path / "file" / "sub" / "net.pth")
        assert site.seen == []

    def test_read_only_folder(self, site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def read_only(*args: Any) -> int:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(module.os, "open", read_only)
        assert "can't be written: Read-only file system" in refused(site.on("/net"), target)
        assert site.seen == []

    def test_too_little_room(self, site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        target.parent.mkdir()
        part_of(target).write_bytes(DATA[:100_000])
        usage = SimpleNamespace(free=199_999)
        monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
        assert "200000 more bytes are needed and 199999 are free" in refused(site.on("/net"), target)
        assert site.seen == []
        usage.free = 200_000
        get(site.on("/net"), target)
        only(target)

    def test_disk_full_in_the_middle(self, site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Full(FileIO):
            def write(self, data: Any) -> int:
                if self.tell() >= 50_000:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return super().write(data[:7_000])  # and short writes before, as on a disk that is nearly full

        url = site.on("/net")
        with monkeypatch.context() as patch:
            patch.setattr(module, "FileIO", Full)
            message = refused([url, site.on("/second")], target)
        assert message == f"{part_of(target)}: can't be written: No space left on device"
        kept = part_of(target).read_bytes()
        assert len(kept) >= 50_000
        assert kept == DATA[: len(kept)]
        assert len(site.seen) == 1  # another url would not help
        get(url, target)
        only(target)


CLIENT = """
import sys
from pathlib import Path
from edge_liif.model.download import download
url, target, size, sha256 = sys.argv[1:]
download([url], Path(target), size=int(size), sha256=sha256)
"""


def start_client(url: str, target: Path, until: int) -> subprocess.Popen[bytes]:
    """Another process that downloads, once it has received `until` bytes."""
    client = subprocess.Popen([sys.executable, "-c", CLIENT, url, str(target), str(len(DATA)), SHA])
    deadline = time.monotonic() + 10
    while not part_of(target).exists() or part_of(target).stat().st_size < until:
        assert client.poll() is None, "the client ended"
        assert time.monotonic() < deadline, "the client is too slow"
        time.sleep(0.01)
    return client


class TestLock:
    def test_two_processes(self, site: Site, target: Path) -> None:
        url = site.on("/net", Behaviour(stall=130_000), Behaviour())
        client = start_client(url, target, 130_000)
        try:
            message = refused(url, target)
            assert f"net.pth is being fetched already, by process {client.pid}" in message
            assert len(site.seen) == 1
            assert part_of(target).stat().st_size == 130_000
        finally:
            site.over.set()  # the server ends the stalled answer, the client goes on with the rest
            assert client.wait(10) == 0
        only(target)

    def test_lock_of_a_dead_process(self, site: Site, target: Path) -> None:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        target.parent.mkdir()
        target.with_name("net.pth.lock").write_text(str(dead.pid))
        get(site.on("/net"), target)
        only(target)

    def test_many_threads(self, site: Site, target: Path) -> None:
        url, errors = site.on("/net"), []

        def client() -> None:
            try:
                get(url, target)
            except DownloadError as error:
                errors.append(str(error))

        threads = [threading.Thread(target=client) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        only(target)
        assert len(site.seen) == 1  # the others waited in vain or found the file
        assert all("is being fetched already" in error for error in errors)

    def test_lock_removed_while_waiting_for_it(self, site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The holder unlinks between our open and our lock: the lock we get is of a file that has no name."""
        target.parent.mkdir()
        lock, taken, take = target.with_name("net.pth.lock"), [], module._take

        def late(descriptor: int) -> None:
            if not taken:
                lock.unlink()
            taken.append(descriptor)
            take(descriptor)

        monkeypatch.setattr(module, "_take", late)
        with module._locked(target):
            assert len(taken) == 2
            assert lock.read_text() == str(os.getpid())


def entry_for(url: str, **changes: Any) -> ModelEntry:
    values: dict[str, Any] = {"name": "net-1.5", "title": "t", "architecture": "a", "authors": ("A",), "licence": "MIT"}
    values |= {"size": len(DATA), "sha256": SHA, "summary": "s", "urls": (url,), "format": "liif-pth"}
    return ModelEntry(**(values | changes))


def reverse(source: Path, result: Path) -> None:
    result.write_bytes(source.read_bytes()[::-1])


class TestFetch:
    def test_converted_with_record(self, site: Site, tmp_path: Path) -> None:
        url = site.on("/net")
        calls: list[int] = []
        path = fetch(entry_for(url), tmp_path / "m", convert=reverse, progress=lambda done, total: calls.append(done))
        assert path == tmp_path / "m" / "net-1.5.safetensors"
        assert path.read_bytes() == DATA[::-1]
        assert sorted(item.name for item in path.parent.iterdir()) == ["net-1.5.json", "net-1.5.safetensors"]
        record = read_record(path)
        assert record is not None
        assert record.sha256 == hashlib.sha256(DATA[::-1]).hexdigest()
        assert (record.source_url, record.source_sha256) == (url, SHA)
        assert calls[-1] == len(DATA)

    def test_keep_source(self, site: Site, tmp_path: Path) -> None:
        fetch(entry_for(site.on("/net")), tmp_path, convert=reverse, keep_source=True)
        assert (tmp_path / "net-1.5.pth").read_bytes() == DATA

    def test_second_call_uses_no_network(self, site: Site, tmp_path: Path) -> None:
        entry = entry_for(site.on("/net"))
        first = fetch(entry, tmp_path, convert=reverse)
        assert fetch(entry, tmp_path, convert=reverse) == first
        assert len(site.seen) == 1

    @pytest.mark.parametrize("damage", ["file", "record", "no record", "older source"])
    def test_damaged_model_is_fetched_again(self, site: Site, tmp_path: Path, damage: str) -> None:
        entry = entry_for(site.on("/net"))
        path = fetch(entry, tmp_path, convert=reverse)
        record = path.with_suffix(".json")
        damages: dict[str, Callable[[], Any]] = {
            "file": lambda: path.write_bytes(b"x"),
            "record": lambda: record.write_text("{"),
            "no record": record.unlink,
            "older source": lambda: record.write_text(record.read_text().replace(SHA, "c" * 64)),
        }
        damages[damage]()
        fetch(entry, tmp_path, convert=reverse)
        assert path.read_bytes() == DATA[::-1]
        assert read_record(path).source_sha256 == SHA  # type: ignore[union-attr]
        assert len(site.seen) == 2

    @pytest.mark.parametrize("error", [RuntimeError("no"), OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
    def test_convert_fails(self, site: Site, tmp_path: Path, error: BaseException) -> None:
        def fail(source: Path, result: Path) -> None:
            result.write_bytes(b"half")
            raise error

        entry = entry_for(site.on("/net"))
        kind = DownloadError if isinstance(error, OSError) else type(error)
        with pytest.raises(kind, match=None if isinstance(error, KeyboardInterrupt) else "no|No space left"):
            fetch(entry, tmp_path, convert=fail)
        assert [item.name for item in tmp_path.iterdir()] == ["net-1.5.pth"]
        fetch(entry, tmp_path, convert=reverse)  # converts what is there
        assert len(site.seen) == 1
        assert (tmp_path / "net-1.5.safetensors").read_bytes() == DATA[::-1]

    def test_wrong_content_is_not_converted(self, site: Site, tmp_path: Path) -> None:
        def never(source: Path, result: Path) -> None:
            pytest.fail("called with a file that is not the right one")

        with pytest.raises(DownloadError, match="gives other content"):
            fetch(entry_for(site.on("/net", Behaviour(OTHER))), tmp_path, convert=never)
        assert list(tmp_path.iterdir()) == []

    def test_safetensors_is_not_converted(self, site: Site, tmp_path: Path) -> None:
        def never(source: Path, result: Path) -> None:
            pytest.fail("called for a safetensors file")

        path = fetch(entry_for(site.on("/net"), format="safetensors"), tmp_path, convert=never)
        assert path.read_bytes() == DATA
        assert sorted(item.name for item in tmp_path.iterdir()) == ["net-1.5.json", "net-1.5.safetensors"]

    def test_other_urls(self, site: Site, tmp_path: Path) -> None:
        good = site.on("/good")
        path = fetch(entry_for(site.on("/bad")), tmp_path, convert=reverse, urls=[good])
        assert read_record(path).source_url == good  # type: ignore[union-attr]
        assert [seen.path for seen in site.seen] == ["/good"]

    def test_bundled(self, tmp_path: Path) -> None:
        with pytest.raises(DownloadError, match=r"no address to fetch it from \(it is bundled\)"):
            fetch(entry_for("", urls=(), file="net.safetensors"), tmp_path, convert=reverse)

    def test_locked_while_converting(self, site: Site, tmp_path: Path) -> None:
        entry = entry_for(site.on("/net"))

        def convert(source: Path, result: Path) -> None:
            with pytest.raises(DownloadError, match=f"by process {os.getpid()}"):
                fetch(entry, tmp_path, convert=reverse)
            reverse(source, result)

        fetch(entry, tmp_path, convert=convert)


def test_import_uses_no_network() -> None:
    code = """
        import sys

        def hook(event, args):
            assert not event.startswith(("socket.connect", "socket.getaddrinfo", "urllib.")), event

        sys.addaudithook(hook)
        import edge_liif.model.download
        assert not {"torch", "numpy", "openvino"} & set(sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
