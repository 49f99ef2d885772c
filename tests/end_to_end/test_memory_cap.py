"""The cap holds, measured from outside: VmHWM of the whole process, with an empty cache and with a warm one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ..png import with_chunks


def peak_of(words: list[str], home: Path) -> int:
    """Peak resident bytes of `edge-liif WORDS`, read from /proc until it ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_liif", *words],
        env={**os.environ, "EDGE_LIIF_HOME": str(home)},
        stderr=subprocess.PIPE,
    )
    peak = 0
    while process.poll() is None:
        try:
            match = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        except OSError:
            break
        peak = max(peak, int(match[1]) * 1024 if match else 0)
        time.sleep(0.01)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return peak


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("precision", ["auto", "fp32"])
@pytest.mark.parametrize("mib", [280, 400])
def test_the_cap_holds(tmp_path: Path, precision: str, mib: int) -> None:
    import cv2

    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "in.png"), picture)
    words = ["run", str(tmp_path / "in.png"), "--scale", "2", "--memory", f"{mib}MiB", "--precision", precision]
    for number, state in enumerate(("cold", "warm")):
        peak = peak_of([*words, "-o", str(tmp_path / f"out{number}.png"), "--quiet"], tmp_path / "home")
        assert 100 * 2**20 < peak <= mib * 2**20, f"{state}: {peak / 2**20:.0f} MiB"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_the_cap_holds_for_a_batch_that_keeps_graphs(tmp_path: Path) -> None:
    """Small pictures of several sizes, whose graphs are kept, then one that needs nearly all of the cap."""
    import cv2

    generator, folder = np.random.default_rng(0), tmp_path / "in"
    folder.mkdir()
    for number, size in enumerate([(30, 30), (24, 32), (32, 24), (40, 24), (20, 20), (30, 30), (160, 200), (30, 30)]):
        cv2.imwrite(str(folder / f"{number}.png"), generator.integers(0, 256, (*size, 3), np.uint8))
    words = ["run", str(folder), "--scale", "2", "--engine", "openvino", "--quiet"]
    free = peak_of([*words, "-o", str(tmp_path / "free")], tmp_path / "home")
    cap = 280
    peak = peak_of([*words, "-o", str(tmp_path / "capped"), "--memory", f"{cap}MiB"], tmp_path / "home")
    assert peak <= cap * 2**20 < free, f"{peak / 2**20:.0f} MiB under the cap, {free / 2**20:.0f} MiB without"


def with_profile(path: Path, mib: int) -> None:
    """A small PNG whose colour profile unpacks to so many MiB."""
    import zlib

    import cv2

    png = cv2.imencode(".png", np.full((64, 64, 3), 90, np.uint8))[1].tobytes()
    head = (mib << 20).to_bytes(4, "big") + bytes(12) + b"RGB XYZ " + bytes(12) + b"acsp"
    profile = zlib.compress(head + bytes((mib << 20) - len(head)), 9)
    path.write_bytes(with_chunks(png, (b"iCCP", b"x\0\0" + profile)))


def with_layers(path: Path, mib: int) -> None:
    """A small TIFF with so many MiB in the field where layers are kept."""
    import tifffile

    layers = [(37724, 7, mib << 20, bytes(mib << 20), True)]
    tifffile.imwrite(path, np.full((64, 64, 3), 90, np.uint8), photometric="rgb", extratags=layers)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize(("make", "name"), [(with_profile, "in.png"), (with_layers, "in.tif")])
def test_the_cap_holds_whatever_comes_with_the_pixels(tmp_path: Path, make, name: str) -> None:
    make(tmp_path / name, 48)
    words = ["run", str(tmp_path / name), "--scale", "2", "-o", str(tmp_path / "out.png"), "--quiet", "--memory"]
    with pytest.raises(AssertionError, match="the smallest that does is --memory"):
        peak_of([*words, "300MiB"], tmp_path / "home")
    peak = peak_of([*words, "480MiB"], tmp_path / "home")
    assert 200 * 2**20 < peak <= 480 * 2**20, f"{peak / 2**20:.0f} MiB"
