"""Pictures that are large beside the cap: their pixels wait in a file, and the result is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_liif import job

from .pictures import contents


@pytest.fixture
def large() -> Path:
    """A picture of noise with holes; beside its numbers, the network's are small."""
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (700, 60, 4)).astype(np.uint8)
    pixels[100:400, 10:40, 3] = 0
    Image.fromarray(pixels).save("a.png")
    return Path("a.png")


@pytest.mark.parametrize("options", [[], ["--memory", "300MiB"]])
def test_the_same_picture_from_a_file(cli, large, monkeypatch, options):
    words = ["run", "a.png", "--scale", "1.5", "--json", "--quiet", *options]
    done = cli(*words, "-o", "b.png")
    assert done.objects[0]["temporary_bytes"] is None
    monkeypatch.setattr(job, "LARGEST_IN_MEMORY", 1000)
    if options:
        # as if the picture were large beside this cap
        monkeypatch.setattr(job, "MEMORY_SHARE", 10**7)
    done = cli(*words, "-o", "c.png")
    assert done.status == 0, done.stderr
    assert done.objects[0]["temporary_bytes"] == 700 * 60 * (4 + 3)
    assert set(contents(Path())) == {"a.png", "b.png", "c.png"}
    assert Path("b.png").read_bytes() == Path("c.png").read_bytes()


@pytest.mark.parametrize(("cap", "in_file"), [("400MiB", False), ("340MiB", True)])
def test_under_a_tight_cap_pixels_wait_in_a_file(cli, cap, in_file):
    Image.fromarray(np.zeros((4000, 4000, 3), np.uint8)).save("a.png")
    words = ["plan", "a.png", "--scale", "1.1", "--memory", cap]
    (plan,) = cli(*words, "--json").objects
    assert plan["temporary_bytes"] == (48_000_000 if in_file else None)
    assert plan["predicted_parts"]["input"] == (0 if in_file else 48_000_000)
    assert (b"its pixels in an unnamed file of 46 MiB in " in cli(*words).stdout) == in_file


def test_full_disk_is_found_before_work(refused, large, monkeypatch, small_disk):
    monkeypatch.setattr(job, "LARGEST_IN_MEMORY", 1000)
    small_disk("200k")
    line = refused("run", "a.png", "--scale", "1.5", "--quiet", "-o", "disk/b.png")
    assert "disk: the picture's pixels are kept in a file and need 0 MiB of temporary space here" in line
    assert "no space left on device" in line


def test_little_room_is_told_before_work(cli, picture, small_disk):
    picture("a.png", 64, 64)
    small_disk("60k")
    done = cli("run", "a.png", "--scale", "4", "-o", "disk/b.png", "--json")
    assert done.status == 0, done.stderr
    assert "disk has 0 MiB free, and this may take 0 MiB" in done.objects[0]["warnings"][0]
    lines = done.stderr.splitlines()
    told = next(n for n, line in enumerate(lines) if "disk has 0 MiB free" in line)
    assert told < next(n for n, line in enumerate(lines) if "done in" in line)
    assert done.stderr.count("disk has 0 MiB free") == 1
    assert not cli("run", "a.png", "--scale", "4", "-o", "b.png", "--json").objects[0]["warnings"]
