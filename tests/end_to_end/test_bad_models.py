"""Model files that are hostile, damaged, replaced or unknown: refused, and nothing in them is ever run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_liif.model import zoo

RUN = ("--scale", "2", "--quiet", "--model")


class _Payload:
    """Pickled, it makes a file where it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("payload-ran",))


@pytest.fixture
def bomb() -> Path:
    with pytest.raises(FileExistsError):  # the fixture's own check: unpickling does run it
        Path("payload-ran").mkdir()
        pickle.loads(pickle.dumps(_Payload()))
    Path("payload-ran").rmdir()
    Path("bomb.pth").write_bytes(pickle.dumps({"model": {"sd": _Payload()}}))
    return Path("bomb.pth")


def test_pickle_is_not_a_model(refused, picture, bomb):
    picture("a.png")
    assert "convert it first: edge-liif models import bomb.pth" in refused("run", "a.png", *RUN, "bomb.pth")
    bomb.rename("bomb.safetensors")
    assert "not a readable safetensors file" in refused("run", "a.png", *RUN, "bomb.safetensors")


def test_import_of_code_is_refused(refused, bomb):
    pytest.importorskip("torch")
    line = refused("models", "import", "bomb.pth", "-o", "out.safetensors")
    assert "files that carry code are refused" in line


def test_import_of_code_in_torchs_own_container(refused):
    torch = pytest.importorskip("torch")
    torch.save({"model": {"sd": _Payload()}}, "bomb.pth")
    assert "files that carry code are refused" in refused("models", "import", "bomb.pth", "--name", "innocent")
    assert not (zoo.models_home() / "innocent.safetensors").exists()


@pytest.mark.parametrize("kind", ["strides of zero", "sparse", "meta"])
def test_import_of_tensors_that_are_not_there(refused, kind):
    """A kilobyte that describes a gigabyte, and tensors that have no numbers of their own."""
    torch = pytest.importorskip("torch")
    weight = torch.ones(1).expand(4096, 4096, 4, 4)
    if kind == "sparse":
        weight = torch.eye(3).to_sparse()
    elif kind == "meta":
        weight = torch.ones(2, 2, device="meta")
    torch.save({"model": {"sd": {"encoder.head.0.weight": weight}}}, "odd.pth")
    line = refused("models", "import", "odd.pth", "-o", "out.safetensors")
    assert ("larger than the file" if kind == "strides of zero" else "a checkpoint, but not LIIF's") in line


def test_import_of_a_container_that_swells(refused):
    """torch's members are never compressed; 1 MB of zeros in a kilobyte is not its work."""
    torch = pytest.importorskip("torch")
    torch.save({"model": {"sd": {"encoder.head.0.weight": torch.zeros(250_000)}}}, "plain.pth")
    with zipfile.ZipFile("plain.pth") as plain, zipfile.ZipFile("odd.pth", "w", zipfile.ZIP_DEFLATED) as odd:
        for name in plain.namelist():
            odd.writestr(name, plain.read(name))
    assert Path("odd.pth").stat().st_size < 10_000
    assert "its members are compressed" in refused("models", "import", "odd.pth", "-o", "out.safetensors")


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        (None, "no edge-liif model (no specification in it)"),
        ("not json", "specification can't be read"),
        ("{}", "specification can't be read"),
        ('{"name": "x", "encoder": {"kind": "rdn"}}', "specification can't be read"),
        ("[1, 2]", "specification can't be read"),
    ],
)
def test_safetensors_with_wrong_contents(refused, picture, spec, part):
    from safetensors.numpy import save_file

    picture("a.png")
    metadata = None if spec is None else {"edge_liif_spec": spec}
    save_file({"weight": np.zeros((3, 3), np.float32)}, "m.safetensors", metadata)
    line = refused("run", "a.png", *RUN, "m.safetensors")
    assert part in line


def test_truncated_model(refused, picture):
    picture("a.png")
    whole = zoo.resolve(zoo.default_model()).path.read_bytes()
    for kept in (0, 7, 5000, len(whole) - 1):
        Path("m.safetensors").write_bytes(whole[:kept])
        assert "m.safetensors: not a readable safetensors file" in refused("run", "a.png", *RUN, "m.safetensors")


@pytest.fixture
def changed_weights(tmp_path, monkeypatch) -> Path:
    """A copy of the bundled weights in which one byte of the default model is another."""
    folder = tmp_path / "weights"
    shutil.copytree(zoo.weights_folder(), folder)
    monkeypatch.setattr(zoo, "weights_folder", lambda: folder)
    path = folder / zoo.default_entry().file
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return path


def test_bundled_model_that_was_changed(refused, cli, picture, changed_weights):
    picture("a.png")
    line = refused("run", "a.png", "--scale", "2", "--quiet")
    assert "sha256" in line
    done = cli("models", "verify", zoo.default_model())
    assert done.status == 1
    assert "BAD" in done.stdout.decode()
    changed_weights.unlink()
    assert "reinstall edge-liif" in refused("run", "a.png", "--scale", "2", "--quiet")
    assert "reinstall edge-liif" in refused("models", "show", zoo.default_model())


@pytest.mark.parametrize("record", ["wrong", "missing", "damaged"])
def test_own_model_with_another_sha256(refused, picture, monkeypatch, tmp_path, record):
    picture("a.png")
    monkeypatch.setenv("EDGE_LIIF_HOME", str(tmp_path / "home"))
    zoo.models_home().mkdir(parents=True)
    path = zoo.home_path("mine")
    shutil.copy(zoo.resolve("edsr-baseline-liif").path, path)
    if record == "wrong":
        zoo.write_record(path, sha256="0" * 64, source_url=None, source_sha256=None)
    elif record == "damaged":
        path.with_suffix(".json").write_text(json.dumps({"sha256": 3}))
    assert "mine" in refused("run", "a.png", *RUN, "mine")


def test_unknown_model_suggests_a_name(refused, picture):
    picture("a.png")
    line = refused("run", "a.png", *RUN, "edsr-baselin-lif")
    assert "no model is called 'edsr-baselin-lif'; did you mean edsr-baseline-liif?" in line


def test_model_that_is_not_fetched_says_how(refused, picture):
    picture("a.png")
    assert "fetch it with: edge-liif models fetch rdn-liif" in refused("run", "a.png", *RUN, "rdn-liif")


def test_model_file_that_is_missing_or_a_folder(refused, picture):
    picture("a.png")
    assert "there is no model file" in refused("run", "a.png", *RUN, "none.safetensors")
    Path("m.safetensors").mkdir()
    assert "there is no model file" in refused("run", "a.png", *RUN, "m.safetensors")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--precision", "fp16", "--device", "cpu"], "fp16"),
        (["--device", "mps"], "Apple GPU"),
        (["--engine", "openvino", "--device", "cuda"], "cuda"),
    ],
)
def test_engine_that_is_not_here(refused, picture, options, part):
    picture("a.png")
    assert part in refused("run", "a.png", "--scale", "2", "--quiet", *options)
