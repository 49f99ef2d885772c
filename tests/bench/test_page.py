"""The page of a report, as a person and a browser meet it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from edge_liif.bench.document import embedded_json
from edge_liif.bench.page import write_page
from edge_liif.errors import OutputError

from .reports import EDSR, RDN, made_up_report

HOSTILE = (
    "</script><img src=x onerror=\"document.title='hacked'\"> 'quoted' \"twice\"\nnext line <!-- <b>bold</b> &amp; "
    "@@data@@ ünïcode 画像 🎨"
)


@pytest.fixture
def report() -> dict[str, Any]:
    return made_up_report()


@pytest.fixture
def opened(browser, tmp_path):
    """opened(report, width=1280): the browser on the page; whatever the test does with it, the console stays silent and
    nothing is loaded."""

    def call(report: dict[str, Any], **size: int):
        write_page(report, tmp_path / "page.html")
        browser.open(tmp_path / "page.html", **size)
        return browser

    yield call
    assert browser.complaints == []
    assert browser.loaded == []


def marks(page, chart: int) -> list[str]:
    """Labels of a chart's marks."""
    script = "return [...document.querySelectorAll('.plot')[arguments[0]].querySelectorAll('.mark')]"
    return page.js(script + ".map((m) => m.getAttribute('aria-label'))", chart)


def column(page, title: str) -> list[str]:
    titles = page.texts("#table thead th")
    return page.texts(f"#table tbody tr > :nth-child({titles.index(title) + 1})")


def test_the_answers_are_there_at_once(opened, report):
    page = opened(report)
    verdict = page.text(".verdict")
    # a quarter of 6.27 MB is 1.5675 MB, and W8A8 has 1.60 with its scales
    assert "at a quarter of the size you lose 0.01 dB" in verdict
    assert f"The fastest setting within 0.1 dB is {EDSR}, 25 % + W8A8, lockstep, openvino int8, 3.6 times" in verdict
    assert page.texts(".losses .big") == ["0.01 dB", "0.01 dB", "0.10 dB"]
    assert page.js("return document.querySelector('.verdict').getBoundingClientRect().bottom") < 450
    assert "edge-liif run --scale 3 --engine openvino --precision int8 photo.jpg" in page.text(".picks")
    assert "Yes: W8A8 without data loses 0.01 dB" in page.text(".asked")
    assert page.text("#method pre") == report["command"]
    assert "no GPU at hand" in page.text("#missing")


def test_a_chart_names_its_points_by_pointer_and_by_keyboard(opened, report):
    page = opened(report)
    page.find(".plot")
    name = f"{EDSR}, 37.5 % + W8A8, lockstep, openvino int8"
    assert page.js("return document.querySelector('.tip').hidden")
    page.point_at(page.find(f".plot .mark[aria-label^='{name}']"))
    assert page.text(".tip").splitlines()[0] == name
    assert "1.24 MB" in page.text(".tip")
    # linked: the same setting in the other charts and in the table
    assert page.js("return document.querySelectorAll('.mark.hot').length") == 3
    assert page.text("tr.hot > th") == name
    page.point_at(page.find("h1"))
    assert page.js("return document.querySelector('.tip').hidden")

    assert page.js("return document.querySelectorAll('.plot .mark[tabindex=\"0\"]').length") == 3
    labels = marks(page, 0)
    page.js("document.querySelector('.plot .mark[tabindex=\"0\"]').focus()")
    seen = []
    for _ in labels:
        seen.append(page.js("return document.activeElement.getAttribute('aria-label')"))
        assert seen[-1].startswith(page.text(".tip").splitlines()[0])
        page.driver.switch_to.active_element.send_keys("\ue014")  # arrow right
    assert sorted(seen) == sorted(labels)
    assert len(set(seen)) == len(labels) == 23


