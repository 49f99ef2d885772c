"""`edge-liif export` as a person meets it, and the example of docs/onnx.md with what it wrote."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edge_liif.model.checkpoint import Network, save_network
from tests.conftest import REPOSITORY

from .pictures import contents


@pytest.fixture
def model(here: Path, small_edsr: Network) -> Path:
    save_network(small_edsr, here / "small.safetensors")
    return here / "small.safetensors"


def encoder(path: str) -> ort.InferenceSession:
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_two_files_that_any_runtime_takes(cli, model):
    done = cli("export", "small.safetensors", "--format", "onnx")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.decode().split() == ["small-encoder.onnx", "small-decoder.onnx"]
    assert set(contents(Path())) == {"small.safetensors", "small-encoder.onnx", "small-decoder.onnx"}
    facts = {entry.key: entry.value for entry in onnx.load("small-encoder.onnx").metadata_props}
    assert re.fullmatch("[0-9a-f]{64}", facts["edge_liif.source_sha256"])
    assert (facts["edge_liif.kind"], facts["edge_liif.precision"]) == ("encoder", "fp32")
    for height, width in [(8, 12), (20, 9)]:
        lr = np.zeros((1, 3, height, width), np.float32)
        assert encoder("small-encoder.onnx").run(None, {"lr": lr})[0].shape == (height, width, 16)


def test_folders_prefixes_and_fixed_windows(cli, model, here):
    (here / "there").mkdir()
    for output, first in [("there", "there/small"), ("there/", "there/small"), ("there/other", "there/other")]:
        done = cli("export", "small.safetensors", "-o", output, "--tile", "8x12", "--overwrite")
        assert done.status == 0, done.stderr
        assert done.stdout.decode().split() == [f"{first}-encoder.onnx", f"{first}-decoder.onnx"]
    session = encoder("there/other-encoder.onnx")
    assert session.get_inputs()[0].shape == [1, 3, 8, 12]
    assert session.get_outputs()[0].shape == [8, 12, 16]


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["--format", "torchscript"], "--format 'torchscript' is not one of onnx", 2),
        (["--precision", "fp16"], "--precision 'fp16' is not one of fp32, int8", 2),
        (["--tile", "big"], "--tile 'big' is not dynamic or HEIGHTxWIDTH", 2),
        (["--tile", "0x8"], "is not dynamic or HEIGHTxWIDTH", 2),
        (["--tile", "8x5000"], "is not dynamic or HEIGHTxWIDTH", 2),
        (["-o", ""], "-o is an empty name", 2),
        (["-o", "nowhere/small"], "the folder nowhere does not exist", 1),
        (["--precision", "int8"], "has no integer activations; make them with: edge-liif compress", 1),
    ],
)
def test_bad_calls(refused, model, arguments, message, status):
    assert message in refused("export", "small.safetensors", *arguments, status=status)


def test_existing_files_stay(refused, cli, model, here):
    (here / "small-decoder.onnx").write_text("mine")
    assert "small-decoder.onnx: exists; use --overwrite" in refused("export", "small.safetensors", status=2)
    assert cli("export", "small.safetensors", "--overwrite").status == 0
    onnx.load("small-decoder.onnx")


def test_a_full_disk_leaves_nothing(refused, model, monkeypatch):
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "can't be written (no space left" in refused("export", "small.safetensors")


def test_without_the_package(refused, model, monkeypatch):
    monkeypatch.setattr("edge_liif.export.find_spec", lambda name: None)
    assert "pip install 'edge-liif[onnx]'" in refused("export", "small.safetensors")


def test_the_example_of_the_manual(cli, picture):
    """Copied from docs/onnx.md and run: the same picture as the command makes."""
    import cv2

    picture("photo.png", 40, 30)
    assert cli("export", "edsr-baseline-liif").status == 0
    text = (REPOSITORY / "docs" / "onnx.md").read_text()
    (code,) = re.findall(r"<!-- example -->\n```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "docs/onnx.md", "exec"), {})
    run = ["run", "photo.png", "--scale", "1.7", "--model", "edsr-baseline-liif", "--precision", "fp32"]
    for engine in ("openvino", "onnx"):
        done = cli(*run, "-o", f"{engine}.png", "--engine", engine)
        assert done.status == 0, done.stderr
        ours, theirs = (cv2.imread(name).astype(int) for name in (f"{engine}.png", "photo_large.png"))
        assert ours.shape == theirs.shape == (51, 68, 3)
        assert np.abs(ours - theirs).max() <= 1
