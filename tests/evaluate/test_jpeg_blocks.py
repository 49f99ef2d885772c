"""benchmarks/jpeg_blocks.py: what it calls blocky."""

from __future__ import annotations

import numpy as np
import pytest

from edge_liif.evaluate.degrade import jpeg_coded
from edge_liif.evaluate.protocol import enlarge_bicubic
from tests.conftest import REPOSITORY


@pytest.fixture
def blocks(monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    import jpeg_blocks

    return jpeg_blocks


@pytest.mark.parametrize("block", [8, 16])
def test_steps_are_seen_on_the_grid_and_only_there(blocks, block):
    side = blocks.SCALE * block
    rows, columns = np.indices((4 * side, 6 * side))
    levels = 10.0 * (rows // side + columns // side)
    across, away = blocks.steps(levels, block)
    assert across == 10 and away == 0
    across, away = blocks.steps(10.0 * ((rows + side // 2) // side + (columns + side // 2) // side), block)
    assert across == 0 and away > 0


def test_noise_has_no_grid_until_it_is_coded(blocks):
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft2(rng.standard_normal((3, 256, 256)))
    frequency = np.hypot(*np.meshgrid(np.fft.rfftfreq(256), np.fft.fftfreq(256)))
    smooth = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / 256) ** 1.3).transpose(1, 2, 0)
    lr = np.clip(128 + 35 * smooth / smooth.std(), 0, 255).astype(np.uint8)

    def measured(picture: np.ndarray) -> tuple[float, float]:
        return blocks.blockiness([blocks.planes(enlarge_bicubic(picture, (768, 768)))])

    assert measured(lr) == pytest.approx((1, 1), abs=0.05)
    luma, colour = measured(jpeg_coded(lr, 10))
    assert luma > 1.2 and colour > 1.5
