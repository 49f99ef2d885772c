"""Which model a picture gets when none is named, what is said about it, and that only one is in memory."""

from __future__ import annotations

import gc
import hashlib
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_liif import chooser
from edge_liif.chooser import LARGEST_ROBUST_QUALITY, AnotherModel, ModelChooser
from edge_liif.model import zoo
from edge_liif.model.checkpoint import Network, save_network
from edge_liif.model.convert import with_known_answer
from edge_liif.options import Settings

PHOTO = cv2.imread(str(Path(__file__).resolve().parents[2] / "examples" / "kodim23.png"))[150:250, 200:320]
CLEAN, ROBUST = "small-edsr", "small-rdn"
RUN = ("--scale", "2", "--precision", "fp32", "--json")

ENTRY = """
[{name}]
title = "T"
architecture = "liif/x"
authors = ["A"]
licence = "MIT"
summary = "S"
size = {size}
sha256 = "{sha256}"
"""


@pytest.fixture(scope="module")
def networks(small_edsr: Network, small_rdn: Network) -> list[Network]:
    pytest.importorskip("torch")
    return [with_known_answer(small_edsr), with_known_answer(small_rdn)]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, networks: list[Network]) -> Path:
    """A manifest of two bundled models; the default one names the other as its variant for JPEG."""
    folder = tmp_path / "weights"
    folder.mkdir()
    manifest = ""
    for network in networks:
        name = network.spec.name
        save_network(network, folder / f"{name}.safetensors")
        data = (folder / f"{name}.safetensors").read_bytes()
        manifest += ENTRY.format(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        manifest += f'file = "{name}.safetensors"\n'
        if name == CLEAN:
            manifest += f'default = true\njpeg_variant = "{ROBUST}"\n'
    (folder / "models.toml").write_text(manifest)
    monkeypatch.setattr(zoo, "weights_folder", lambda: folder)
    return folder


def edit(weights: Path, old: str, new: str) -> None:
    manifest = weights / "models.toml"
    assert old in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(old, new))


