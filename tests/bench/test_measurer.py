"""Quality by several processes: the same scores in the same order, failures told, no process left."""

from __future__ import annotations

import cv2
import pytest

pytest.importorskip("torchao")

from edge_liif.bench.measurer import measurer
from edge_liif.bench.quality import Pictures
from edge_liif.errors import EngineError, ModelError
from edge_liif.evaluate.datasets import Dataset
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


def test_processes_measure_what_one_does(pictures, networks):
    reference, point = networks
    bicubic = ("peer:bicubic (PIL)", "", "")
    done = []
    with measurer(pictures, 1, 2, False) as measure:
        alone = [measure(words, reference, lambda: None) for words in (bicubic, point)]
    with measurer(pictures, 3, 2, False) as measure:
        together = [measure(words, reference, lambda: done.append(1)) for words in (bicubic, point)]
        processes = [process for process, _ in measure._processes]
    assert together == alone and len(done) == 10
    assert [(s["dataset"], s["image"]) for s in alone[0]] == [(d, f"{k}.png") for k, d in enumerate("aaabb")]
    assert len({s["psnr_y"] for s in alone[1]}) == 5 and all(s["fidelity"] for s in alone[1])
    assert len(processes) == 3 and not any(process.is_alive() for process in processes)


def test_a_point_that_fails_leaves_the_others(pictures, networks):
    reference, point = networks

    def kill():
        measure._processes[0][0].kill()

    with measurer(pictures, 2, 2, False) as measure:
        with pytest.raises(EngineError, match="was ended"):
            measure(point, reference, kill)
        with pytest.raises(ModelError, match="absent"):
            measure(("absent.safetensors", "openvino", "fp32"), reference, lambda: None)
        assert len(measure(point, reference, lambda: None)) == 5


def test_no_more_processes_than_pictures_and_none_where_one_will_do(pictures):
    with measurer(pictures, None, 3, False) as measure:  # three cores: one process, this one
        assert not hasattr(measure, "_processes")
    with measurer(pictures, 9, 2, False) as measure:
        assert len(measure._arguments) == 5 and not measure._processes, "started when something is to be measured"
