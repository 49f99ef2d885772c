"""plan, models, doctor, eval, --version and --help."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import edge_liif
from edge_liif.engine.openvino import OpenVINOEngine
from edge_liif.model import zoo

from .pictures import contents

MODEL = "edsr-baseline-liif"


def test_version(cli):
    assert cli("--version").stdout.decode() == f"edge-liif {edge_liif.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [[], ["run"], ["plan"], ["export"], ["eval"], ["doctor"], ["models"]]
    + [["models", word] for word in ("list", "show", "fetch", "verify", "import")],
)
def test_help(cli, words):
    done = cli(*words, "--help")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.decode().startswith(f"Usage: {' '.join(['edge-liif', *words])} ")


def test_plan_says_shapes_memory_and_papers_and_does_nothing(cli, picture):
    picture("a.png", 40, 30, mode="RGBA")
    done = cli("plan", "a.png", "--scale", "3", "--model", MODEL)
    text = done.stdout.decode()
    assert (done.status, done.stderr) == (0, "")
    for part in (
        "a.png -> a_x3.png",
        "40x30 RGBA, 8 bit PNG",
        "arXiv 2012.09161",
        "encode   (1, 3, 30, 40) -> features (1, 64, 30, 40)",
        "evaluations of 256 -> 256 -> 256 -> 256 -> 3",
        "alpha ",
        "120x90 (x3), RGBA, png",
        "G multiply-adds: encoder ",
        "predicted peak ",
        "  time     about ",
        "engine ",
        "writer ",
    ):
        assert part in text
    assert set(contents(Path())) == {"a.png"}


def test_plan_as_json_agrees_with_the_run(cli, picture):
    picture("a.png")
    planned = cli("plan", "a.png", "--scale", "2", "--json").objects[0]
    done = cli("run", "a.png", "--scale", "2", "--json").objects[0]
    assert planned["status"] == "planned"
    later = {"status", "seconds", "peak_memory_bytes"}
    assert {k: v for k, v in planned.items() if k not in later} == {k: v for k, v in done.items() if k not in later}


def test_time_is_predicted_from_the_last_run(cli, picture, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_LIIF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("edge_liif.engine.pace.LONG", 0.0)
    picture("a.png", 40, 30)
    picture("alpha.png", 40, 30, mode="RGBA")
    # by name: where fp32 is as fast, it may be chosen, and then there is nothing to do a tile again in
    how = ("--scale", "2", "--precision", "int8")

    def predicted():
        (plan,) = cli("plan", "a.png", *how, "--json").objects
        return plan["predicted_seconds"], plan["predicted_from"]

    first, source = predicted()
    assert first > 0 and source == "the self-check's tile"
    # alpha may have been no work at all, and what was done twice is not in the plan
    assert cli("run", "alpha.png", *how).status == 0
    with monkeypatch.context() as broken:
        good = OpenVINOEngine.decode
        answers = iter([np.nan])
        broken.setattr(OpenVINOEngine, "decode", lambda *words: good(*words) * next(answers, 1))
        (done,) = cli("run", "a.png", *how, "--json", "-o", "redone.png").objects
        assert "done again in fp32" in " ".join(done["warnings"])
    assert predicted() == (first, source)
    (done,) = cli("run", "a.png", *how, "--json", "-o", "b.png").objects
    assert done["predicted_seconds"] == first
    assert predicted() == (pytest.approx(done["seconds"]["enlarge"], abs=2e-3), "an earlier run")
    assert "at the pace of an earlier run" in cli("plan", "a.png", *how).stdout.decode()


def test_plan_warns_of_what_would_be_lost(cli):
    import cv2
    import numpy as np

    cv2.imwrite("a.png", np.full((8, 8, 3), 30_000, np.uint16))
    assert "warning  JPEG holds 8 bits" in cli("plan", "a.png", "--scale", "2", "-o", "b.jpg").stdout.decode()


def test_models_list(cli):
    text = cli("models", "list").stdout.decode()
    assert f"{MODEL}-int8 (default)" in text
    listed = {m["name"]: m for m in json.loads(cli("models", "list", "--json").stdout)}
    assert listed[f"{MODEL}-int8"]["default"] is True
    assert listed[MODEL]["licence"] == "BSD-3-Clause"
    assert listed["rdn-liif"]["status"] == "not fetched"
    assert listed["rdn-liif"]["path"] is None


def test_models_show(cli):
    text = cli("models", "show", MODEL).stdout.decode()
    for part in ("EDSR", "M parameters", "(1, 3, H, W)", "arXiv 2012.09161", "sha256", "BSD-3-Clause"):
        assert part in text


def test_models_show_of_one_that_is_not_fetched_yet(cli):
    done = cli("models", "show", "rdn-liif")
    assert done.status == 0
    assert "fetch it with: edge-liif models fetch rdn-liif" in done.stdout.decode()


def test_models_verify(cli):
    done = cli("models", "verify")
    assert done.status == 0
    assert f"{MODEL}: good (sha256 as recorded" in done.stdout.decode()
    assert cli("models", "verify", "none").status == 1


def test_models_fetch_of_what_needs_none(cli, refused):
    assert "is bundled" in cli("models", "fetch", MODEL).stdout.decode()
    assert "no model is called 'none'" in refused("models", "fetch", "none")
    assert "no model is called 'none'" in refused("models", "show", "none")


@pytest.fixture
def checkpoint(small_edsr) -> Path:
    """A checkpoint in the LIIF authors' layout."""
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(tensor.copy()) for name, tensor in small_edsr.tensors.items()}
    torch.save({"model": {"name": "liif", "args": {}, "sd": tensors}}, "mine.pth")
    return Path("mine.pth")


