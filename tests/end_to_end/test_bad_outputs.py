"""Results that can't be written: one clear line, and what was there stays as it was."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_liif import job
from edge_liif.image.write import RowWriter

from .pictures import contents, size

RUN = ("--scale", "2", "--quiet")


def test_existing_output_is_kept(refused, picture):
    picture("a.png")
    Path("a_x2.png").write_bytes(b"precious")
    assert refused("run", "a.png", *RUN).endswith("a_x2.png: exists; use --overwrite or --resume")


def test_overwrite_replaces(cli, picture):
    picture("a.png")
    Path("a_x2.png").write_bytes(b"old")
    assert cli("run", "a.png", *RUN, "--overwrite").status == 0
    assert size("a_x2.png") == (32, 24)


def test_failed_overwrite_keeps_the_old_file(refused, picture):
    path = picture("a.png", 64, 64)
    path.write_bytes(path.read_bytes()[:-40])
    Path("a_x2.png").write_bytes(b"precious")
    refused("run", "a.png", *RUN, "--overwrite")


@pytest.mark.parametrize("kind", ["itself", "another spelling", "symbolic link", "hard link"])
def test_the_input_is_never_the_output(refused, picture, kind):
    picture("a.png")
    Path("sub").mkdir()
    name = {"itself": "a.png", "another spelling": "sub/../a.png"}.get(kind, "b.png")
    if kind == "symbolic link":
        Path("b.png").symlink_to("a.png")
    if kind == "hard link":
        os.link("a.png", "b.png")
    assert "is the input itself" in refused("run", "a.png", *RUN, "-o", name, "--overwrite")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("none/b.png", "the folder none does not exist; create it first"),
        ("a.png/b.png", "not a directory"),
        ("b.bmp", "the extension .bmp can't be written; use .png, .jpg, .tif, .webp"),
        ("b", "has no extension; use .png, .jpg, .tif, .webp, or say --format"),
        ("/dev/null", "is a device or pipe, not a file"),
        ("/dev/full", "is a device or pipe, not a file"),
        ("loop.png", "can't be followed"),
    ],
)
def test_names(refused, picture, name, part):
    picture("a.png")
    if name == "loop.png":
        Path("loop.png").symlink_to("loop.png")
    assert part in refused("run", "a.png", *RUN, "-o", name)


def test_read_only_folder(refused, command, ordinary_user, picture):
    picture("a.png")
    Path("locked").mkdir(mode=0o555)

    def call(*arguments):
        return command(*arguments, prefix=ordinary_user)

    line = refused("run", "a.png", *RUN, "-o", "locked/b.png", call=call)
    assert "can't write in the folder locked (permission denied)" in line
    line = refused("run", "a.png", *RUN, "-o", "locked/new/", call=call)
    assert "locked/new: can't be created (permission denied)" in line


def test_read_only_file(refused, command, ordinary_user, picture):
    picture("a.png")
    Path("a_x2.png").write_bytes(b"precious")
    Path("a_x2.png").chmod(0o444)

    def call(*arguments):
        return command(*arguments, prefix=ordinary_user)

    line = refused("run", "a.png", *RUN, "--overwrite", call=call)
    assert line.endswith("a_x2.png: is read-only; make it writable or give another name")


def test_file_size_limit(refused, command, picture):
    picture("a.png", 32, 32)

    def call(*arguments):
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))  # noqa: E731
        return command(*arguments, preexec_fn=limit)

    assert "a_x8.png: can't be written (file too large)" in refused(
        "run", "a.png", "--scale", "8", "--quiet", call=call
    )


def test_full_disk(refused, picture, small_disk):
    picture("a.png", 32, 32)
    small_disk("8k")
    line = refused("run", "a.png", "--scale", "8", "--quiet", "-o", "disk/b.png")
    assert "disk/b.png: can't be written (no space left on device); free some space" in line


@pytest.mark.parametrize(
    ("kind", "width", "limit"),
    [("jpeg", 65_536, "65,535"), ("webp", 16_384, "16,383"), ("png", 1_000_001, "1,000,000")],
)
@pytest.mark.parametrize("verb", ["run", "plan"])
def test_limits_of_formats_are_stated_before_work(refused, picture, verb, kind, width, limit):
    picture("a.png")
    options = ["--quiet"] if verb == "run" else []
    line = refused(verb, "a.png", "--size", f"{width}x12", "--format", kind, *options)
    assert f"holds at most {limit} px a side; use " in line
    assert ".tif" in line


def test_memory_cap_that_is_too_small_names_one_that_works(refused, cli, picture):
    picture("a.png", 64, 48)
    line = refused("run", "a.png", *RUN, "--memory", "64MiB")
    assert "64x48 to 128x96 does not fit into --memory 64MiB" in line
    needed = line.rsplit("--memory ", 1)[1]
    refused("run", "a.png", *RUN, "--memory", f"{int(needed.removesuffix('MiB')) - 1}MiB")
    done = cli("run", "a.png", *RUN, "--memory", needed, "--json")
    assert done.status == 0, done.stderr
    assert done.objects[0]["predicted_peak_bytes"] <= done.objects[0]["memory_cap_bytes"]


def test_memory_cap_holds(command, picture):
    picture("a.png", 400, 300)
    cap = "280MiB"
    done = command("run", "a.png", "--scale", "2", "--memory", cap, "--json")
    assert done.status == 0, done.stderr
    report = done.objects[0]
    assert report["tiles"] > 1
    assert report["peak_memory_bytes"] <= report["memory_cap_bytes"] == 280 * 2**20
    assert report["warnings"] == []


def test_two_runs_at_once_on_one_folder(picture):
    from .conftest import COMMAND

    Path("in").mkdir()
    for number in range(6):
        picture(f"in/{number}.png", 32, 32)
    arguments = [*COMMAND, "run", "in", "--scale", "2", "-o", "out/", "--resume", "--json"]
    both = [subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    reports = [json.loads(line) for stdout, _ in told for line in stdout.splitlines()]
    # each picture is done by one of them, and the other skips it, whenever it finds that out
    assert [process.returncode for process in both] == [0, 0], told
    for number in range(6):
        outcomes = sorted(r["status"] for r in reports if Path(r["input"]).name == f"{number}.png")
        assert outcomes == ["done", "skipped"], told
        assert size(f"out/{number}.png") == (64, 64)
    assert sorted(p.name for p in Path("out").iterdir()) == [f"{number}.png" for number in range(6)]


def meanwhile(monkeypatch, moment: str, width: int) -> bytes:
    """Have another result appear as b.png, `width` wide, at a moment of the next run; its bytes."""
    other = cv2.imencode(".png", np.full((24, width, 3), 7, np.uint8))[1].tobytes()
    owner, name = {"before the first row": (job, "_read"), "in the end": (RowWriter, "commit")}[moment]
    really = getattr(owner, name)

    def do(*arguments):
        Path("b.png").write_bytes(other)
        return really(*arguments)

    monkeypatch.setattr(owner, name, do)
    return other


def test_resume_replaces_the_empty_file_that_a_killed_run_left(cli, picture):
    picture("a.png")
    Path("b.png").touch()
    assert cli("run", "a.png", "-o", "b.png", *RUN, "--resume").status == 0
    assert size("b.png") == (32, 24)


MOMENTS = pytest.mark.parametrize("moment", ["before the first row", "in the end"])


@MOMENTS
def test_resume_keeps_what_another_run_finished_meanwhile(cli, picture, monkeypatch, moment):
    picture("a.png")
    other = meanwhile(monkeypatch, moment, 32)
    told = cli("run", "a.png", "-o", "b.png", "--scale", "2", "--resume", "--json")
    assert told.status == 0
    [report] = told.objects
    assert report["status"] == "skipped"
    assert any("meanwhile" in warning for warning in report["warnings"])
    assert Path("b.png").read_bytes() == other
    assert set(contents(Path())) == {"a.png", "b.png"}


@MOMENTS
@pytest.mark.parametrize(("options", "width"), [((), 32), (("--resume",), 20)], ids=["no --resume", "another size"])
def test_another_file_that_came_meanwhile_is_neither_kept_as_done_nor_lost(
    cli, picture, monkeypatch, moment, options, width
):
    picture("a.png")
    other = meanwhile(monkeypatch, moment, width)
    told = cli("run", "a.png", "-o", "b.png", *RUN, *options)
    assert told.status == 1
    assert len(told.errors) == 1
    assert Path("b.png").read_bytes() == other
    assert set(contents(Path())) == {"a.png", "b.png"}


def test_two_runs_at_once_on_one_name(picture):
    from .conftest import COMMAND

    picture("a.png", 48, 48)
    arguments = [*COMMAND, "run", "a.png", "--scale", "6", "-o", "b.png", "--quiet"]
    both = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[1] for process in both]
    statuses = sorted(process.returncode for process in both)
    assert statuses == [0, 1], told
    assert "".join(told).count("edge-liif: ") == 1
    assert size("b.png") == (288, 288)
    assert set(contents(Path())) == {"a.png", "b.png"}