def test_points_far_below_are_drawn_at_the_border_and_counted(opened, report):
    page = opened(report)
    below = [p for p in report["points"] if p["scale"] == 3.0 and p["mean"] and p["mean"]["psnr_y"] < 25]
    assert len(below) == 3
    for chart in range(3):
        assert (
            page.js("return document.querySelectorAll('.plot')[arguments[0]].querySelectorAll('.below').length", chart)
            == 3
        )
        assert "3 settings below 27.0" in page.texts(".plot .note")[chart]
    shown = page.texts(".plot .value")
    for p in below:
        assert f"{p['mean']['psnr_y']:.1f}" in shown
    assert "bicubic 28.04 dB" in shown
    page.choose("Charts", "linear, everything")
    assert page.js("return document.querySelectorAll('.below').length") == 0
    page.choose("Charts", "linear, from bicubic up")
    assert page.js("return document.querySelectorAll('.below').length") == 9


def test_what_peers_are_is_said_where_they_are_drawn(opened, report):
    """Others' quantizers that saw real pictures and perceptual networks are marks of their own."""
    sharp = next(p for p in report["points"] if p["peer"] and p["scale"] == 3.0 and p["mean"])
    report["points"].append({**sharp, "id": "sharp", "name": "sharp", "model": "sharp", "note": "perceptual"})
    page = opened(report)
    shown = " ".join(page.texts("#legend span"))
    assert "by others' quantizers, with real pictures, not data-free" in shown
    assert "trained to look sharp, which PSNR does not reward" in shown
    labels = {label.split(": ")[0]: label for label in marks(page, 0)}
    assert labels["sharp"].endswith("perceptual networks: trained to look sharp, which PSNR does not reward")
    assert labels[sharp["name"]].endswith("with real pictures, not data-free")
    assert column(page, "Note").count("perceptual") == 1


def test_hundredths_of_a_decibel_are_seen_beside_bicubic(opened, report):
    """W8A8 and W8A8 with a quarter pruned are 0.029 dB apart, bicubic 2.7 dB below."""
    page = opened(report)
    script = """const mark = (name) => document.querySelector(`.plot .mark[aria-label^="${name}"]`);
        const [one, other] = [...arguments].map((name) => mark(name).getBoundingClientRect().y);
        return other - one"""
    names = [f"{EDSR}, {recipe}, lockstep, openvino int8" for recipe in ("W8A8", "25 % + W8A8")]
    stretched = page.js(script, *names)
    page.choose("Charts", "linear, from bicubic up")
    assert stretched > 12 > 4 > page.js(script, *names) > 0


def test_scale_and_data_set(opened, report):
    page = opened(report)
    page.choose("Scale", "x2")
    assert page.text(".verdict").startswith("x2, ")
    assert "bicubic 30.76 dB" in page.texts(".plot .value")
    page.choose("Data set", "Kodak (6)")
    assert "bicubic 31.79 dB" in page.texts(".plot .value")
    assert column(page, "PSNR-Y, dB")[24] == "35.37"
    page.choose("Model", RDN)
    assert RDN in page.text(".verdict")
    assert page.js("return document.activeElement.tagName") == "SELECT"


