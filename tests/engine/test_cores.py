"""Processors as containers are given them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_liif.engine import cores
from edge_liif.engine.base import TileShape
from edge_liif.engine.cores import cpu_quota, usable_cpus
from edge_liif.engine.openvino import OpenVINOEngine
from edge_liif.model.checkpoint import Network

V1 = "9:name=systemd:/\n4:memory:/box\n2:cpu,cpuacct:/box/inner\n"


def files(folder: Path, **texts: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    ("membership", "limits", "expected"),
    [
        ("0::/\n", {".": {"cpu__max": "200000 100000\n"}}, 2.0),
        ("0::/\n", {".": {"cpu__max": "max 100000\n"}}, None),
        ("0::/a/b\n", {"a": {"cpu__max": "150000 100000\n"}, "a/b": {"cpu__max": "max 100000\n"}}, 1.5),
        ("0::/a/b\n", {"a": {"cpu__max": "400000 100000\n"}, "a/b": {"cpu__max": "50000 100000\n"}}, 0.5),
        ("0::/a\n", {}, None),
        (V1, {"cpu,cpuacct/box": {"cpu__cfs_quota_us": "300000\n", "cpu__cfs_period_us": "100000\n"}}, 3.0),
        # in a container: the path it is told is not there, the top is its own
        (V1, {"cpu": {"cpu__cfs_quota_us": "250000\n", "cpu__cfs_period_us": "100000\n"}}, 2.5),
        (V1, {"cpu,cpuacct": {"cpu__cfs_quota_us": "-1\n", "cpu__cfs_period_us": "100000\n"}}, None),
        ("0::/\n", {".": {"cpu__max": "lots\n"}}, None),
        ("0::/\n", {".": {"cpu__max": "100000 0\n"}}, None),
        ("0::/../../etc\n", {".": {"cpu__max": "100000 100000\n"}}, 1.0),
        ("nonsense\n\n", {}, None),
    ],
)
def test_quota(membership: str, limits: dict, expected: float | None, tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text(membership)
    for folder, texts in limits.items():
        files(tmp_path / "mounted" / folder, **texts)
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "mounted") == expected


def test_no_control_groups(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "cgroup", tmp_path) is None


@pytest.mark.skipif(
    usable_cpus() != os.cpu_count() or usable_cpus() == 1, reason="this process has not all processors, or one only"
)
@pytest.mark.parametrize(("threads", "quota", "expected"), [(None, None, None), (None, 1.0, 1), (1, None, 1)])
def test_openvino_chooses_where_it_may(
    threads: int | None, quota: float | None, expected: int | None, small_edsr: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many threads as it takes by itself, unless told or given less time than the machine has."""
    monkeypatch.setattr(cores, "cpu_quota", lambda: quota)
    engine = OpenVINOEngine(small_edsr, threads=threads, cache=False)
    assert engine._options.get("INFERENCE_NUM_THREADS") == expected
    engine.prepare(TileShape(9, 9, 20, 20))
    taken = engine._encode.get_compiled_model().get_property("INFERENCE_NUM_THREADS")
    assert taken == expected if expected else 1 <= taken <= usable_cpus()


@pytest.mark.parametrize(("quota", "expected"), [(None, 4), (0.2, 1), (1.0, 1), (1.5, 2), (4.0, 4), (1000.0, 4)])
def test_usable(quota: float | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 5}, raising=False)
    assert usable_cpus() == expected
