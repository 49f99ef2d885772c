"""A second tile takes what the first one gave back, in every engine: the plan counts the memory of one tile."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_liif.engine.registry import ENGINES, UNNAMED

CODE = """
import json, sys
import numpy as np
from edge_liif.memory import peak_resident_bytes, use_one_heap
use_one_heap()
from edge_liif.engine.select import open_engine
from edge_liif.model.checkpoint import random_network
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from edge_liif.tiling.plan import Job, plan_for_core
from edge_liif.tiling.run import Plane, render
from edge_liif.upscaler import window_reader

def store(colour):
    return (colour.clip(0, 1) * 255).astype(np.uint8)

# many features for its weights, so that the tile is most of the memory
network = random_network(ModelSpec("t", RDNSpec.uniform(2, 4, 32), DecoderSpec((64, 64))), seed=0)
engine = open_engine(network, sys.argv[1], "fp32", "cpu")
picture = np.random.default_rng(0).integers(0, 256, (840, 300, 3), np.uint8)
plan = plan_for_core(Job(840, 300, 2520, 900, 3, 1, picture.nbytes), engine.memory, 16, (280, 300))
plane = Plane(window_reader(picture, slice(0, 3)), store, slice(0, 3))
peaks, done = [], 0
for rows in render(plan, engine, [plane], np.uint8):
    done += len(rows)
    if done in {840, 1680, 2520}:
        peaks.append(peak_resident_bytes())
print(json.dumps([plan.peak_bytes, *peaks]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize("engine", UNNAMED)
def test_later_tiles_take_no_more(engine: str) -> None:
    if not ENGINES[engine].installed:
        pytest.skip(f"{engine} is not installed")
    done = subprocess.run([sys.executable, "-c", CODE, engine], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    planned, *peaks = json.loads(done.stdout)
    assert len(peaks) == 3
    assert peaks[-1] <= planned
    assert peaks[-1] - peaks[0] < 0.2 * planned
