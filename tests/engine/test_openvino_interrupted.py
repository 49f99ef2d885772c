"""Ctrl-C while a large window is computed: the request is stopped between two layers, and usable again."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from edge_liif.engine import openvino
from edge_liif.engine.base import TileShape
from edge_liif.engine.select import open_engine
from edge_liif.geometry import axis_queries
from edge_liif.upscaler import load

SIDE = 400  # more than a second in fp32 on two cores, a tenth of it at the least on any machine


class Stopped(Exception):
    """What the signal handler raises."""


def test_a_window_is_not_finished_after_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "SIGNAL_MILLISECONDS", 10)  # a fast machine is done in 100
    engine = open_engine(load("edsr-baseline-liif").network, "openvino", "fp32", "cpu")
    axis = axis_queries(SIDE, SIDE, 0, 8)
    engine.prepare(TileShape(SIDE, SIDE, axis.evaluations, axis.evaluations))
    black, noise = np.zeros((2, 1, 3, SIDE, SIDE), np.float32)
    noise[:] = np.random.default_rng(0).random(noise.shape)
    finished = np.array(engine.encode(noise).data)
    before = np.array(engine.encode(black).data)

    def stop(*_) -> None:
        raise Stopped

    kept = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Stopped):
            engine.encode(noise)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept)
    left = np.array(engine._encode.get_output_tensor().data)
    assert np.array_equal(left, before), "the window was computed to its end"
    assert np.array_equal(engine.encode(noise).data, finished)