@pytest.fixture
def pictures() -> dict[str, str]:
    """File names, and the model each should get."""
    damaged = cv2.imdecode(cv2.imencode(".jpg", PHOTO, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_COLOR)
    cv2.imwrite("clean.png", PHOTO)
    cv2.imwrite("blocks.png", damaged)
    cv2.imwrite("q40.jpg", PHOTO, [cv2.IMWRITE_JPEG_QUALITY, 40])
    cv2.imwrite("limit.jpg", PHOTO, [cv2.IMWRITE_JPEG_QUALITY, LARGEST_ROBUST_QUALITY])
    cv2.imwrite("q97.jpg", PHOTO, [cv2.IMWRITE_JPEG_QUALITY, 97])
    cv2.imwrite("again.jpg", damaged[3:, 5:], [cv2.IMWRITE_JPEG_QUALITY, 97])
    cv2.imwrite("tiny.bmp", PHOTO[:12, :16])
    robust = ("blocks.png", "q40.jpg", "limit.jpg", "again.jpg")
    return {name: ROBUST if name in robust else CLEAN for name in sorted(p.name for p in Path().iterdir())}


def test_each_picture_gets_its_model_and_a_reason(cli, weights, pictures):
    done = cli("run", *pictures, *RUN, "-o", "out/")
    assert done.status == 0, done.stderr
    reports = {report["input"]: report for report in done.objects}
    assert {name: report["model"] for name, report in reports.items()} == pictures
    why = {name: report["model_why"] for name, report in reports.items()}
    assert why["q40.jpg"] == "the model for JPEG pictures: JPEG quality 40"
    assert why["q97.jpg"] == f"the default model: JPEG quality 97, above {LARGEST_ROBUST_QUALITY}"
    assert why["clean.png"] == "the default model: no JPEG blocks found"
    assert why["tiny.bmp"] == "the default model: whether JPEG was used can't be told"
    for name in ("blocks.png", "again.jpg"):
        assert why[name].startswith(
            "the model for JPEG pictures: blocks of an earlier JPEG compression, about quality "
        )
    qualities = {name: report["jpeg_quality"] for name, report in reports.items()}
    assert {name: quality for name, quality in qualities.items() if quality} == {
        "q40.jpg": 40,
        "limit.jpg": LARGEST_ROBUST_QUALITY,
        "q97.jpg": 97,
        "again.jpg": 97,
    }
    scores = {name: report["blocking"] for name, report in reports.items()}
    assert scores["q40.jpg"] is scores["tiny.bmp"] is None
    assert scores["blocks.png"] > 0.3 > 0.06 > scores["clean.png"]
    assert f"  model {ROBUST} (the model for JPEG pictures: JPEG quality 40); " in done.stderr


def test_the_models_really_differ(cli, weights, pictures):
    cli("run", "q40.jpg", *RUN, "-o", "auto.png")
    for model in (CLEAN, ROBUST):
        done = cli("run", "q40.jpg", *RUN, "--model", model, "-o", f"{model}.png")
        assert done.objects[0]["model"] == model
        assert done.objects[0]["model_why"] == "named with --model"
        assert (done.objects[0]["jpeg_quality"], done.objects[0]["blocking"]) == (40, None)
    assert Path("auto.png").read_bytes() == Path(f"{ROBUST}.png").read_bytes() != Path(f"{CLEAN}.png").read_bytes()


def test_plan_says_the_same_and_auto_may_be_written(cli, weights, pictures):
    planned = cli("plan", *pictures, *RUN, "--model", "auto", "-o", "out/").objects
    assert {report["input"]: report["model"] for report in planned} == pictures
    text = cli("plan", "q40.jpg", "--scale", "2").stdout.decode()
    assert f"  model    {ROBUST}: RDN encoder" in text
    assert "           the model for JPEG pictures: JPEG quality 40\n" in text


def test_standard_input(command, cli, weights, pictures, monkeypatch):
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("q40.jpg").read_bytes())))
    done = cli("run", "-", *RUN, "-o", "out.png")
    assert done.objects[0]["model"] == ROBUST


def test_without_a_variant_nothing_is_looked_for(cli, weights, pictures, monkeypatch):
    edit(weights, f'jpeg_variant = "{ROBUST}"', "")
    monkeypatch.setattr("edge_liif.image.jpeg_traces.jpeg_traces", lambda *a: pytest.fail("looked"))
    done = cli("run", *pictures, *RUN, "-o", "out/")
    assert done.status == 0, done.stderr
    assert {report["model"] for report in done.objects} == {CLEAN}
    assert {report["model_why"] for report in done.objects} == {"the default model"}
    assert {report["blocking"] for report in done.objects} == {None}


def test_a_variant_that_is_not_fetched_is_done_without(cli, weights, pictures):
    edit(weights, f'file = "{ROBUST}.safetensors"', 'urls = ["https://example.invalid/x"]')
    done = cli("run", "q40.jpg", "clean.png", *RUN)
    assert done.status == 0, done.stderr
    assert [report["model"] for report in done.objects] == [CLEAN, CLEAN]
    assert done.objects[0]["model_why"] == (f"the default model: JPEG quality 40, but {ROBUST} is not on this machine")


def test_a_damaged_variant_fails_its_pictures_only(cli, weights, pictures):
    path = weights / f"{ROBUST}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = cli("run", "q40.jpg", "clean.png", *RUN)
    assert done.status == 1
    assert [report["status"] for report in done.objects] == ["failed", "done"]
    assert "is damaged or has been replaced" in done.objects[0]["error"]
    path.unlink()
    assert "reinstall edge-liif" in cli("run", "clean.png", *RUN, "--overwrite").stderr


