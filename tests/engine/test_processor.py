"""Which levels kernels find for signed values, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edge_liif.engine.processor import shifts_signed_levels
from edge_liif.engine.simulated import levels_of
from edge_liif.model.quantization import ActivationQuantization


@pytest.mark.parametrize(
    ("flags", "ceiling", "shifts"),
    [
        ("avx512f avx512_vnni amx_int8", "", False),
        ("avx512f avx512_vnni amx_int8", "ALL", False),
        ("avx512f avx512_vnni amx_int8", "avx512_core_amx", False),
        ("avx512f avx512_vnni amx_int8", "AVX512_CORE_VNNI", True),
        ("avx2 avx512_vnni", "", True),
        (None, "", True),
    ],
)
def test_amx_alone_takes_signed_levels_as_they_are(flags, ceiling, shifts, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", ceiling)
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"model name\t: some\nflags\t\t: fpu {flags} sse\n")
    shifts_signed_levels.cache_clear()
    assert shifts_signed_levels(cpuinfo) == shifts
    shifts_signed_levels.cache_clear()


def test_a_shift_moves_only_what_lies_in_the_middle() -> None:
    quantization = ActivationQuantization(0.013, 8, True)
    x = torch.randn(1, 4, 300, 300, generator=torch.Generator().manual_seed(0)) * 0.5
    shifted, plain = (levels_of(x, quantization, 1, shifted=shifted) for shifted in (True, False))
    differ = shifted != plain
    middle = (x / 0.013 - 0.5 - (x / 0.013 - 0.5).round()).abs()
    assert 0 < differ.sum() < 20
    assert (middle[differ] < 1e-4).all()
    assert shifted.dtype == plain.dtype == torch.int8 and plain.min() >= -128


def test_the_end_of_the_range_is_a_level() -> None:
    for shifted in (True, False):
        found = levels_of(torch.tensor([[-9.0, 9.0, 0.0]]), ActivationQuantization(0.01, 8, True), 1, shifted)
        assert found.tolist() == [[-128, 127, 0]]
