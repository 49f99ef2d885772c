"""What results are called and where they lie."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .pictures import contents, size


def test_by_default_beside_the_input(cli, picture):
    picture("in/photo.png")
    assert cli("run", "in/photo.png", "--scale", "3").status == 0
    assert set(contents(Path())) == {"in", "in/photo.png", "in/photo_x3.png"}
    assert size("in/photo_x3.png") == (48, 36)


def test_output_file_decides_the_format(cli, picture):
    picture("photo.png")
    assert cli("run", "photo.png", "--scale", "2", "-o", "large.jpg").status == 0
    assert Path("large.jpg").read_bytes().startswith(b"\xff\xd8\xff")


def test_output_folder_that_exists(cli, picture):
    picture("photo.png")
    Path("out").mkdir()
    assert cli("run", "photo.png", "--scale", "2", "-o", "out").status == 0
    assert size("out/photo.png") == (32, 24)


def test_output_folder_named_by_its_slash_is_made(cli, picture):
    picture("photo.png")
    assert cli("run", "photo.png", "--scale", "2", "-o", "new/deep/").status == 0
    assert size("new/deep/photo.png") == (32, 24)


def test_no_folder_is_made_when_nothing_can_be_done(refused, picture):
    picture("photo.png")
    refused("run", "photo.png", "--scale", "2", "-o", "new/", "--memory", "64MiB")


def test_folder_takes_its_own_pictures_only(cli, picture):
    for name in ("pics/a.png", "pics/sub/b.png"):
        picture(name)
    Path("pics/notes.txt").write_text("no picture")
    assert cli("run", "pics", "--scale", "2", "-o", "out").status == 0
    assert set(contents(Path("out"))) == {"a.png"}


def test_recursive_keeps_folders_and_passes_hidden_ones(cli, picture):
    for name in ("pics/a.png", "pics/sub/deep/a.png", "pics/.cache/c.png"):
        picture(name)
    assert cli("run", "pics", "--scale", "2", "-o", "out", "--recursive").status == 0
    files = {name for name, data in contents(Path("out")).items() if data}
    assert files == {"a.png", "sub/deep/a.png"}


def test_output_folder_inside_the_input_folder_is_not_searched(cli, picture):
    picture("pics/a.png")
    for _ in range(2):
        done = cli("run", "pics", "--recursive", "--scale", "2", "-o", "pics/out", "--overwrite", "--json")
        assert [o["input"] for o in done.objects] == ["pics/a.png"]
    assert set(contents(Path("pics"))) == {"a.png", "out", "out/a.png"}


def test_quoted_pattern(cli, picture):
    for name in ("a1.png", "a2.png", "b.png"):
        picture(name)
    done = cli("run", "a*.png", "--scale", "2", "-o", "out", "--json")
    assert [o["output"] for o in done.objects] == ["out/a1.png", "out/a2.png"]


def test_name_that_looks_like_a_pattern_is_a_name(cli, picture):
    picture("a[1].png")
    assert cli("run", "a[1].png", "--scale", "2").status == 0
    assert size("a[1]_x2.png") == (32, 24)


@pytest.mark.parametrize("name", ["with space 'and\" quotes.png", "ünï✓.png", "new\nline.png", "-dash.png"])
def test_odd_names(cli, picture, name):
    picture(f"./{name}")
    done = cli("run", "--scale", "2", "--", name)
    assert done.status == 0, done.stderr
    assert size(Path(name).stem + "_x2.png") == (32, 24)
    assert len(done.stderr.splitlines()) == 4  # what, model, tiles, done: a name takes no line of its own


@pytest.mark.parametrize("kind", ["bmp", "gif", "ppm"])
def test_formats_that_are_not_written_become_png(cli, picture, kind):
    picture(f"photo.{kind}")
    assert cli("run", f"photo.{kind}", "--scale", "2").status == 0
    assert Path("photo_x2.png").read_bytes().startswith(b"\x89PNG")


def test_png_named_jpg_is_read_by_content_and_written_as_png(cli, picture):
    shutil.move(picture("photo.png"), "photo.jpg")
    assert cli("run", "photo.jpg", "--scale", "2").status == 0
    assert Path("photo_x2.png").read_bytes().startswith(b"\x89PNG")
    assert not Path("photo_x2.jpg").exists()


@pytest.mark.parametrize(("word", "name", "magic"), [("jpg", "a_x2.jpg", b"\xff\xd8"), ("TIFF", "a_x2.tif", b"II*\0")])
def test_format_option(cli, picture, word, name, magic):
    picture("a.png")
    assert cli("run", "a.png", "--scale", "2", "--format", word).status == 0
    assert Path(name).read_bytes().startswith(magic)


def test_link_as_output_stays_a_link(cli, picture):
    picture("photo.png")
    Path("link.png").symlink_to("real.png")
    assert cli("run", "photo.png", "--scale", "2", "-o", "link.png").status == 0
    assert Path("link.png").is_symlink()
    assert size("real.png") == (32, 24)


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "dangling"])
@pytest.mark.parametrize("options", [("-o", "out/"), ()], ids=["folder", "beside"])
@pytest.mark.parametrize("keep", ["--overwrite", "--resume"])
def test_a_link_under_a_name_that_was_not_given_is_not_followed_elsewhere(refused, picture, there, options, keep):
    folder = Path("out" if options else "in")
    for name in ("out", "in", "elsewhere"):
        Path(name).mkdir()
    picture("in/photo.png")
    link = folder / ("photo.png" if options else "photo_x2.png")
    link.symlink_to("../elsewhere/x.png")
    if there:
        Path("elsewhere/x.png").write_bytes(b"precious")
    told = refused("run", "in/photo.png", "--scale", "2", keep, "--quiet", *options)
    if there and keep == "--resume":
        assert told.endswith("exists but is no picture; remove it or use --overwrite")
    else:
        assert told.endswith("is a link that leads out of its folder; remove it, or name it with -o")
    assert not there or Path("elsewhere/x.png").read_bytes() == b"precious"


def test_an_empty_file_elsewhere_is_not_taken_for_a_dead_claim(refused, picture):
    for name in ("in", "elsewhere"):
        Path(name).mkdir()
    picture("in/photo.png")
    Path("elsewhere/x.png").touch()
    Path("in/photo_x2.png").symlink_to("../elsewhere/x.png")
    refused("run", "in/photo.png", "--scale", "2", "--resume", "--quiet")
    assert Path("elsewhere/x.png").exists()


def test_resume_keeps_a_finished_result_that_is_a_link_elsewhere(cli, picture):
    picture("photo.png")
    assert cli("run", "photo.png", "--scale", "2", "--quiet").status == 0
    Path("annex").mkdir()
    Path("photo_x2.png").rename("annex/object")
    Path("photo_x2.png").symlink_to("annex/object")
    assert cli("run", "photo.png", "--scale", "2", "--resume", "--json").objects[0]["status"] == "skipped"
    assert Path("photo_x2.png").is_symlink()


def test_a_link_within_a_folder_of_results_is_followed(cli, picture):
    picture("photo.png")
    Path("out").mkdir()
    Path("out/photo.png").symlink_to("real.png")
    assert cli("run", "photo.png", "--scale", "2", "-o", "out/").status == 0
    assert size("out/real.png") == (32, 24)


def test_umask_decides_the_permissions(command, picture):
    picture("photo.png")
    assert command("run", "photo.png", "--scale", "2", umask=0o027).status == 0
    assert Path("photo_x2.png").stat().st_mode & 0o777 == 0o640
