"""Model files: round trip, the authors' format, and everything that must be refused."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from edge_liif.errors import ModelError
from edge_liif.model.checkpoint import SPEC_KEY, Network, load_network, read_liif_checkpoint, save_network
from edge_liif.model.convert import convert_checkpoint
from edge_liif.model.zoo import load_manifest, sha256_of, weights_folder


def as_pth(network: Network, path: Path, **extra: torch.Tensor) -> Path:
    state = {name: torch.from_numpy(tensor.copy()) for name, tensor in network.tensors.items()}
    torch.save({"model": {"name": "liif", "args": {}, "sd": {**state, **extra}}, "epoch": 3, "optimizer": {}}, path)
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_round_trip(small_rdn: Network, tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "m.safetensors"
    save_network(small_rdn, path, dtype)
    loaded = load_network(path, sha256_of(path))
    assert loaded.spec == small_rdn.spec and loaded.sha256 == sha256_of(path)
    for name, tensor in small_rdn.tensors.items():
        assert loaded.tensors[name].dtype == np.float32
        assert np.array_equal(loaded.tensors[name], tensor.astype(dtype).astype(np.float32))
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("name", ["small_rdn", "small_edsr"])
def test_the_authors_format(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    network: Network = request.getfixturevalue(name)
    unused = {f"encoder.sub_mean.{part}": torch.zeros(3) for part in ("weight", "bias")}
    source = as_pth(network, tmp_path / "m.pth", **unused)
    read = read_liif_checkpoint(source, "m")
    assert read.spec.encoder == network.spec.encoder and read.spec.decoder == network.spec.decoder
    assert read.spec.parent_sha256 == sha256_of(source)
    assert all(np.array_equal(read.tensors[k], v) for k, v in network.tensors.items())


def test_conversion_stores_the_literal_answer(small_edsr: Network, tmp_path: Path) -> None:
    target = tmp_path / "m.safetensors"
    convert_checkpoint(as_pth(small_edsr, tmp_path / "m.pth"), target, "m", half=True, licence="MIT", authors="A")
    loaded = load_network(target)
    assert loaded.known_answer is not None and loaded.known_answer.shape == (50, 54, 3)
    assert loaded.known_answer.std() > 0.01
    assert (loaded.spec.licence, loaded.spec.authors, loaded.spec.source) == ("MIT", "A", "m.pth")


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


def test_a_pickle_bomb_does_not_go_off(tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    torch.save({"model": {"sd": {"x": _Bomb(trace)}}}, tmp_path / "bomb.pth")
    with pytest.raises(ModelError, match="refused"):
        read_liif_checkpoint(tmp_path / "bomb.pth", "bomb")
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"PK\x03\x04" + bytes(50),
        pytest.param({"a": torch.zeros(2)}, id="no model"),
        pytest.param({"model": {"sd": {"encoder.conv.weight": torch.zeros(2)}}}, id="another encoder"),
        pytest.param({"model": {"sd": {"encoder.SFENet1.weight": torch.zeros(4, 3, 3, 3)}}}, id="half an RDN"),
        pytest.param({"model": {"sd": {"encoder.head.0.weight": torch.zeros(4, 3, 3, 3)}}}, id="half an EDSR"),
        pytest.param({"model": {"sd": [1, 2]}}, id="no tensors"),
        pytest.param({"model": {"sd": {"encoder.SFENet1.weight": torch.zeros(())}}}, id="scalar"),
    ],
)
def test_other_checkpoints_are_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ModelError, match=r"odd\.pth"):
        read_liif_checkpoint(path, "odd")


def test_liif_without_unfolding_is_named(small_edsr: Network, tmp_path: Path) -> None:
    tensors = dict(small_edsr.tensors)
    tensors["imnet.layers.0.weight"] = np.zeros((16, 16 + 4), np.float32)
    state = {k: torch.from_numpy(v) for k, v in tensors.items()}
    torch.save({"model": {"sd": state}}, tmp_path / "m.pth")
    with pytest.raises(ModelError, match="feature unfolding"):
        read_liif_checkpoint(tmp_path / "m.pth", "m")


def _file(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_damaged_files_are_refused(small_edsr: Network, tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    save_network(small_edsr, good)
    data = good.read_bytes()
    spec = small_edsr.spec.to_json()
    huge = {"x": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}
    cases = {
        "empty": b"",
        "text": b"not a model",
        "cut header": data[:100],
        "cut data": data[:-50],
        "header length": struct.pack("<Q", 2**60) + data[8:],
        "no specification": _file({"__metadata__": {}}),
        "bad specification": _file({"__metadata__": {SPEC_KEY: "{"}}),
        "no tensors": _file({"__metadata__": {SPEC_KEY: spec}}),
        "huge tensor": _file({"__metadata__": {SPEC_KEY: spec}, **huge}),
    }
    for name, content in cases.items():
        path = tmp_path / "bad.safetensors"
        path.write_bytes(content)
        with pytest.raises(ModelError) as error:
            load_network(path)
        assert "\n" not in str(error.value), name
    with pytest.raises(ModelError, match="can't be read"):
        load_network(tmp_path / "absent.safetensors")


def test_a_tampered_file_is_refused(small_edsr: Network, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_network(small_edsr, path)
    digest = sha256_of(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="sha256"):
        load_network(path, digest)


@pytest.mark.parametrize("entry", [e for e in load_manifest().values() if e.bundled], ids=lambda e: e.name)
def test_bundled_models_are_what_the_manifest_says(entry) -> None:
    path = weights_folder() / entry.file
    assert path.stat().st_size == entry.size
    network = load_network(path, entry.sha256)
    assert network.spec.name == entry.name and network.spec.licence == entry.licence
    assert network.known_answer is not None
    # Rounded activations are exact at the exact halo only, which is their default.
    assert (network.spec.halo is None) == bool(network.spec.compression and network.spec.compression.activations)
    with safe_open(path, "numpy") as file:
        assert network.spec.to_json() == file.metadata()[SPEC_KEY], "writing it again would change its sha256"
    assert (weights_folder() / entry.licence_file).is_file()
    assert (weights_folder() / f"{entry.name}.md").is_file(), "every bundled model has its card"
