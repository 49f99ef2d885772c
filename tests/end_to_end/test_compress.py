"""`edge-liif compress` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torchao")

from edge_liif.model.checkpoint import Network, load_network, random_network, save_network
from edge_liif.model.convert import with_known_answer
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.spec import ModelSpec
from tests.conftest import tamed

RECIPE = "version = 1\ncount = 4\nsize = 24\n"


@pytest.fixture
def model(here: Path) -> Network:
    network = tamed(random_network(ModelSpec("toy", EDSRSpec(16, (48, 48)), DecoderSpec((48, 32))), seed=3))
    network = with_known_answer(network)
    save_network(network, here / "toy.safetensors")
    (here / "recipe.toml").write_text(RECIPE)
    return network


def test_a_model_becomes_smaller_and_still_enlarges(command, cli, model, picture):
    picture("data/a.png", 60, 48)
    done = command(
        *("compress", "toy.safetensors", "-o", "small.safetensors", "--recipe", "recipe.toml", "--json"),
        *("--prune", "0.25", "--weight-bits", "8", "--activation-bits", "8", "--data", "data"),
    )
    assert done.status == 0, done.stderr
    assert done.stderr == ""
    facts = json.loads(done.stdout)
    assert facts["bytes"] == Path("small.safetensors").stat().st_size < facts["parent_bytes"] / 2
    assert facts["multiply_adds"][1] <= 0.75 * facts["multiply_adds"][0]
    assert facts["data_free"] is True
    assert "NaN" not in done.stdout.decode() and "Infinity" not in done.stdout.decode()
    assert [row["fidelity"] for row in facts["measured"] if row["method"] == "toy"] == ["inf"]
    small = load_network(Path("small.safetensors"))
    assert small.spec.compression.config["calibration"]["recipe"]["count"] == 4
    assert small.spec.halo is None  # nobody has measured it
    assert small.spec.parameters == facts["parameters"][1]
    assert small.known_answer is not None
    picture("a.png", 20, 16)
    for precision in ("fp32", "int8"):
        run = cli("run", "a.png", "--scale", "2", "--model", "small.safetensors", "--precision", precision, "--json",
                  "-o", f"{precision}.png")  # fmt: skip
        assert run.status == 0, run.stderr
        report = run.objects[0]
        assert (report["model"], report["precision"]) == ("small", precision)
        assert report["engine"] == "openvino"


def test_a_report_for_people(cli, model, picture):
    picture("data/a.png", 60, 48)
    picture("data/b.png", 48, 48)
    done = cli("compress", "toy.safetensors", "-o", "small.safetensors", "--recipe", "recipe.toml",
               "--weight-bits", "6", "--data", "data", "--quiet")  # fmt: skip
    assert done.status == 0, done.stderr
    text = done.stdout.decode()
    for part in (
        "toy -> small.safetensors by lockstep",
        "multiply-adds",
        "data (2), bicubic",
        "data (2), small (compressed)",
    ):
        assert part in text


def test_which_layers_cause_the_loss(cli, model):
    call = ("compress", "toy.safetensors", "--recipe", "recipe.toml", "--weight-bits", "8", "--activation-bits", "8",
            "--keep", "imnet.layers.2=3", "--keep", "imnet.*=6", "--layers")  # fmt: skip
    done = cli(*call, "-o", "small.safetensors", "--quiet")
    assert done.status == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.decode().splitlines() if line.count(".") > 4}
    assert rows["imnet.layers.2"][1] == "3" and rows["imnet.layers.0"][1] == "6" and rows["encoder.body.2"][1] == "8"
    assert rows["encoder.head.0"][1] == "fp32" and float(rows["encoder.head.0"][3]) == 0
    assert "dB to the original network (RGB, calibration pictures)" in done.stdout.decode()
    report = cli(*call, "-o", "again.safetensors", "--json").objects[0]
    shares = {row["layer"]: row["share"] for row in report["layers"]}
    assert max(shares, key=shares.__getitem__) == "imnet.layers.2"
    assert float(rows["imnet.layers.2"][3]) == pytest.approx(100 * shares["imnet.layers.2"], abs=0.01)
    assert load_network(Path("small.safetensors")).spec.compression.config["keep"] == {
        "imnet.layers.2": 3,
        "imnet.*": 6,
    }


def test_a_method_that_predicts_no_loss_of_pruning_says_so(cli, model):
    done = cli("compress", "toy.safetensors", "-o", "small.safetensors", "--recipe", "recipe.toml", "--layers",
               "--method", "magnitude", "--prune", "0.25", "--weight-bits", "8", "--quiet")  # fmt: skip
    assert done.status == 0, done.stderr
    assert "this method says nothing of what pruning costs" in done.stdout.decode()


def test_without_any_picture(cli, model):
    done = cli("compress", "toy.safetensors", "-o", "small.safetensors", "--method", "dfq", "--weight-bits", "8",
               "--activation-bits", "8", "--statistics", "analytic", "--quiet")  # fmt: skip
    assert done.status == 0, done.stderr
    assert "statistics analytic" in done.stdout.decode() and "largest error" not in done.stdout.decode()


def test_real_pictures_are_called_what_they_are(cli, model, picture):
    for i in range(2):
        picture(f"data/{i}.png", 300, 300)
    done = cli("compress", "toy.safetensors", "-o", "small.safetensors", "--calibrate-on", "data", "--weight-bits", "8",
               "--recipe", "recipe.toml")  # fmt: skip
    assert done.status == 0, done.stderr
    assert "calibrated on real pictures: not data-free" in done.stdout.decode()
    calibration = load_network(Path("small.safetensors")).spec.compression.config["calibration"]
    assert len(calibration["photographs"]) == 64 and calibration["recipe"]["count"] == 4


def test_a_small_model_is_not_made_smaller_twice(cli, refused, model):
    call = ("--recipe", "recipe.toml", "--weight-bits", "8", "--quiet")
    assert cli("compress", "toy.safetensors", "-o", "small.safetensors", *call).status == 0
    assert "compressed already" in refused("compress", "small.safetensors", "-o", "smaller.safetensors", *call)


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (("--weight-bits", "8", "-o", "small.pth"), "must end in .safetensors", 2),
        (("--weight-bits", "8", "-o", "toy.safetensors"), "exists; use --overwrite", 2),
        (("--weight-bits", "8", "-o", "nowhere/small.safetensors"), "there is no folder nowhere", 2),
        (("-o", "small.safetensors"), "nothing to do", 2),
        (("--prune", "2", "-o", "small.safetensors"), "not a share", 2),
        (("--weight-bits", "1", "-o", "small.safetensors"), "not 3 to 8", 2),
        (("--activation-bits", "8", "-o", "small.safetensors"), "need both", 2),
        (("--weight-bits", "8", "--method", "magic", "-o", "small.safetensors"), "not one of", 2),
        (("--config", "no.toml", "-o", "small.safetensors"), "no.toml: can't be read", 2),
        (("--weight-bits", "8", "--recipe", "no.toml", "-o", "small.safetensors"), "no.toml", 2),
        (("--prune", "0.9", "--recipe", "recipe.toml", "-o", "small.safetensors"), "at most 0", 2),
        (("--weight-bits", "8", "--data", "nowhere", "-o", "small.safetensors"), "nowhere: not a folder", 2),
        (("--weight-bits", "8", "--seed", "100000000000000000000", "-o", "small.safetensors"), "not a whole number", 2),
        (("--weight-bits", "8", "--keep", "imnet", "-o", "small.safetensors"), "is not NAME=BITS", 2),
        (("--weight-bits", "8", "--keep", "imnet.*=9", "-o", "small.safetensors"), "3 to 8 bits", 2),
        (("--weight-bits", "8", "--keep", "head=8", "-o", "small.safetensors"), "fits no layer", 2),
        (("--weight-bits", "8", "--statistics", "analytic", "-o", "small.safetensors"), "needs moments", 2),
        (
            (
                "--weight-bits",
                "8",
                "--method",
                "rtn",
                "--statistics",
                "analytic",
                "--layers",
                "-o",
                "small.safetensors",
            ),
            "look at no pictures",
            2,
        ),
        (("--weight-bits", "8", "--config", "c.toml", "-o", "small.safetensors"), "not both", 2),
        (("--scale", "2", "--config", "c.toml", "-o", "small.safetensors"), "not both", 2),
        (("--multiple", "32", "--config", "c.toml", "-o", "small.safetensors"), "not both", 2),
        (("--equalise", "--config", "c.toml", "-o", "small.safetensors"), "not both", 2),
    ],
)
def test_bad_calls(refused, model, arguments, message, status):
    assert message in refused("compress", "toy.safetensors", "--quiet", *arguments, status=status)


def test_a_model_that_is_not_there(refused, here):
    assert "no model is called" in refused("compress", "nobody", "-o", "small.safetensors", "--weight-bits", "8")
