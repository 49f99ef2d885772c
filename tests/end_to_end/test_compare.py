"""`run --compare page.html`: the result and a page of before and after."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edge_liif import comparison

from .pictures import contents, gradient, size

RUN = ("--scale", "2", "--quiet", "--compare", "page.html")


def sides(page: str | Path = "page.html") -> tuple[bytes, bytes]:
    """The files of both pictures in a page."""
    text = Path(page).read_text(encoding="utf-8")
    found = [
        re.search(f'<img id="{side}" alt="" src="data:image/[a-z]+;base64,([^"]+)">', text)
        for side in ("before", "after")
    ]
    before, after = (base64.b64decode(match[1]) for match in found if match)
    return before, after


def array(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize(("mode", "name"), [("RGB", "a.png"), ("L", "a.png"), ("RGBA", "a.webp"), ("RGB", "a.jpg")])
def test_page_holds_bicubic_and_the_result_itself(cli, picture, mode, name):
    path = picture(name, mode=mode, **({"lossless": True} if name.endswith("webp") else {}))
    done = cli("run", name, *RUN, "--json")
    assert done.status == 0, done.stderr
    assert (done.objects[0]["compare"], done.objects[0]["error"]) == ("page.html", None)
    before, after = sides()
    result = Path(done.objects[0]["output"])
    assert after == result.read_bytes()
    expected = Image.open(path).convert(mode).resize(size(result), Image.Resampling.BICUBIC)
    assert np.array_equal(array(before), np.asarray(expected))
    assert set(contents(Path())) == {name, result.name, "page.html"}


def test_orientation_sixteen_bits_and_tiff(cli):
    import cv2

    turned = Image.fromarray(gradient(16, 12))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned.save("a.png", exif=exif)
    assert cli("run", "a.png", *RUN).status == 0
    upright = turned.transpose(Image.Transpose.ROTATE_270)
    assert size("a_x2.png") == (24, 32)
    assert np.array_equal(array(sides()[0]), np.asarray(upright.resize((24, 32), Image.Resampling.BICUBIC)))

    cv2.imwrite("b.tif", gradient(16, 12).astype(np.uint16) * 257)
    assert cli("run", "b.tif", *RUN, "--overwrite").status == 0
    before, after = (array(side) for side in sides())
    assert before.dtype == after.dtype == np.uint8
    assert np.array_equal(
        before, np.asarray(Image.fromarray(gradient(16, 12)[..., ::-1]).resize((32, 24), Image.Resampling.BICUBIC))
    )
    assert np.abs(after.astype(int) - before).mean() < 8


def test_background_is_under_both_sides(cli, picture):
    picture("a.png", mode="RGBA")
    assert cli("run", "a.png", *RUN, "-o", "b.jpg", "--background", "#ff0000").status == 0
    before, after = (array(side) for side in sides())
    assert before.shape == after.shape == (24, 32, 3)
    assert np.abs(before.astype(int) - after).mean() < 8


def test_stdin_to_a_file(command, picture):
    data = picture("a.png").read_bytes()
    done = command("run", "-", *RUN, "-o", "b.png", stdin=data)
    assert (done.status, done.stdout, done.stderr) == (0, b"", "")
    assert sides()[1] == Path("b.png").read_bytes()


def test_resume_makes_the_page_that_is_missing_and_keeps_one_that_is_there(cli, picture):
    picture("a.png")
    assert cli("run", "a.png", "--scale", "2", "--quiet").status == 0
    result = Path("a_x2.png").stat().st_mtime_ns
    done = cli("run", "a.png", *RUN, "--resume", "--json")
    assert (done.status, done.objects[0]["status"], done.objects[0]["compare"]) == (0, "skipped", "page.html")
    assert Path("a_x2.png").stat().st_mtime_ns == result
    page = Path("page.html").stat().st_mtime_ns
    assert cli("run", "a.png", *RUN, "--resume").status == 0
    assert Path("page.html").stat().st_mtime_ns == page


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["a.png", "b.png"], "makes a page of one picture, and 2 inputs were given"),
        (["."], "makes a page of one picture, and 2 inputs were given"),
        (["a.png", "-o", "-"], "needs the result in a file, not on stdout; give -o FILE"),
        (["-"], "needs the result in a file, not on stdout"),
        (["a.png", "--compare", "-"], "--compare - is not the name of a page"),
        (["a.png", "--compare", "b.png"], "--compare b.png is not the name of a page, like compare.html"),
    ],
)
def test_calls_that_are_wrong(refused, picture, arguments, part):
    picture("a.png")
    picture("b.png")
    assert part in refused("run", *RUN, *arguments, status=2)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["a.png"], "page.html: exists; use --overwrite"),
        (["a.png", "--compare", "none/p.html"], "the folder none does not exist"),
        (["a.png", "--compare", "p.html", "-o", "p.html", "--format", "png"], "p.html: is the name of the result"),
        (["in.html", "--compare", "in.html", "--overwrite", "-o", "b.png"], "in.html: is the input itself"),
        (["a.png", "--scale", "600"], "9600x7200 = 69,120,000 pixels, more than the 40,000,000 that a page can hold"),
    ],
)
def test_pages_that_are_refused_before_the_work(refused, picture, arguments, part):
    picture("a.png").copy("in.html") if hasattr(Path, "copy") else Path("in.html").write_bytes(
        picture("a.png").read_bytes()
    )
    Path("page.html").write_text("precious")
    new = [] if "--compare" in arguments or len(arguments) == 1 else ["--compare", "p.html"]
    assert part in refused("run", *RUN, *arguments, *new)


def test_without_pillow_it_is_refused_before_the_work(refused, picture, monkeypatch):
    picture("a.png")
    monkeypatch.setattr(comparison.importlib.util, "find_spec", lambda name: None)
    assert "is not installed: pip install pillow" in refused("run", "a.png", *RUN, status=2)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_a_page_that_fails_does_not_lose_the_picture(cli, picture, monkeypatch, error):
    picture("a.png")
    Path("page.html").write_text("older")

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("edge_liif.bench.document.os", SimpleNamespace(write=fail))
    done = cli("run", "a.png", *RUN, "--overwrite", "--json")
    assert done.status == 1
    assert len(done.errors) == 1
    assert done.errors[0].endswith("the picture itself is done: a_x2.png")
    assert (done.objects[0]["status"], done.objects[0]["compare"]) == ("done", None)
    assert done.objects[0]["error"] in done.errors[0]
    assert size("a_x2.png") == (32, 24)
    assert Path("page.html").read_text() == "older"
    assert set(contents(Path())) == {"a.png", "a_x2.png", "page.html"}


def test_the_memory_plan_counts_the_page(cli, picture):
    picture("a.png")
    parts = [
        cli("run", "a.png", "--scale", "20", "--overwrite", "--json", *extra).objects[0]["predicted_parts"]
        for extra in ([], ["--compare", "p.html"])
    ]
    assert parts[1]["writer"] - parts[0]["writer"] > 24 * 320 * 240
    assert {k: v for k, v in parts[0].items() if k not in {"writer", "opening"}} == {
        k: v for k, v in parts[1].items() if k not in {"writer", "opening"}
    }


def test_the_page_in_a_browser(browser, cli, picture):
    name = "</title><script>document.title='hacked'</script> 'ü'.png"
    name = name.replace("/", "⁄")  # no file name holds a slash
    picture("a.png", 120, 90, mode="RGBA").rename(name)
    assert cli("run", name, *RUN).status == 0
    browser.open(Path("page.html"), width=380)
    assert browser.driver.title == f"{name}, enlarged"
    assert browser.texts(".tag") == ["bicubic", "edsr-baseline-liif-int8"]
    assert "120x90 to 240x180 pixels (x2)" in browser.text("#facts")
    assert browser.js("return [...document.images].map((i) => [i.naturalWidth, i.naturalHeight])") == [[240, 180]] * 2
    handle = browser.find("[role=slider]")
    browser.drag(handle, -60)
    assert int(handle.get_attribute("aria-valuenow")) == pytest.approx(50 - 100 * 60 / 240, abs=1)
    handle.send_keys("\ue014")
    assert int(handle.get_attribute("aria-valuenow")) == pytest.approx(51 - 100 * 60 / 240, abs=1)
    assert browser.js("return document.documentElement.scrollWidth") <= 380
    assert (browser.complaints, browser.loaded) == ([], [])
    assert json.loads(browser.js("return document.getElementById('data').textContent"))["names"]["before"] == "bicubic"
