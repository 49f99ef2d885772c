"""LPIPS: what the authors' package is given, and what is said where it is not there. No test has its weights."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from edge_liif.errors import EngineError
from edge_liif.evaluate import lpips as module

torch = pytest.importorskip("torch")


class Stand(torch.nn.Module):
    """In the place of the network: mean absolute difference, and it keeps what it was given."""

    def __init__(self, net: str, verbose: bool) -> None:
        super().__init__()
        self.given: list = []

    def forward(self, one, other):
        self.given[:] = [one, other]
        return (one - other).abs().mean()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> list[Stand]:
    made: list[Stand] = []

    def make(**options) -> Stand:
        made.append(Stand(**options))
        return made[-1]

    fake = types.ModuleType("lpips")
    fake.LPIPS = make  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lpips", fake)
    monkeypatch.setattr(module, "lpips_version", lambda: "0.1.4")
    return made


def test_pictures_come_as_the_package_wants_them(package: list[Stand]) -> None:
    distance = module.open_lpips()
    assert not package[0].training
    levels = np.zeros((20, 30, 3), np.uint8)
    levels[..., 1], levels[:2] = 255, 77
    floats = np.where(levels == 255, 1.5, 0.25).astype(np.float32)
    assert distance(levels, floats, 2) == pytest.approx(2 * 0.25 * 2 / 3)
    one, other = package[0].given
    assert one.shape == other.shape == (1, 3, 16, 26) and one.dtype == other.dtype == torch.float32
    assert one[0, :, 0, 0].tolist() == [-1, 1, -1], "levels are -1..1, channels first, the border gone"
    assert other[0, :, 0, 0].tolist() == [-0.5, 1, -0.5], "floats are clamped"
    assert distance(levels, levels, 0) == 0


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, package: list[Stand]) -> None:
    def no_network(**_):
        raise OSError("no route to host")

    monkeypatch.setattr(sys.modules["lpips"], "LPIPS", no_network)
    with pytest.raises(EngineError, match=r"no route to host.*AlexNet's weights"):
        module.open_lpips()
    monkeypatch.setattr(module, "lpips_version", lambda: None)
    with pytest.raises(EngineError, match=r"edge-liif\[lpips\]"):
        module.open_lpips()
