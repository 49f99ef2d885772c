"""The training command of the model cards, end to end: the loss falls, and stopping changes nothing."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_liif.model.checkpoint import read_liif_checkpoint
from tests.conftest import REPOSITORY

SHAPED_AS_THE_TEACHER = {
    "shape__encoder": "edsr",
    "shape__blocks": "16",
    "shape__heads": "{ tiny = [256, 256, 256, 256] }",
    "start__model": "edsr-baseline-liif",
    "start__centre": "false",
    "schedule__rate": "1e-6",
}


def losses(out: Path) -> list[float]:
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [e["loss"] for e in entries if "loss" in e]


def tensors(path: Path) -> dict[str, torch.Tensor]:
    state = torch.load(path, weights_only=True)
    flat = {f"weights/{k}": v for k, v in state["weights"].items()}
    flat |= {f"average/{k}": v for k, v in state["average"].items()}
    for i, moments in state["optimizer"]["state"].items():
        flat |= {f"adam/{i}/{k}": v for k, v in moments.items()}
    return flat


def test_two_hundred_iterations_learn_something(train, tmp_path):
    done = train("rdn-liif-s.toml", tmp_path / "run", 200)
    assert done.returncode == 0, done.stderr
    curve = losses(tmp_path / "run")
    assert len(curve) == 20
    assert sum(curve[-5:]) < 0.7 * sum(curve[:5])
    network = read_liif_checkpoint(tmp_path / "run" / "tiny.pth", "tiny")
    assert network.spec.encoder.growth == ((8, 8, 8),) * 2
    assert network.spec.decoder.hidden == (32, 32)


@pytest.mark.parametrize("config", ["rdn-liif-s.toml", "edsr-baseline-liif-jpeg.toml"])
def test_a_stopped_run_goes_on_to_identical_state(train, tmp_path, config):
    assert train(config, tmp_path / "whole", 60).returncode == 0
    killed = train.start(config, tmp_path / "killed", 60)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    while not checkpoint.exists():
        assert killed.poll() is None, "it ended before its first checkpoint"
        time.sleep(0.002)
    killed.kill()
    killed.wait()
    assert torch.load(checkpoint, weights_only=True)["step"] < 60
    resumed = train(config, tmp_path / "killed", 60)
    assert resumed.returncode == 0, resumed.stderr
    whole = tensors(tmp_path / "whole" / "checkpoint.pt")
    again = tensors(tmp_path / "killed" / "checkpoint.pt")
    assert whole.keys() == again.keys()
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name


@pytest.mark.parametrize(
    ("start", "share", "weight", "keep", "low", "high"),
    [
        ("weights", "0.0", "0.0", "1.0", 0.0, 1e-3),  # undamaged patches, and the student still is its teacher
        ("random", "0.0", "0.0", "1.0", 0.5, 1e6),  # another student is held to it
        ("random", "0.0", "1.0", "0.0", 0.0, 0.0),  # but not by a weight that has faded
        ("weights", "1.0", "0.0", "1.0", 0.0, 0.0),  # damaged ones are not held
        ("weights", "1.0", "1.0", "0.0", 0.0, 0.0),  # and not guided when the weight has faded
    ],
)
def test_the_teacher_guides_damaged_patches_and_holds_clean_ones(
    train, tmp_path, start, share, weight, keep, low, high
):
    teacher = {"teacher__weight": weight, "teacher__keep": keep, "teacher__pixels": "0.0", "jpeg__share": share}
    settings = {"teacher__until": "0.5", "report__log": "1"}
    done = train(
        "edsr-baseline-liif-jpeg.toml",
        tmp_path / "run",
        3,
        **SHAPED_AS_THE_TEACHER,
        start__method=start,
        **teacher,
        **settings,
    )
    assert done.returncode == 0, done.stderr
    first, *_, last = losses(tmp_path / "run")
    assert low <= last <= high
    assert (first > 0.1) == (start == "random" or (share, weight) == ("1.0", "1.0")), "it fades from the first step on"


@pytest.mark.parametrize(
    ("start", "share", "answers", "low", "high"),
    [
        ("weights", "0.0", "1.0", 0.0, 5e-3),  # asked for the teacher's colours, the teacher itself has them
        ("weights", "0.0", "0.0", 1e-2, 1e6),  # the photograph's are others
        ("random", "0.0", "1.0", 0.1, 1e6),
        ("weights", "1.0", "1.0", 1e-2, 1e6),  # damaged patches are held to the photograph
    ],
)
def test_the_teacher_answers_for_clean_patches_only(train, tmp_path, start, share, answers, low, high):
    teacher = {"teacher__weight": "0.0", "teacher__keep": "0.0", "teacher__answers": answers, "jpeg__share": share}
    done = train(
        "edsr-baseline-liif-jpeg.toml",
        tmp_path / "run",
        2,
        **SHAPED_AS_THE_TEACHER,
        start__method=start,
        **teacher,
        report__log="1",
    )
    assert done.returncode == 0, done.stderr
    assert all(low <= loss <= high for loss in losses(tmp_path / "run"))


def test_qualities_by_their_logarithm_are_low_more_often(monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "weights" / "train")
    from batches import Batches, Jpeg

    def drawn(draw: str) -> np.ndarray:
        photographs = [torch.zeros(3, 64, 64, dtype=torch.uint8)]
        batches = Batches(photographs, 0, 1, 16, 1, (1.0, 4.0), 0.0, Jpeg(1.0, quality=(10, 95), draw=draw))
        rng = np.random.default_rng(0)
        return np.array([batches._setting(rng)[0] for _ in range(4000)])

    uniform, log = drawn("uniform"), drawn("log")
    for qualities in (uniform, log):
        assert qualities.min() == 10 and qualities.max() == 95
    # ln(20.5 / 9.5) / ln(95.5 / 9.5) of them, and 11 of 86
    assert (log <= 20).mean() == pytest.approx(0.333, abs=0.03)
    assert (log == 10).mean() == pytest.approx(0.0434, abs=0.01)
    assert (uniform <= 20).mean() == pytest.approx(11 / 86, abs=0.03)


@pytest.mark.parametrize(
    ("channel", "cb", "cr"), [(0, -0.168736, 0.5), (1, -0.331264, -0.418688), (2, 0.5, -0.081312)], ids="RGB"
)
def test_an_error_of_colour_costs_more_than_one_of_brightness(monkeypatch, channel, cb, cr):
    monkeypatch.syspath_prepend(REPOSITORY / "weights" / "train")
    from train import pixel_loss

    with torch.autocast("cpu", torch.bfloat16):
        grey = torch.full((2, 5, 3), 0.1)
        assert float(pixel_loss(grey, 3.0)) == pytest.approx(0.1, abs=1e-6)
        primary = torch.zeros(2, 5, 3)
        primary[..., channel] = 0.1
        assert float(pixel_loss(primary, 0.0)) == pytest.approx(0.1 / 3)
        assert float(pixel_loss(primary, 2.0)) == pytest.approx(0.1 / 3 + 0.1 * (abs(cb) + abs(cr)), rel=1e-5)
        assert torch.equal(pixel_loss(primary, 2.0), pixel_loss(-primary, 2.0))


def test_a_weight_for_colour_is_heard(train, tmp_path):
    for name, weight in (("with", "1.0"), ("without", "0.0")):
        done = train("rdn-liif-s.toml", tmp_path / name, 2, loss__colour=weight, report__log="1")
        assert done.returncode == 0, done.stderr
    # before the first step both are the same network on the same batch
    assert losses(tmp_path / "with")[0] > 1.01 * losses(tmp_path / "without")[0]


def test_a_stopped_run_can_be_exported_beside_which_it_goes_on(train, tmp_path):
    refused = train("rdn-liif-s.toml", tmp_path / "none", 40, extra=["--export"])
    assert refused.returncode == 1 and "no checkpoint" in refused.stderr
    assert not (tmp_path / "none").exists()
    assert train("rdn-liif-s.toml", tmp_path / "run", 40).returncode == 0
    checkpoint, log = tmp_path / "run" / "checkpoint.pt", tmp_path / "run" / "log.jsonl"
    # as it was while the run was between two checkpoints: the log is ahead
    torch.save(torch.load(checkpoint, weights_only=True) | {"step": 20}, checkpoint)
    (tmp_path / "run" / "tiny.pth").unlink()
    before = log.read_text()
    assert json.loads(before.splitlines()[-1])["step"] == 40
    done = train("rdn-liif-s.toml", tmp_path / "run", 40, extra=["--export"])
    assert done.returncode == 0, done.stderr
    assert log.read_text() == before
    average = torch.load(checkpoint, weights_only=True)["average"]
    network = read_liif_checkpoint(tmp_path / "run" / "tiny.pth", "tiny")
    name = "encoder.RDBs.0.LFF.weight"
    assert torch.equal(torch.from_numpy(network.tensors[name]), average[name])


def test_another_configuration_does_not_continue_a_run(train, tmp_path):
    assert train("rdn-liif-s.toml", tmp_path / "run", 5).returncode == 0
    other = train("rdn-liif-s.toml", tmp_path / "run", 5, schedule__rate="1e-3")
    assert other.returncode == 1
    assert "belongs to another configuration" in other.stderr


def test_other_photographs_do_not_continue_a_run(train, tmp_path):
    assert train("rdn-liif-s.toml", tmp_path / "run", 5).returncode == 0
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    shutil.copy(REPOSITORY / "examples" / "kodim08.png", fewer)
    other = train("rdn-liif-s.toml", tmp_path / "run", 5, data=fewer)
    assert other.returncode == 1 and "was made with other photographs" in other.stderr


def test_a_run_that_goes_wrong_keeps_its_last_good_checkpoint(train, tmp_path):
    done = train("rdn-liif-s.toml", tmp_path / "run", 60, schedule__rate="1e30", report__checkpoint="1")
    assert done.returncode == 1 and "lower schedule.rate, with another --out" in done.stderr
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    assert not checkpoint.exists() or all(t.isfinite().all() for t in tensors(checkpoint).values())


def test_what_was_logged_after_the_checkpoint_is_logged_once(train, tmp_path):
    assert train("rdn-liif-s.toml", tmp_path / "run", 40, report__checkpoint="25").returncode == 0
    log = tmp_path / "run" / "log.jsonl"
    before = log.read_text()
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    torch.save(state | {"step": 20}, tmp_path / "run" / "checkpoint.pt")
    log.write_text(before + '{"step": 4')  # killed while it wrote
    assert train("rdn-liif-s.toml", tmp_path / "run", 40, report__checkpoint="25").returncode == 0
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == [json.loads(line)["step"] for line in before.splitlines()]


def test_a_run_stopped_before_its_first_checkpoint_begins_its_log_anew(train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text('{"step": 10, "loss": 1.0}\n{"step": 2')
    assert train("rdn-liif-s.toml", tmp_path / "run", 20).returncode == 0
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in entries] == [10, 20] and entries[0]["loss"] != 1.0


def test_a_validation_that_was_stopped_is_done_again(train, tmp_path):
    measured = {"validate": REPOSITORY / "examples", "report__limit": "1", "report__qualities": "[0, 10]"}
    assert train("rdn-liif-s.toml", tmp_path / "run", 20, **measured).returncode == 0
    log = tmp_path / "run" / "log.jsonl"
    whole = log.read_text()
    log.write_text("".join(whole.splitlines(True)[:-1]))  # the last of two measurements
    assert train("rdn-liif-s.toml", tmp_path / "run", 20, **measured).returncode == 0
    assert log.read_text() == whole


def test_a_start_without_steps_is_measured(train, tmp_path):
    done = train("rdn-liif-s.toml", tmp_path / "run", 0, validate=REPOSITORY / "examples", report__limit="1")
    assert done.returncode == 0, done.stderr
    (entry,) = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert entry["step"] == 0 and any(name.startswith("psnr tiny") for name in entry)


def test_a_wrong_folder_to_measure_on_is_found_out_first(train, tmp_path):
    done = train("rdn-liif-s.toml", tmp_path / "run", 5, validate=tmp_path / "absent")
    assert done.returncode == 1 and done.stderr.startswith("train: ") and "absent" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule__rats": "1"}, "[schedule] has no key 'rats'"),
        ({"shedule__rate": "1"}, "there is no table [shedule]"),
        ({"start__method": "magic"}, "it is not random, weights, exact or compressed"),
        ({"data__patch": "4000"}, "no picture of at least 16000 pixels"),
        # answers that would do nothing
        ({"teacher__answers": "1.5"}, "from 0 to 1"),
        ({"teacher__answers": "1.0", "teacher__pixels": "0.0"}, "give teacher.pixels a weight"),
        # damage and losses that do not exist
        ({"jpeg__draw": "even"}, "uniform or log"),
        ({"jpeg__quality": "[0, 95]"}, "from 1 to 100"),
        ({"jpeg__quality": "[20]"}, "from 1 to 100"),
        ({"loss__colour": "-1.0"}, "0 or more"),
        ({"loss__colour": "1.0", "teacher__pixels": "0.0"}, "loss.colour is about pixels"),
    ],
)
def test_mistakes_are_named(train, tmp_path, settings, message):
    done = train("rdn-liif-s.toml", tmp_path / "run", 5, **settings)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_every_configuration_can_be_read():
    sys.path.insert(0, str(Path(__file__).parents[2] / "weights" / "train"))
    from settings import read_config

    folder = Path(__file__).parents[2] / "weights" / "train"
    configs = sorted(folder.glob("*.toml"))
    assert len(configs) >= 4
    for path in configs:
        assert read_config(path, []).shape.heads, path