def test_a_look_that_fails_does_not_fail_the_run(cli, weights, pictures, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a flaw in the search")

    monkeypatch.setattr("edge_liif.image.jpeg_traces.read_top", broken)
    done = cli("run", "blocks.png", *RUN)
    assert done.status == 0, done.stderr
    assert done.objects[0]["model"] == CLEAN
    assert "can't be told" in done.objects[0]["model_why"]


def test_results_that_are_there_are_not_looked_at(cli, weights, pictures, monkeypatch):
    assert cli("run", "blocks.png", *RUN).status == 0
    monkeypatch.setattr("edge_liif.image.jpeg_traces.jpeg_traces", lambda *a: pytest.fail("looked"))
    monkeypatch.setattr(chooser, "open_upscaler", lambda *a: pytest.fail("loaded"))
    assert cli("run", "blocks.png", *RUN, "--resume").objects[0]["status"] == "skipped"


def test_one_model_at_a_time_and_no_more_often_than_needed(cli, weights, pictures, monkeypatch):
    loaded: list[str] = []
    alive: list[weakref.ref] = []
    original = chooser.open_upscaler

    def watched(name: str, settings: Settings):
        # Without the garbage collector's help, which comes when it likes.
        assert not any(reference() for reference in alive), "the model before is still in memory"
        upscaler = original(name, settings)
        loaded.append(name)
        alive.extend([weakref.ref(upscaler), weakref.ref(upscaler.choice(False).engine)])
        return upscaler

    monkeypatch.setattr(chooser, "open_upscaler", watched)

    def waits(name: str) -> bool:
        return pictures.get(name) == ROBUST

    torn = bytearray(Path("clean.png").read_bytes())
    torn[len(torn) // 2] ^= 0xFF
    Path("torn.png").write_bytes(torn)
    # the pictures of the other model wait until those of the first are done
    order = ["clean.png", "q40.jpg", "q97.jpg", "torn.png", "blocks.png", "tiny.bmp", "again.jpg"]
    gc.disable()
    try:
        done = cli("run", *order, *RUN, "-o", "out/")
        # torn.png fails while its model works, and its traceback must not hold it.
        outcomes = [(report["input"], report["status"]) for report in done.objects]
        assert outcomes == [(name, "failed" if name == "torn.png" else "done") for name in sorted(order, key=waits)]
        assert "[2/7] q40.jpg" in done.stderr and "7/7" in done.stderr and "8/7" not in done.stderr
        assert loaded == [CLEAN, ROBUST]
        loaded.clear()
        alive.clear()
        assert cli("plan", "clean.png", "q40.jpg", *RUN).status == 0
        assert loaded == [CLEAN, ROBUST]
    finally:
        gc.enable()


def test_decision_by_tables_reads_no_pixels(weights, monkeypatch):
    from edge_liif.image.read import probe

    _, data = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 50])
    header = probe(data.tobytes())
    monkeypatch.setattr("edge_liif.image.jpeg_traces.read_top", lambda *a, **k: pytest.fail("pixels were decoded"))
    chosen = ModelChooser("auto", Settings()).for_picture(data.tobytes(), header)
    assert (chosen.upscaler.network.spec.name, chosen.jpeg_quality, chosen.blocking) == (ROBUST, 50, None)


def test_what_can_be_read_only_once_does_not_wait(weights, pictures):
    from edge_liif.image.read import probe

    picky = ModelChooser("auto", Settings(), grouping=True)
    for name in ("clean.png", "q40.jpg"):
        chosen = picky.for_picture(Path(name).read_bytes(), probe(Path(name)))
        assert chosen.upscaler.network.spec.name == pictures[name]
        del chosen
    with pytest.raises(AnotherModel):
        picky.for_picture(Path("clean.png"), probe(Path("clean.png")))
    picky.change()
    assert picky.for_picture(Path("clean.png"), probe(Path("clean.png"))).upscaler.network.spec.name == CLEAN


def test_python_loads_the_default_model(weights):
    import edge_liif

    assert edge_liif.load().network.spec.name == CLEAN
    assert edge_liif.load(ROBUST).network.spec.name == ROBUST