def test_models_import_and_use(cli, refused, checkpoint, picture, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_LIIF_HOME", str(tmp_path / "home"))
    done = cli("models", "import", "mine.pth", "--licence", "MIT")
    assert done.status == 0, done.stderr
    assert zoo.home_path("mine").is_file()
    assert "imported" in cli("models", "list").stdout.decode()
    assert "MIT" in cli("models", "show", "mine").stdout.decode()
    assert cli("models", "verify", "mine").status == 0
    assert "exists; use --overwrite" in refused("models", "import", "mine.pth", status=2)
    picture("a.png")
    done = cli("run", "a.png", "--scale", "2", "--model", "mine", "--precision", "fp32", "--json")
    assert done.objects[0]["model"] == "mine"


def test_models_import_to_a_file(cli, checkpoint, picture):
    assert cli("models", "import", "mine.pth", "-o", "m.safetensors", "--half").status == 0
    picture("a.png")
    assert cli("run", "a.png", "--scale", "2", "--model", "m.safetensors", "--precision", "fp32").status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "part"),
    [
        (["none.pth"], 1, "none.pth: no such file"),
        (["mine.pth", "--name", MODEL], 2, "taken by a model of the manifest"),
        (["mine.pth", "--name", "../up"], 1, "can't be a model's name"),
        (["mine.pth", "-o", "none/m.safetensors"], 1, "none/m.safetensors: can't be written"),
    ],
)
def test_models_import_that_fails(refused, checkpoint, arguments, status, part):
    assert part in refused("models", "import", *arguments, status=status)


def test_models_import_without_a_home(refused, checkpoint, monkeypatch):
    monkeypatch.setenv("EDGE_LIIF_HOME", "/proc/none")
    assert "set EDGE_LIIF_HOME to a folder of yours" in refused("models", "import", "mine.pth")


def test_run_without_a_home(cli, picture, monkeypatch):
    monkeypatch.setenv("EDGE_LIIF_HOME", "/proc/none")
    picture("a.png")
    assert cli("run", "a.png", "--scale", "2", "--precision", "fp32").status == 0


