"""Runs that are stopped in the middle: nothing half-made under the result's name, and the next run finishes."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import COMMAND
from .pictures import contents, size

# Tall and narrow: the first rows come early, and most of the work is still to be done then.
ARGUMENTS = ["run", "a.png", "--scale", "6"]


@pytest.fixture
def in_the_middle(picture) -> Callable[..., subprocess.Popen[str]]:
    """A run that has begun to write its result and has seconds to go."""
    picture("a.png", 24, 4000)

    def start(*prefix: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([*prefix, *COMMAND, *ARGUMENTS], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not any(contents(Path(), ".*.part").values()):
            assert process.poll() is None, "it ended too early"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return process

    return start


def test_killed(in_the_middle, cli, picture):
    process = in_the_middle()
    process.kill()
    process.communicate()
    left = set(contents(Path())) - {"a.png"}
    assert "a_x6.png" not in left
    assert len(left) == 1  # the unfinished file
    picture("a.png", 20, 12)  # a smaller one, so that the rest of this test is quick
    done = cli(*ARGUMENTS, "--resume")
    assert done.status == 0, done.stderr
    assert size("a_x6.png") == (120, 72)
    assert set(contents(Path())) == {"a.png", "a_x6.png"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(in_the_middle, number):
    process = in_the_middle()
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "edge-liif: interrupted; nothing half-written was left"
    assert "Traceback" not in told
    assert set(contents(Path())) == {"a.png"}


def test_impatience_does_not_stop_the_tidying_up(in_the_middle):
    process = in_the_middle()
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
        if process.poll() is not None:
            break
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert set(contents(Path())) == {"a.png"}


def test_hangup_is_ignored_where_it_should_be(in_the_middle):
    process = in_the_middle("nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_running_neighbour_keeps_its_unfinished_file(in_the_middle, cli, picture):
    process = in_the_middle()
    part = next(Path().glob(".*.part"))
    try:
        picture("b.png")
        assert cli("run", "b.png", "--scale", "2", "-o", "a_x6.png").status == 0
        assert part.exists()
    finally:
        process.kill()
        process.communicate()
