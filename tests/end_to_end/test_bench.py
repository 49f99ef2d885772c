"""`edge-liif bench` as a person meets it: a small sweep from start to page."""

from __future__ import annotations

import contextlib
import csv
import json
from pathlib import Path

import pytest

pytest.importorskip("torchao")

from edge_liif.model.checkpoint import load_network, random_network, save_network
from edge_liif.model.convert import with_known_answer
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.spec import ModelSpec
from tests.conftest import tamed

SWEEP = (
    'models = ["toy.safetensors"]\ndata = ["data"]\nrecipes = ["original", "w8a8", "w4:rtn", "w3:rtn"]\n'
    'precisions = ["fp32", "int8"]\nsize = [32, 24]\nrounds = 2\ncrops = 1\npeers = true\nscales = [2]\njobs = 1\n'
)


@pytest.fixture
def sweep(here: Path, picture) -> None:
    network = tamed(random_network(ModelSpec("toy", EDSRSpec(16, (16,)), DecoderSpec((32, 16))), seed=3))
    save_network(with_known_answer(network), here / "toy.safetensors")
    (here / "sweep.toml").write_text(SWEEP)
    picture("data/a.png", 60, 48)
    picture("data/b.png", 50, 50)


def test_a_sweep_from_start_to_page(cli, refused, sweep, monkeypatch):
    call = ("bench", "--config", "sweep.toml", "-o", "page.html", "--csv", "points.csv", "--work", "work", "--quiet")
    done = cli(*call, "--json")
    assert done.status == 0, done.stderr
    report = json.loads(done.stdout)
    points = {p["name"]: p for p in report["points"]}
    assert list(points)[:6] == [
        "toy.safetensors, original, openvino fp32",
        "toy.safetensors, W8A8, openvino int8",
        "toy.safetensors, W4, rtn, openvino fp32",
        "toy.safetensors, W3, rtn, openvino fp32",
        "bicubic (PIL)",
        "Lanczos (OpenCV)",
    ]
    original, eight, four, three, bicubic, *_ = points.values()
    assert original["mean"]["fidelity"] is None, "nothing is compared with itself"
    assert eight["mean"]["fidelity"] > four["mean"]["fidelity"] > three["mean"]["fidelity"] > 10
    assert eight["bytes"] > four["bytes"] > three["bytes"] > 0
    assert original["bytes"] == 4 * load_network(Path("toy.safetensors")).spec.parameters
    assert bicubic["mean"]["psnr_y"] == report["bicubic"][0]["mean"]["psnr_y"]
    assert report["datasets"] == [{"name": "data", "n": 2}] and eight["quality"]["data"]["ms_ssim"] is None
    for point in points.values():
        assert point["speed"]["rounds"] == 2 and point["speed"]["ratio"] > 0 and point["start_seconds"] > 0
        # the page compares rates; they say the same as the ratios, whatever group a point was timed in
        faster = point["speed"]["hr_mp_s"] / original["speed"]["hr_mp_s"]
        assert faster == pytest.approx(point["speed"]["ratio"])
    assert eight["commands"]["run"].startswith("edge-liif run --scale 2 --model toy-w8a8.safetensors --engine openvino")
    assert "page.html" not in done.stderr
    reasons = {m["name"]: m["reason"] for m in report["missing"]}
    quantizers = [reason for name, reason in reasons.items() if name.startswith("toy.safetensors, W8A8 by ")]
    assert len(quantizers) == 4 and all("--calibrate-on DIR" in r or "pip install" in r for r in quantizers)
    assert reasons["spandrel"] == "its package reads weights and brings none"
    assert len(report["sensitivity"]["toy.safetensors, W8A8"]) > 3
    page = Path("page.html").read_text()
    assert "toy.safetensors, W8A8, openvino int8" in page and page.count("data:image/png;base64,") == 2 + len(points)
    rows = list(csv.DictReader(Path("points.csv").read_text().splitlines()))
    assert [row["model"] for row in rows] == ["bicubic", *(p["model"] for p in points.values())]
    assert float(rows[2]["psnr_y"]) == eight["mean"]["psnr_y"] == float(rows[2]["psnr_y data"])

    assert "exists" in refused(*call, status=2)
    # a point more: the others keep their numbers, the reference too
    more = cli(*call, "--overwrite", "--json", *(w for r in ("original", "w8a8", "w8:rtn") for w in ("--recipe", r)))
    assert more.status == 0, more.stderr
    found = {p["name"]: p for p in json.loads(more.stdout)["points"]}
    assert found[original["name"]]["speed"] == original["speed"] and found[eight["name"]] == eight

    # the second time nothing is measured again
    def fail(*_, **__):
        pytest.fail("measured again")

    for name in ("time_in_turns", "crops"):
        monkeypatch.setattr(f"edge_liif.bench.run.{name}", fail)
    monkeypatch.setattr("edge_liif.bench.run.measurer", lambda *_: contextlib.nullcontext(fail))
    again = cli(*call, "--overwrite", "--json")
    assert again.status == 0, again.stderr
    assert json.loads(again.stdout)["points"] == report["points"]
    assert Path("work").is_dir()