def test_table_sorts_numbers_with_the_missing_last_and_filters(opened, report):
    page = opened(report)

    def click(title: str) -> list[str]:
        page.find(f"#table thead th:nth-child({page.texts('#table thead th').index(title) + 1}) button").click()
        return column(page, title)

    def numbers(cells: list[str]) -> list[float]:
        return [float(cell.replace(",", "").replace("∞", "inf")) for cell in cells if cell != "–"]

    for title, absent in (("PSNR to the uncompressed, dB", 2), ("File, MB", 0), ("Start, s", 4), ("HR MP/s", 2)):
        rising = click(title)
        assert page.js("return document.querySelectorAll('th[aria-sort=ascending]').length") == 1
        falling = click(title)
        assert page.js("return document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "descending"
        assert len(numbers(rising)) == 48 - absent
        assert numbers(rising) == sorted(numbers(rising))
        assert numbers(falling) == sorted(numbers(rising), reverse=True)
        assert rising[48 - absent :] == falling[48 - absent :] == ["–"] * absent
    assert click("Setting")[0] == f"{EDSR}, 12.5 %, lockstep, openvino bf16"  # by number, not by letter

    filter_box = page.find("#table input")
    filter_box.send_keys("INT8 w4")
    assert page.text("#table [role=status]") == "6 of 48"
    assert all("W4A8" in name for name in page.texts("#table tbody th"))
    filter_box.clear()
    filter_box.send_keys("nothing of this")
    assert page.text("#table [role=status]") == "0 of 48"


def test_best_that_fits(opened, report):
    page = opened(report)

    def fits(megabytes: str) -> str:
        page.find("#fits").send_keys("\ue009a\ue009\ue003", megabytes)  # control-A, backspace
        return page.text(".picks > :nth-child(3) [aria-live]")

    own = [p for p in report["points"] if p["model"] == EDSR and p["scale"] == 3.0 and not p["peer"] and p["data_free"]]
    for limit in (0.7, 1.0, 1.6, 3, 100):
        best = max((p for p in own if p["bytes"] <= limit * 1e6), key=lambda p: p["mean"]["psnr_y"])
        told = fits(str(limit))
        assert f"{best['mean']['psnr_y']:.2f} dB" in told
        assert f"{best['bytes'] / 1e6:.2f} MB" in told
        assert best["commands"]["run"] in told
    assert fits("0.1") == "Nothing measured is that small; the smallest is 0.66 MB."
    assert fits("") == "Give a number of megabytes."


def test_slider_by_mouse_keyboard_and_zoom(opened, report):
    page = opened(report)
    handle = page.find("#viewer [role=slider]")

    def place() -> int:
        return int(page.js("return document.querySelector('#viewer [role=slider]').getAttribute('aria-valuenow')"))

    def seen_at(part: float) -> str:
        """Which picture is seen at this part of the width: what is cut away can't be hit either."""
        script = """const s = document.querySelector('#viewer .stage').getBoundingClientRect();
            return document.elementFromPoint(s.left + arguments[0] * s.width, s.top + 40).className"""
        return page.js(script, part)

    assert place() == 50
    page.drag(handle, 96)  # a sixth of the crop at 3x
    assert place() == pytest.approx(50 + 100 * 96 / 576, abs=1)
    assert [seen_at(part) for part in (0.02, 0.6, 0.73, 0.98)] == ["top", "top", "base", "base"]
    page.js("arguments[0].focus()", handle)
    before = place()
    handle.send_keys("\ue014\ue014")  # right, right
    assert place() == before + 2
    handle.send_keys("\ue012")  # left
    assert place() == before + 1
    handle.send_keys("\ue011")  # home
    assert place() == 0
    handle.send_keys("\ue010\ue014")  # end, right
    assert place() == 100

    image = "const i = document.querySelector('#viewer img.top'); "
    assert page.js(image + "return [i.getBoundingClientRect().width, i.naturalWidth]") == [576, 192]
    assert page.js(image + "return getComputedStyle(i).imageRendering") == "pixelated"
    page.find("#viewer .zooms button:nth-child(2)").click()
    assert page.js(image + "return i.getBoundingClientRect().width") == 192
    page.choose("Left", "original")
    page.choose("Picture", "baboon x3")
    sources = page.js("return [...document.querySelectorAll('#viewer img')].map((i) => i.src)")
    images = report["crops"][1]["images"]
    assert sources == [list(images.values())[2], images["original"]]


def test_hostile_names_stay_text(opened, report):
    for key in ("title", "command", "created", "commit", "protocol"):
        report[key] = HOSTILE
    report["environment"] = {HOSTILE: HOSTILE}
    report["answers"] = [{"question": HOSTILE, "answer": HOSTILE}]
    report["missing"] = [{"name": HOSTILE, "reason": HOSTILE}]
    report["sensitivity"] = {HOSTILE: [{"layer": HOSTILE, "share": 0.1}]}
    report["datasets"] = [{"name": HOSTILE, "n": 1}]
    report["crops"][0]["name"] = HOSTILE
    report["crops"][0]["images"]["evil"] = "javascript:document.title='hacked'"
    for p in report["points"]:
        old = p["id"]
        for key in ("id", "name", "model", "method", "engine", "device"):
            p[key] = p[key] and f"{p[key]}{HOSTILE}"
        p["commands"] = dict.fromkeys(p["commands"], HOSTILE)
        for crop in report["crops"]:
            if old in crop["images"]:
                crop["images"][p["id"]] = crop["images"].pop(old)
    page = opened(report)
    one_line = " ".join(HOSTILE.split())
    assert page.driver.title == one_line
    assert page.text("h1") == one_line
    for place in ("#table tbody th", ".picks code", ".asked dt", "#layers h3", "#missing dd", "#method dd"):
        assert one_line in " ".join(page.text(place).split()), place
    page.js("document.querySelector('.plot .mark[tabindex=\"0\"]').focus()")
    assert one_line in " ".join(page.text(".tip").split())
    assert page.js(
        "return [document.querySelectorAll('img:not(.top):not(.base), b b, iframe').length, document.scripts.length]"
    ) == [0, 2]


@pytest.mark.parametrize(
    ("width", "media", "scheme", "paper"),
    [
        (380, "screen", "light", "rgb(251, 250, 247)"),
        (380, "screen", "dark", "rgb(20, 24, 27)"),
        (1280, "screen", "dark", "rgb(20, 24, 27)"),
        (720, "print", "dark", "rgb(255, 255, 255)"),
    ],
)
def test_nothing_sticks_out_on_screen_or_paper(opened, report, width, media, scheme, paper):
    page = opened(report, width=width)
    page.emulate(width, media=media, scheme=scheme)
    background, ink = page.js("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]")
    assert background == paper
    assert contrast(background, ink) > 7
    assert page.js("return document.documentElement.scrollWidth") <= width
    hidden = page.js("return getComputedStyle(document.querySelector('#controls')).display === 'none'")
    assert hidden is (media == "print")


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast of two "rgb(r, g, b)"."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def emptied(value: Any) -> Any:
    """The same, with null for everything that need not have been measured."""
    kept = {"id", "name", "model", "recipe", "precision", "scale"}
    return {key: item if key in kept else None for key, item in value.items()}


@pytest.mark.parametrize("kind", ["nothing at all", "only names", "one point, one data set"])
def test_a_report_in_which_little_was_measured(opened, report, kind):
    if kind == "nothing at all":
        report = dict.fromkeys(report)
    elif kind == "only names":
        report |= {"points": [emptied(p) for p in report["points"]], "bicubic": None, "crops": [], "answers": None}
    else:
        report |= {"points": report["points"][:1], "datasets": report["datasets"][:1], "scales": [3.0], "crops": None}
    page = opened(report, width=380)
    if kind == "one point, one data set":
        assert "No setting within 0.1 dB is faster than fp32" in page.text(".verdict")
        assert page.js("return document.querySelectorAll('.mark[data-point]').length") == 3
        assert page.texts("#controls label > span") == ["Charts"]
    else:
        assert "Nothing is recommended here" in page.text("#answers")
        assert page.texts(".plot .note") == ["Not measured."] * 3
    assert page.js("return document.querySelector('#crops').hidden")


def test_data_can_not_leave_its_element():
    values = {HOSTILE: [HOSTILE, "\u2028", "\ud800", math.inf, -math.inf, math.nan, 1.5, None, True, (1, 2)]}
    text = embedded_json(values)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {HOSTILE: [HOSTILE, "\u2028", "\ud800", "inf", "-inf", None, 1.5, None, True, [1, 2]]}


def test_the_page_names_nothing_outside_itself(report, tmp_path):
    write_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"'`]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML|@@", page)
    assert "default-src 'none'" in page


def test_the_old_page_stays_until_the_new_one_is_whole(report, tmp_path):
    page = tmp_path / "page.html"
    write_page(report, page)
    before = page.read_bytes()
    with pytest.raises(TypeError):
        write_page(report | {"command": {1, 2}}, page)
    assert page.read_bytes() == before
    write_page(report | {"title": "Another"}, page)
    assert b"<title>Another</title>" in page.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(OutputError, match="does not exist; create it first"):
        write_page(report, Path(tmp_path / "none" / "page.html"))
