"""stdin, stdout and stderr: what goes where, and what happens when one of them is closed, full or left."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pty
import subprocess
import threading
from pathlib import Path

import pytest
from PIL import Image

from edge_liif.report import Report

from .conftest import COMMAND
from .pictures import contents, size


def test_stdin_to_stdout(command, picture):
    data = picture("a.png").read_bytes()
    done = command("run", "-", "--scale", "2", stdin=data)
    assert done.status == 0, done.stderr
    assert Image.open(io.BytesIO(done.stdout)).size == (32, 24)
    assert set(contents(Path())) == {"a.png"}


def test_stdin_to_file_and_format_to_stdout(command, picture):
    data = picture("a.png").read_bytes()
    assert command("run", "-", "--scale", "2", "-o", "b.png", stdin=data).stdout == b""
    assert size("b.png") == (32, 24)
    done = command("run", "-", "--scale", "2", "-o", "-", "--format", "tiff", stdin=data)
    assert Image.open(io.BytesIO(done.stdout)).format == "TIFF"


def test_empty_and_closed_stdin():
    for redirect in ("< /dev/null", "<&-"):
        script = f'exec "$@" run - --scale 2 -o b.png {redirect}'
        done = subprocess.run(["sh", "-c", script, "sh", *COMMAND], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr == "edge-liif: standard input: is empty (0 bytes); check what writes to it\n"
    assert contents(Path()) == {}


def test_closed_stdout_and_stderr_do_no_harm_to_a_file(picture):
    picture("a.png")
    for name, redirect in (("b.png", ">&-"), ("c.png", "2>&-"), ("d.png", "<&- >&- 2>&-"), ("e.png", "2>/dev/full")):
        script = f'exec "$@" run a.png --scale 2 -o {name} {redirect}'
        assert subprocess.run(["sh", "-c", script, "sh", *COMMAND], timeout=60).returncode == 0
        assert size(name) == (32, 24)


@pytest.mark.parametrize(("redirect", "reason"), [(">&-", "bad file descriptor"), (">/dev/full", "no space left")])
@pytest.mark.parametrize(
    "arguments", ["run a.png --scale 2 -o -", "run a.png --scale 2 -o b.png --json", "models list"]
)
def test_stdout_that_takes_nothing_is_an_error(picture, redirect, reason, arguments):
    picture("a.png")
    script = f'exec "$@" {arguments} {redirect}'
    done = subprocess.run(["sh", "-c", script, "sh", *COMMAND], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("edge-liif:")]
    assert len(errors) == 1
    assert "standard output: can't be written" in errors[0]
    assert reason in errors[0]
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_reader_that_leaves_ends_it_without_a_traceback(picture):
    picture("a.png")
    script = '"$@" run a.png --scale 30 -o - --quiet | head -c 10 > /dev/null'
    done = subprocess.run(["sh", "-c", script, "sh", *COMMAND], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


def test_json_is_one_object_a_line_with_the_keys_of_the_report(cli, picture):
    picture("a.png")
    picture("b.png")
    done = cli("run", "a.png", "b.png", "--scale", "2", "-o", "out/", "--json")
    keys = [field.name for field in dataclasses.fields(Report)]
    assert [list(o) for o in done.objects] == [keys, keys]
    first = done.objects[0]
    assert (first["input"], first["output"], first["status"]) == ("a.png", "out/a.png", "done")
    assert (first["input_size"], first["output_size"], first["scale"]) == ([16, 12], [32, 24], [2.0, 2.0])
    assert (first["bands"], first["depth"], first["format"], first["error"]) == (3, 8, "png", None)
    assert first["tiles"] >= 1
    assert first["peak_memory_bytes"] > 2**20
    assert first["predicted_peak_bytes"] == sum(first["predicted_parts"].values())
    assert set(first["seconds"]) == {"read", "engine", "enlarge", "write"}


def test_log_counts_and_names_what_was_decided(cli, picture):
    for name in ("a.png", "b.png", "c.png"):
        picture(name)
    done = cli("run", "a.png", "b.png", "c.png", "--scale", "2")
    assert done.stdout == b""
    for part in ("[1/3] a.png 16x12 -> a_x2.png 32x24", "[3/3] c.png", "self-check error", "halo", "peak memory"):
        assert part in done.stderr


def test_quiet_says_nothing(cli, picture):
    picture("a.png")
    done = cli("run", "a.png", "--scale", "2", "--quiet")
    assert (done.status, done.stdout, done.stderr) == (0, b"", "")


def test_no_bar_in_a_pipe(command, picture):
    picture("a.png")
    done = command("run", "a.png", "--scale", "8")
    assert not set("\r\x1b") & set(done.stderr)
    assert "%" not in done.stderr


def test_bar_on_a_terminal_goes_to_stderr_only(picture):
    picture("a.png")
    master, slave = pty.openpty()
    seen = bytearray()

    def watch() -> None:
        while True:
            try:
                seen.extend(os.read(master, 4096))
            except OSError:
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    arguments = [*COMMAND, "run", "a.png", "--scale", "8", "--json"]
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=slave, stdin=slave, timeout=60, env=environment)
    os.close(slave)
    thread.join(10)
    os.close(master)
    assert json.loads(done.stdout)["status"] == "done"
    assert b"%" in seen
    assert b"\x1b[" in seen


def test_picture_is_not_written_to_a_terminal(picture):
    picture("a.png")
    master, slave = pty.openpty()
    arguments = [*COMMAND, "run", "a.png", "--scale", "2", "-o", "-"]
    done = subprocess.run(arguments, stdout=slave, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(slave)
    os.close(master)
    assert done.returncode == 2
    assert "terminal" in done.stderr


def test_named_pipe_as_input(picture):
    data = picture("a.png").read_bytes()
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(data), daemon=True)
    writer.start()
    arguments = [*COMMAND, "run", "pipe", "--scale", "2", "-o", "b.png"]
    assert subprocess.run(arguments, capture_output=True, timeout=60).returncode == 0
    assert size("b.png") == (32, 24)