def test_a_table_for_people_and_a_point_that_cannot_be(cli, sweep):
    done = cli(
        *("bench", "--config", "sweep.toml", "--rounds", "0", "--crops", "0", "--recipe", "w4:rtn", "--recipe", "p90"),
        *("--precision", "fp32,fp16", "--work", "work", "--quiet", "--jobs", "2"),
    )
    assert done.status == 0, done.stderr
    text = done.stdout.decode()
    assert "| bicubic |" in text and "| toy.safetensors, W4, rtn, openvino fp32 |" in text
    assert "Not measured: toy.safetensors, original, openvino fp16: openvino has no fp16 on this machine" in text
    assert "edge-liif" in text.splitlines()[-2]
    assert Path("report.html").is_file()


def test_an_engine_is_one_entry(cli, sweep, monkeypatch):
    """As CONTRIBUTING says: an entry in the registry, and the lab has it."""
    from edge_liif.engine.openvino import OpenVINOEngine
    from edge_liif.engine.registry import ENGINES, EngineEntry

    class Twin(OpenVINOEngine):
        name = "twin"

    def opened(network, precision, device, threads):
        return Twin(network, precision, device, threads)

    entry = EngineEntry(("numpy",), "numpy", "numpy", opened, lambda integer: [("cpu", "int8" if integer else "fp32")])
    monkeypatch.setitem(ENGINES, "twin", entry)
    done = cli(
        *("bench", "--config", "sweep.toml", "--rounds", "0", "--crops", "0", "--engine", "openvino,twin"),
        *("--recipe", "original", "--recipe", "w8a8", "--work", "work", "--json", "--quiet"),
    )
    assert done.status == 0, done.stderr
    points = {p["name"]: p for p in json.loads(done.stdout)["points"] if p["engine"] is not None}
    for precision, recipe in (("fp32", "original"), ("int8", "W8A8")):
        ours = points[f"toy.safetensors, {recipe}, openvino {precision}"]
        assert points[f"toy.safetensors, {recipe}, twin {precision}"]["mean"]["psnr_y"] == ours["mean"]["psnr_y"]
    assert cli("run", "data/a.png", "--scale", "2", "--engine", "twin", "--model", "toy.safetensors").status == 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("toy.safetensors",), "--data DIR"),
        (("toy.safetensors", "--data", "nowhere"), "not a folder"),
        (("nothing.safetensors", "--data", "data"), "no model file"),
        (("toy.safetensors", "--data", "data", "--recipe", "w1"), "recipe 'w1'"),
        (("toy.safetensors", "--data", "data", "--scale", "two"), "--scale 'two'"),
        (("toy.safetensors", "--data", "data", "--size", "3x"), "--size '3x'"),
        (("toy.safetensors", "--data", "data", "-o", "no/page.html"), "no folder no"),
        (("toy.safetensors", "--data", "data", "-o", "data", "--overwrite"), "is a folder"),
        (("toy.safetensors", "--data", "data", "--csv", "report.html"), "page's name"),
        (("toy.safetensors", "--data", "data", "--work", "toy.safetensors"), "no folder can be made there"),
        (("--config", "none.toml"), "can't be read"),
    ],
)
def test_calls_that_are_wrong(refused, sweep, arguments, part):
    status = 1 if "nothing.safetensors" in arguments else 2
    assert part in refused("bench", *arguments, "--quiet", status=status)
    assert not Path("report.html").exists()