def test_doctor(cli):
    done = cli("doctor", "--json", "--threads", "1")
    assert done.status == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["model"] == f"{MODEL}-int8"
    assert facts["packages"]["openvino"]
    assert facts["cache_folder"].startswith(os.environ["EDGE_LIIF_HOME"])
    checks = {(c["engine"], c["precision"]): c for c in facts["checks"]}
    assert checks["openvino", "fp32"]["passed"] is True
    assert checks["openvino", "fp32"]["error"] < 1e-3
    assert checks["onnx", "fp32"]["passed"] is True


def test_doctor_layers(cli):
    """The default model computes in 8 bits where its work is."""
    done = cli("doctor", "--layers", "--precision", "int8", "--json")
    assert done.status == 0, done.stderr
    layers = json.loads(done.stdout)["layers"]
    work = [row for row in layers if row["kind"] in {"Convolution", "FullyConnected"}]
    assert [row["precision"] in {"u8", "i8"} for row in work] == [False] + [True] * (len(work) - 1)
    assert all(row["seconds"] > 0 for row in work)
    text = cli("doctor", "--layers", "--model", MODEL, "--precision", "fp32").stdout.decode()
    assert "| encoder | Convolution | f32 |" in text
    assert "decoder: " in text


def test_eval(cli, picture):
    pytest.importorskip("skimage")
    picture("set/a.png", 48, 40)
    done = cli("eval", MODEL, "--data", "set", "--scale", "2", "--precision", "fp32")
    assert done.status == 0, done.stderr
    text = done.stdout.decode()
    assert text.startswith("| data set | scale |")
    for part in ("bicubic PSNR / SSIM", f"{MODEL} PSNR / SSIM", "| set | x2 |", "Protocol: ", "Command:"):
        assert part in text
    rows = json.loads(cli("eval", MODEL, "--data", "set", "--scale", "2", "--precision", "fp32", "--json").stdout)
    assert "bicubic" in json.dumps(rows)


def test_eval_of_coded_lr(cli, picture):
    pytest.importorskip("skimage")
    picture("set/a.png", 48, 40)
    arguments = ["eval", MODEL, "--data", "set", "--scale", "2", "--precision", "fp32", "--jpeg", "none, 10,40"]
    text = cli(*arguments).stdout.decode()
    for part in ("| x2 | PIL |", "| x2 | PIL, JPEG 10 |", "| x2 | PIL, JPEG 40 |", "quality 10, 40, 4:2:0, by OpenCV"):
        assert part in text
    rows = json.loads(cli(*arguments, "--json").stdout)["rows"]
    assert [row["jpeg_quality"] for row in rows] == [None, None, 10, 10, 40, 40]
    assert rows[2]["psnr_y"] < rows[4]["psnr_y"] < rows[0]["psnr_y"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--data", "none"], "none: not a folder"),
        (["--data", "set", "--scale", "nan"], "not a list of numbers"),
        (["--data", "set", "--scale", "1"], "not a list of numbers"),
        (["--data", "set", "--scale", "2,,3"], "not a list of numbers"),
        (["--data", "set", "--downsample", "area"], "not pil or matlab"),
        (["--data", "set", "--limit", "0"], "limit"),
        (["--data", "set", "--jpeg", "0"], "not a list of qualities"),
        (["--data", "set", "--jpeg", "101"], "not a list of qualities"),
        (["--data", "set", "--jpeg", "10,,20"], "not a list of qualities"),
        (["--data", "set", "--jpeg", "low"], "not a list of qualities"),
        (["--data", "set", MODEL], "same name"),
    ],
)
def test_eval_that_is_asked_wrongly(refused, picture, options, part):
    pytest.importorskip("skimage")
    picture("set/a.png", 48, 40)
    assert part in refused("eval", MODEL, "--precision", "fp32", *options, status=2)
