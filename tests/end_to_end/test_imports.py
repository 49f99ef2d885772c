"""What is loaded for what: help needs nothing heavy, and a run with OpenVINO never needs torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "openvino", "cv2", "pyvips", "numpy", "PIL", "skimage", "onnx", "onnxruntime")
SPY = """
import json, sys
from pathlib import Path
try:
    {code}
finally:
    Path("loaded.json").write_text(json.dumps(sorted(sys.modules)))
"""


def loaded(code: str) -> set[str]:
    """Modules that are loaded after `code` ran in a process of its own."""
    done = subprocess.run([sys.executable, "-c", SPY.format(code=code)], capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return set(json.loads(Path("loaded.json").read_text()))


@pytest.mark.parametrize(
    "code",
    [
        "import edge_liif",
        "from edge_liif.cli import main; main(['--help'])",
        "from edge_liif.cli import main; main(['--version'])",
        "from edge_liif.cli import main; main(['run', '--help'])",
        "from edge_liif.cli import main; main(['export', '--help'])",
    ],
)
def test_nothing_heavy_for_words(code):
    heavy = set(HEAVY) - ({"numpy"} if "cli" in code else set())
    assert not heavy & loaded(code)


def test_a_command_is_imported_alone():
    modules = loaded("from edge_liif.cli import main; main(['run', '--help'])")
    assert "edge_liif.cli.run" in modules
    assert not {"edge_liif.cli.compress", "edge_liif.cli.bench", "edge_liif.cli.models"} & modules
    assert "edge_liif.cli.bench" in loaded("from edge_liif.cli import main; main(['--help'])")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_run_with_openvino_is_torch_free(picture, command):
    picture("a.png", mode="RGBA")
    modules = loaded(f"from edge_liif.cli import main; main(['{command}', 'a.png', '--scale', '2'])")
    assert {"openvino", "pyvips"} <= modules
    assert not {"torch", "PIL", "skimage", "matplotlib", "onnx", "onnxruntime"} & modules
    assert not {"openvino_telemetry", "urllib.request"} & modules, "OpenVINO's converters came along"
    assert Path("a_x2.png").exists() is (command == "run")


def test_the_spy_sees_torch_when_it_is_there(picture):
    pytest.importorskip("torch")
    picture("a.png")
    arguments = ["run", "a.png", "--scale", "2", "--engine", "torch", "--precision", "fp32"]
    assert "torch" in loaded(f"from edge_liif.cli import main; main({arguments!r})")


def test_timed_peers_start_alone(here):
    """A process of the lab is timed from its start, and its memory is: it loads what it enlarges with."""
    pytest.importorskip("PIL")
    code = "import sys, io; sys.stdin = io.StringIO(''); from edge_liif.bench.timed import main; "
    code += "main(['peer:bicubic (PIL)', '', '', '2', '32', '32', '1'])"
    modules = loaded(code)
    assert "PIL" in modules and not {"torch", "openvino", "onnx", "onnxruntime", "nncf"} & modules
