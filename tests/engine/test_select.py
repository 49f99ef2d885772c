"""Selection: wrong engines are out, the fastest right one is taken, and the reason is said."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_liif.engine import select
from edge_liif.engine.select import Check, candidates, check, choose
from edge_liif.errors import EngineError
from edge_liif.model.checkpoint import Network
from edge_liif.upscaler import load


@pytest.fixture(scope="module")
def network() -> Network:
    return load("edsr-baseline-liif").network


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_LIIF_HOME", str(tmp_path))


def test_a_wrong_result_disqualifies(network: Network) -> None:
    assert network.known_answer is not None
    moved = replace(network, known_answer=network.known_answer + 0.01, sha256="other")
    result = check(moved, "openvino", "cpu", "fp32")
    assert (
        not result.passed and result.error == pytest.approx(0.01, rel=0.01) and "wrong result" in (result.reason or "")
    )
    with pytest.raises(EngineError, match=r"no engine passed its self-check.*wrong result"):
        choose(moved, "openvino", "fp32")


def test_integers_may_move_single_pixels_far_but_not_all_of_them() -> None:
    small = load("edsr-baseline-liif-int8").network
    assert small.known_answer is not None
    one, all_of_them = small.known_answer.copy(), small.known_answer + 0.06
    one[3, 4] += 0.1
    assert check(replace(small, known_answer=one, sha256="one"), "openvino", "cpu", "int8").passed
    wrong = check(replace(small, known_answer=all_of_them, sha256="all"), "openvino", "cpu", "int8")
    assert not wrong.passed and "typically by 0.06" in (wrong.reason or "")


def test_a_result_that_is_not_finite_disqualifies(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_liif.engine.openvino import OpenVINOEngine

    good = OpenVINOEngine.decode
    monkeypatch.setattr(OpenVINOEngine, "decode", lambda *a: good(*a) * np.nan)
    assert not check(network, "openvino", "cpu", "fp32").passed


def _pretend(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], wrong: tuple[str, ...] = ()) -> None:
    def pretended(network: Network, engine: str, device: str, precision: str, *rest: object, **more: object) -> Check:
        reason = "wrong result" if precision in wrong else None
        return Check(engine, device, precision, 1e-6, seconds[precision], reason)

    monkeypatch.setattr(select, "check", pretended)
    monkeypatch.setattr(
        select, "candidates", lambda *a, **k: [("openvino", "cpu", "bf16"), ("openvino", "cpu", "fp32")]
    )


def test_the_fastest_right_one_is_taken(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, {"bf16": 1.0, "fp32": 2.0})
    choice = choose(network)
    assert choice.engine.precision == "bf16" and "fp32 2.000 s" in choice.why
    _pretend(monkeypatch, {"bf16": 3.0, "fp32": 2.0})
    assert choose(network).engine.precision == "fp32"
    _pretend(monkeypatch, {"bf16": 1.0, "fp32": 2.0}, wrong=("bf16",))
    assert choose(network).engine.precision == "fp32"


def test_a_moment_of_noise_is_not_cached(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"bf16": [9.0, 1.0], "fp32": [2.0, 2.1]}

    def measured(network: Network, engine: object, *rest: object) -> Check:
        precision = engine.precision  # type: ignore[attr-defined]
        return Check("openvino", "cpu", precision, 1e-6, times[precision].pop(0))

    monkeypatch.setattr(select, "_measure", measured)
    monkeypatch.setattr(
        select, "candidates", lambda *a, **k: [("openvino", "cpu", "bf16"), ("openvino", "cpu", "fp32")]
    )
    for _ in range(2):  # the second time from the cache: the lists are empty
        choice = choose(network)
        assert choice.engine.precision == "bf16" and "1.000 s a tile (others: fp32 2.000 s)" in choice.why


def test_sixteen_bits_are_computed_in_fp32(network: Network) -> None:
    choice = choose(network, "openvino", exact_colours=True)
    assert choice.engine.precision == "fp32" and "16 bits" in choice.why


def test_answers_are_cached_per_model(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = check(network, "openvino", "cpu", "fp32")
    monkeypatch.setattr(select, "_measure", lambda *a: pytest.fail("measured again"))
    assert check(network, "openvino", "cpu", "fp32") == first
    monkeypatch.undo()
    monkeypatch.setenv("EDGE_LIIF_HOME", str(tmp_path))
    monkeypatch.setattr(
        select, "_measure", lambda n, e, beat: Check(e.name, e.device, e.precision, 0.5, None, "measured")
    )
    assert check(replace(network, sha256="another file"), "openvino", "cpu", "fp32").reason == "measured"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"k": 3}', None])
def test_a_damaged_cache_is_ignored(network: Network, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "cache" / "selfcheck.json"
    path.parent.mkdir()
    if content is None:
        assert check(network, "openvino", "cpu", "fp32").passed
        known = json.loads(path.read_text())
        content = json.dumps({key: {"engine": 3} for key in known})
    path.write_text(content)
    assert check(network, "openvino", "cpu", "fp32").passed


def test_impossible_wishes_are_explained(network: Network) -> None:
    with pytest.raises(EngineError, match=r"no device 'gpu'|precision"):
        choose(network, "openvino", device="gpu")
    with pytest.raises(EngineError, match=r"no CUDA|not installed"):
        choose(network, "torch", device="cuda")


def test_a_file_without_a_known_answer_is_explained(network: Network) -> None:
    with pytest.raises(EngineError, match=r"known answer"):
        choose(replace(network, known_answer=None, sha256="x"), "openvino", "fp32")


def test_openvino_is_chosen_without_importing_torch() -> None:
    code = (
        "import sys; from edge_liif.upscaler import load; import numpy as np;"
        "u = load(); u(np.zeros((9, 9, 3), np.uint8), scale=2);"
        "print(u.choice(False).engine.name, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["openvino", "False"]


def test_candidates_follow_the_options() -> None:
    assert all(c[0] == "torch" for c in candidates("torch"))
    assert candidates("openvino", "cpu", "fp32") == [("openvino", "cpu", "fp32")]
    assert candidates("openvino", "cuda") == []


def test_a_device_that_only_torch_has_is_asked_of_torch(network: Network) -> None:
    with pytest.raises(EngineError, match=r"torch sees no Apple GPU|not installed"):
        choose(network, device="mps")
