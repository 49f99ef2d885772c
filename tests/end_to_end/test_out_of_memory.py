"""Memory that really runs out (an address-space limit): smaller tiles, the same picture, or one clear error."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
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


# The command under a limit of bytes (0: none), and at its end the most address space that it took, in KiB.
COMMAND = """
import re, resource, sys
if limit := int(sys.argv.pop(1)):
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from edge_liif.cli import _status
status = _status(sys.argv[1:])
print(re.search(r"VmPeak:\\s+(\\d+)", open("/proc/self/status").read())[1])
sys.exit(status)
"""


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_run_with_little_memory(engine, picture) -> None:
    """The whole command, with ever less address space: its tiles are cut and it ends well, before it can't any more."""
    pytest.importorskip({"onnx": "onnxruntime"}.get(engine, engine))
    picture("a.png", 300, 300)
    words = ["--scale", "2", "--engine", engine, "--precision", "fp32", "--threads", "2", "--halo", "exact"]

    def run(target: str, limit: int = 0) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-c", COMMAND, str(limit), "run", "a.png", *words, "--json", "-o", target]
        return subprocess.run(call, capture_output=True, text=True, timeout=120)

    assert run("warm.png").returncode == 0
    whole = run("whole.png")
    peak = int(whole.stdout.splitlines()[-1]) * 1024
    for share in np.arange(0.97, 0.4, -0.03):
        target = Path(f"limited-{share:.2f}.png")
        done = run(target.name, int(share * peak))
        if done.returncode:
            assert not target.exists()
            continue
        assert target.read_bytes() == Path("whole.png").read_bytes()
        if "done again" in str(json.loads(done.stdout.splitlines()[0])["warnings"]):
            return
    pytest.fail("no limit was tight enough to need smaller tiles and loose enough to allow them")
