"""Memory that really runs out (an address-space limit): smaller tiles, the same picture, or one clear error."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

# Argument: engine, and MiB of address space that the process may still take once the engine stands (0: no limit).
WORKER = """
import hashlib, json, re, resource, sys
import numpy as np
from edge_liif.errors import EngineError, OutOfMemory
from edge_liif.tiling.plan import Job, plan_for_core
from edge_liif.tiling.run import RunLog
from edge_liif.upscaler import load

picture = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
upscaler = load(engine=sys.argv[1], precision="fp32", halo="exact")
engine = upscaler.choice(False).engine
upscaler(picture[:40, :40], scale=2)
if sys.argv[2] != "0":
    status = open("/proc/self/status").read()
    limit = int(re.search(r"VmSize:\\s+(\\d+)", status)[1]) * 1024 + int(sys.argv[2]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
plan = plan_for_core(Job(300, 300, 600, 600, 3, 1), engine.memory, 36, (300, 300))
log, digest = RunLog(), hashlib.sha256()
try:
    for rows in upscaler.rows(picture, plan, None, log):
        digest.update(rows.tobytes())
    print(json.dumps(["done", log.splits, digest.hexdigest()]))
except (EngineError, OutOfMemory) as error:
    print(json.dumps(["refused", log.splits, str(error)]))
"""


def outcome(engine: str, spare: int) -> list:
    words = [sys.executable, "-c", WORKER, engine, str(spare)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-500:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS and /proc")
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_smaller_tiles_and_the_same_picture(engine: str) -> None:
    free = outcome(engine, 0)
    assert free[:2] == ["done", 0] and len(free[2]) == hashlib.sha256().digest_size * 2
    for spare in (250, 200, 160, 130, 100, 80, 60, 45):
        state, splits, result = outcome(engine, spare)
        if state == "done":
            assert result == free[2], "a tile that failed left something behind"
            if splits:
                return
        else:
            assert splits > 0 and "\n" not in result
    pytest.fail("no limit was tight enough to need smaller tiles and loose enough to allow them")
