"""Ctrl-C while a large window is computed: the engine stops between two layers, and is usable again."""

from __future__ import annotations

import contextlib
import gc
import signal
import subprocess
import sys
import weakref
from typing import Any

import numpy as np
import pytest

from edge_liif.engine import openvino
from edge_liif.engine.base import Engine, TileShape
from edge_liif.engine.select import open_engine
from edge_liif.errors import EngineFailure, OutOfMemory
from edge_liif.geometry import axis_queries
from edge_liif.upscaler import load

SIDE = 400  # more than a second in fp32 on two cores, a tenth of it at the least on any machine


class Stopped(Exception):
    """What the signal handler raises."""


def opened(name: str) -> Engine:
    engine = open_engine(load("edsr-baseline-liif").network, name, "fp32", "cpu")
    axis = axis_queries(SIDE, SIDE, 0, 8)
    engine.prepare(TileShape(SIDE, SIDE, axis.evaluations, axis.evaluations))
    return engine


def stop_in_the_middle(engine: Engine, window: np.ndarray) -> None:
    """Encode, and have a signal handler raise after 20 ms."""

    def stop(*_) -> None:
        raise Stopped

    kept = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Stopped):
            engine.encode(window)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept)


def windows() -> tuple[np.ndarray, np.ndarray]:
    black, noise = np.zeros((2, 1, 3, SIDE, SIDE), np.float32)
    noise[:] = np.random.default_rng(0).random(noise.shape)
    return black, noise


def test_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "SIGNAL_MILLISECONDS", 10)  # a fast machine is done in 100
    engine = opened("openvino")
    black, noise = windows()
    finished = np.array(engine.encode(noise).data)
    before = np.array(engine.encode(black).data)
    stop_in_the_middle(engine, noise)
    left = np.array(engine._encode.get_output_tensor().data)
    assert np.array_equal(left, before), "the window was computed to its end"
    assert np.array_equal(engine.encode(noise).data, finished)


TWO_ENGINES = """
import signal
from edge_liif.engine.select import known_answer_error, open_engine
from edge_liif.upscaler import load

network = load("edsr-baseline-liif").network
engines = [open_engine(network, "openvino", "fp32", "cpu") for _ in range(2)]
for engine in engines:
    known_answer_error(network, engine)
del engine
engines.pop(0)
engines.pop(0)
signal.signal(signal.SIGALRM, lambda *_: print("handled"))
signal.raise_signal(signal.SIGALRM)
"""


def test_a_signal_after_two_openvino_engines_is_survived() -> None:
    """Opened and closed in turn; OpenVINO left a stack for signal handlers that was gone."""
    done = subprocess.run([sys.executable, "-c", TWO_ENGINES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


class Watched:
    """A session that says how its run ended."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.ended: list[Any] = []

    def io_binding(self) -> Any:
        return self.session.io_binding()

    def run_with_iobinding(self, *words: Any) -> None:
        try:
            self.session.run_with_iobinding(*words)
            self.ended.append("finished")
        except Exception as error:
            self.ended.append(str(error))
            raise


def test_onnx() -> None:
    pytest.importorskip("onnxruntime")
    engine = opened("onnx")
    engine._encoder = watched = Watched(engine._encoder)
    _, noise = windows()
    finished = np.array(engine.encode(noise).numpy())
    stop_in_the_middle(engine, noise)
    assert np.array_equal(engine.encode(noise).numpy(), finished)
    assert watched.ended[::2] == ["finished", "finished"]
    assert "terminate" in watched.ended[1], "the window was computed to its end"


def test_a_failed_onnx_run_holds_nothing() -> None:
    """Before tiles are halved, what the failed one took must be gone, and not only when cycles are collected."""
    pytest.importorskip("onnxruntime")
    engine = opened("onnx")

    class Failing(Watched):
        def run_with_iobinding(self, binding: Any, options: Any) -> None:
            self.ended.append(weakref.ref(binding))
            raise RuntimeError("bad allocation")

    engine._encoder = failing = Failing(engine._encoder)
    gc.disable()
    try:
        with contextlib.suppress(EngineFailure, OutOfMemory):
            engine.encode(windows()[0])
        assert failing.ended and failing.ended[0]() is None
    finally:
        gc.enable()
