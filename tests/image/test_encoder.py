"""What waits for the encoder is bounded in bytes, and nobody waits for an encoder that has ended."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from edge_liif.image.encoder import MOST_WAITING, EncoderThread, EncodingFailed, Metadata
from edge_liif.image.formats import check_output
from edge_liif.image.png_stream import PngEncoder

WIDTH, HEIGHT = 1000, 4000


class Blocked:
    """A sink that takes nothing until it is let."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def write(self, data: bytes) -> int:
        self.open.wait()
        return len(data)

    def read(self, count: int) -> bytes:
        return b""

    def seek(self, offset: int, whence: int) -> int:
        return 0


def opened(sink: Blocked) -> tuple[EncoderThread, PngEncoder]:
    plan = check_output("png", WIDTH, HEIGHT, 3, 8, None)
    encoder = EncoderThread(plan, sink, {"compression": 0}, Metadata())
    png = PngEncoder(WIDTH, HEIGHT, 3, 8)
    encoder.put(png.start())
    return encoder, png


def feed(encoder: EncoderThread, png: PngEncoder, given: list[int]) -> None:
    """Rows in pieces of 30 kB until all are given."""
    for _ in range(HEIGHT // 10):
        if data := png.rows(np.zeros((10, WIDTH, 3), np.uint8)):  # empty bytes mark the end
            encoder.put(data)
        given.append(30_000)


def test_small_pieces_wait_within_the_bound_and_go_on() -> None:
    sink = Blocked()
    encoder, png = opened(sink)
    given: list[int] = []
    feeder = threading.Thread(target=feed, args=(encoder, png, given))
    feeder.start()
    feeder.join(timeout=2)
    assert feeder.is_alive() and encoder._waiting <= MOST_WAITING, "12 MB, and nobody takes them"
    assert sum(given) > MOST_WAITING // 2, "more than two small pieces may wait"
    sink.open.set()
    feeder.join(timeout=60)
    assert not feeder.is_alive() and sum(given) == 3 * WIDTH * HEIGHT
    encoder.put(png.end())
    encoder.finish()


def test_one_piece_larger_than_the_bound_passes() -> None:
    sink = Blocked()
    sink.open.set()
    encoder, png = opened(sink)
    encoder.put(png.rows(np.zeros((HEIGHT, WIDTH, 3), np.uint8)))
    encoder.put(png.end())
    encoder.finish()


def test_whoever_waits_is_told_when_it_is_aborted() -> None:
    sink = Blocked()
    encoder, png = opened(sink)
    told: list[EncodingFailed] = []

    def wait() -> None:
        try:
            feed(encoder, png, [])
        except EncodingFailed as failure:
            told.append(failure)

    feeder = threading.Thread(target=wait)
    feeder.start()
    feeder.join(timeout=1)
    assert feeder.is_alive()
    sink.open.set()
    encoder.abort()
    feeder.join(timeout=60)
    assert not feeder.is_alive() and told


@pytest.mark.parametrize("times", [1, 2])
def test_aborting_twice_is_no_harm(times: int) -> None:
    sink = Blocked()
    sink.open.set()
    encoder, _ = opened(sink)
    for _ in range(times):
        encoder.abort()
    with pytest.raises(EncodingFailed):
        encoder.put(b"x")
