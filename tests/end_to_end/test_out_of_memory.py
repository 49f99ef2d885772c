"""Memory that really runs out (an address-space limit): smaller tiles, the same picture, or one clear error."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import sys
from pathlib import Path

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


pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS and /proc")


@pytest.mark.parametrize("engine", ["openvino", "torch", "onnx"])
def test_smaller_tiles_and_the_same_picture(engine: str) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(engine, engine))
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


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_run_with_little_memory(engine, command, picture) -> None:
    """The whole command: a limit is looked for under which it must cut its tiles and then ends well."""
    pytest.importorskip({"onnx": "onnxruntime"}.get(engine, engine))
    import resource

    picture("a.png", 300, 300)
    words = ("run", "a.png", "--scale", "2", "--engine", engine, "--precision", "fp32", "--json", "-o")
    assert command(*words, "whole.png").status == 0

    def limit(mebibytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))

    low, high, target = 0, 2400, Path("limited.png")
    while high - low > 10:
        middle = (low + high) // 2
        done = command(*words, target.name, preexec_fn=functools.partial(limit, middle))
        if done.status == 0:
            assert target.read_bytes() == Path("whole.png").read_bytes()
            target.unlink()
            if "done again" in str(done.objects[0]["warnings"]):
                return
            high = middle
        else:
            assert not target.exists()
            low = middle
    pytest.fail("no limit was tight enough to need smaller tiles and loose enough to allow them")
