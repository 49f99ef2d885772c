"""Several inputs: one that fails doesn't stop the others, a second run finishes what is left, nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .pictures import contents, size


@pytest.fixture
def three(picture) -> list[str]:
    """a.png, b.png and c.png, of which b is cut off."""
    for name in ("a.png", "b.png", "c.png"):
        picture(name)
    Path("b.png").write_bytes(Path("b.png").read_bytes()[:60])
    return ["a.png", "b.png", "c.png"]


def test_one_bad_file_does_not_stop_the_others(cli, three):
    done = cli("run", *three, "--scale", "2", "--json", "--quiet")
    assert done.status == 1
    assert [o["status"] for o in done.objects] == ["done", "failed", "done"]
    failed = done.objects[1]
    assert failed["input"] == "b.png"
    assert failed["error"].startswith("b.png: ")
    assert done.errors == [f"edge-liif: {failed['error']}", "edge-liif: 1 of 3 inputs failed"]
    assert set(contents(Path())) == {*three, "a_x2.png", "c_x2.png"}


def test_missing_file_among_others(cli, three):
    done = cli("run", "none.png", "a.png", "--scale", "2", "--json", "--quiet")
    assert (done.status, [o["status"] for o in done.objects]) == (1, ["failed", "done"])


def test_resume_does_what_is_left_and_touches_nothing_else(cli, three, picture):
    cli("run", *three, "--scale", "2", "--quiet")
    before = {name: (Path(name).read_bytes(), Path(name).stat().st_mtime_ns) for name in ("a_x2.png", "c_x2.png")}
    picture("b.png")
    done = cli("run", *three, "--scale", "2", "--resume", "--json")
    assert done.status == 0, done.stderr
    assert [o["status"] for o in done.objects] == ["skipped", "done", "skipped"]
    assert before == {name: (Path(name).read_bytes(), Path(name).stat().st_mtime_ns) for name in before}
    assert size("b_x2.png") == (32, 24)
    assert "[1/3] a_x2.png: there already, skipped" in done.stderr


@pytest.mark.parametrize("kind", ["other size", "no picture"])
def test_resume_does_not_take_another_result_for_its_own(refused, picture, kind):
    picture("a.png")
    if kind == "other size":
        picture("a_x2.png", 33, 24)
    else:
        Path("a_x2.png").write_text("notes")
    line = refused("run", "a.png", "--scale", "2", "--resume", "--quiet")
    assert "a_x2.png: exists" in line
    assert "remove it or use --overwrite" in line


def test_same_command_again_leaves_its_results_alone(cli, picture):
    for name in ("pics/a.png", "pics/b.bmp"):
        picture(name)
    assert cli("run", "pics", "--scale", "2").status == 0
    before = contents(Path())
    done = cli("run", "pics", "--scale", "2", "--resume")
    assert done.status == 0, done.stderr
    assert "left out 2 that an earlier run made" in done.stderr
    assert contents(Path()) == before
    again = cli("run", "pics", "--scale", "2", "--overwrite", "--json")
    assert [o["input"] for o in again.objects] == ["pics/a.png", "pics/b.bmp"]
    assert set(contents(Path())) == set(before)


def test_a_picture_that_only_looks_like_a_result_is_done(cli, picture):
    picture("a_x2.png")
    picture("b.png")
    done = cli("run", "a_x2.png", "b.png", "--scale", "2", "--json")
    assert [o["output"] for o in done.objects] == ["a_x2_x2.png", "b_x2.png"]


@pytest.mark.parametrize(
    ("inputs", "options", "result"),
    [
        (["one/x.png", "two/x.png"], ["-o", "out/"], "out/x.png"),
        (["x.jpg", "x.png"], ["--format", "png"], "x_x2.png"),
        (["x.bmp", "x.png"], [], "x_x2.png"),
        (["x.bmp", "x.gif"], ["-o", "out"], "out/x.png"),
    ],
)
def test_two_inputs_with_one_result_are_refused_first(refused, picture, inputs, options, result):
    for name in inputs:
        picture(name)
    picture("fine.png")
    line = refused("run", "fine.png", *inputs, "--scale", "2", "--quiet", *options, status=2)
    assert f"{inputs[0]} and {inputs[1]} would both become " in line
    assert line.split("; ")[0].endswith(result)


def test_inputs_that_only_seem_to_clash(cli, picture):
    picture("x.jpg")
    picture("x.bmp")
    done = cli("run", "x.jpg", "x.bmp", "--scale", "2", "--json")
    assert [o["output"] for o in done.objects] == ["x_x2.jpg", "x_x2.png"]


def test_the_same_file_twice_is_done_once(cli, picture, here):
    picture("a.png")
    done = cli("run", "a.png", "./a.png", "*.png", str(here / "a.png"), "--scale", "2", "--json")
    assert done.status == 0, done.stderr
    assert [o["input"] for o in done.objects] == ["a.png"]


def test_unreadable_folder_is_told_and_the_rest_done(command, ordinary_user, picture):
    picture("pics/a.png")
    picture("pics/locked/b.png")
    Path("pics/locked").chmod(0)
    try:
        arguments = ["run", "pics", "--recursive", "--scale", "2", "-o", "out", "--quiet", "--json"]
        done = command(*arguments, prefix=ordinary_user)
    finally:
        Path("pics/locked").chmod(0o700)
    assert done.status == 1
    assert [(o["input"], o["status"]) for o in done.objects] == [("pics/a.png", "done"), ("pics/locked", "failed")]
    assert "pics/locked: may not be read (permission denied)" in done.stderr


def test_different_kinds_in_one_batch(cli, picture):
    picture("a.png", 9, 31)
    picture("b.png", 31, 9, mode="RGBA")
    picture("c.png", 16, 16, mode="L")
    shutil.copy("a.png", "d.png")
    assert cli("run", "a.png", "b.png", "c.png", "d.png", "--scale", "2", "-o", "out").status == 0
    assert size("out/b.png") == (62, 18)
    assert Path("out/a.png").read_bytes() == Path("out/d.png").read_bytes()
