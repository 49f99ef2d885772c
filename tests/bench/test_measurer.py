"""Quality by several processes: the same scores in the same order, failures told, no process left."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torchao")

from edge_liif.bench.enlargers import enlarger
from edge_liif.bench.measurer import measurer
from edge_liif.bench.quality import Pictures, measure
from edge_liif.errors import EngineError, ModelError
from edge_liif.evaluate.datasets import Dataset
from edge_liif.evaluate.protocol import enlarge_bicubic, evaluate
from edge_liif.model.checkpoint import save_network
from edge_liif.model.convert import with_known_answer


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, photograph) -> Pictures:
    """Five of them in two sets; twelve rows apart, no two alike."""
    folder = tmp_path_factory.mktemp("data")
    paths = [folder / f"{k}.png" for k in range(5)]
    for k, path in enumerate(paths):
        cv2.imwrite(str(path), photograph[12 * k : 12 * k + 48, :60])
    return Pictures([Dataset("a", paths[:3]), Dataset("b", paths[3:])], 2.0, "pil", None)


@pytest.fixture(scope="module")
def networks(tmp_path_factory, small_edsr, small_rdn) -> tuple[tuple[str, str, str], ...]:
    folder = tmp_path_factory.mktemp("networks")
    words = []
    for network in (small_edsr, small_rdn):
        path = folder / f"{network.spec.name}.safetensors"
        save_network(with_known_answer(network), path)
        words.append((str(path), "openvino", "fp32"))
    return tuple(words)


def nothing() -> None:
    pass


BICUBIC = ("peer:bicubic (PIL)", "", "")


def test_processes_measure_what_one_does(pictures, networks):
    tasks = [(BICUBIC, networks[0]), (networks[1], networks[0]), (BICUBIC, networks[1]), (networks[0], None)]
    done = []
    with measurer(pictures, 1, 1, False) as measure:
        alone = [measure(*task, nothing) for task in tasks]
    with measurer(pictures, 2, 2, False) as measure:
        together = [measure(*task, lambda: done.append(1)) for task in tasks]
        processes = [process for process, _ in measure.running.values()]
    assert together == alone and len(done) == 5 * len(tasks)
    assert [(s["dataset"], s["image"]) for s in alone[0]] == [(d, f"{k}.png") for k, d in enumerate("aaabb")]
    assert len({s["psnr_y"] for s in alone[1]}) == 5 and alone[0][0]["fidelity"] != alone[2][0]["fidelity"]
    assert len(processes) == 2 and not any(process.is_alive() for process in processes)


@pytest.mark.parametrize("scale", [2.0, 2.7])
def test_scores_are_those_of_evaluate(pictures, networks, scale):
    scaled = replace(pictures, scale=scale)
    enlarge = enlarger(*networks[0], None)
    rows = evaluate({"network": enlarge}, scaled.datasets, [scale])
    ours = [row for row in rows if row.method == "network"]
    expected = {row.dataset: [(s.image, s.psnr_y, s.ssim_y) for s in row.images] for row in ours}
    found = measure(enlarge, None, scaled, nothing)
    for dataset, images in expected.items():
        assert [(s["image"], s["psnr_y"], s["ssim"]) for s in found if s["dataset"] == dataset] == images


@pytest.mark.parametrize("kind", ["not a number", "another size"])
def test_a_useless_result_is_the_failure_of_its_point(pictures, kind):
    def enlarge(lr, size):
        full = np.full((*size, 3), np.nan if kind == "not a number" else 0.5, np.float32)
        return full if kind == "not a number" else full[1:]

    with pytest.raises(EngineError, match=r"0\.png: "):
        measure(enlarge, None, pictures, nothing)
    with pytest.raises(EngineError, match=r"0\.png, uncompressed network: "):
        measure(enlarge_bicubic, enlarge, pictures, nothing)


def test_a_point_that_fails_leaves_the_others(pictures, networks):
    with measurer(pictures, 2, 2, False) as measure:
        with pytest.raises(ModelError, match="absent"):
            measure(("absent.safetensors", "openvino", "fp32"), None, nothing)
        with pytest.raises(RuntimeError, match=r"KeyError.*nobody"):
            measure(("peer:nobody", "", ""), None, nothing)
        expected = measure(BICUBIC, None, nothing)
        for _ in range(2):  # a process that ended while nothing was asked of it is not waited for
            measure.running[1][0].kill()
            measure.running[1][0].join()
            with pytest.raises(EngineError, match=r"ended with status -9 \(killed"):
                measure(BICUBIC, None, nothing)
            assert measure(BICUBIC, None, nothing) == expected

        def stop():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            measure(BICUBIC, networks[0], stop)
        assert not measure.running
        assert measure(BICUBIC, None, nothing) == expected, "not what was left of the one before"


def test_how_many_processes(pictures):
    def count(jobs: int | None, threads: int) -> int:
        with measurer(pictures, jobs, threads, False) as measure:
            return len(getattr(measure, "shares", [measure]))

    assert [count(None, threads) for threads in (1, 7, 8, 64)] == [1, 1, 2, 5]
    assert [count(9, 16), count(3, 2), count(2, 16)] == [5, 2, 2]


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="cores can't be parted here"
)
def test_each_has_cores_of_its_own_and_hears_no_interrupt(pictures):
    mine = os.sched_getaffinity(0)
    with measurer(pictures, 2, 2, False) as measure:
        measure(BICUBIC, None, nothing)
        numbers = [process.pid for process, _ in measure.running.values()]
        theirs = [os.sched_getaffinity(number) for number in numbers]
        blocked = [Path(f"/proc/{number}/status").read_text().split("SigBlk:")[1].split()[0] for number in numbers]
    assert os.sched_getaffinity(0) == mine
    assert theirs[0] and not theirs[0] & theirs[1] and theirs[0] | theirs[1] <= mine
    assert all(int(mask, 16) >> (signal.SIGINT - 1) & 1 for mask in blocked)
