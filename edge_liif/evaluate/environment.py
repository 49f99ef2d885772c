"""Facts about the machine and the installed packages, to print beside measurements. No framework is imported for it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = (
    *("edge-liif", "numpy", "pillow", "scikit-image", "opencv-python-headless"),
    *("openvino", "onnxruntime", "torch", "torchao"),
)
NOT_INSTALLED = "not installed"
FEATURES = (
    *("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"),
    *("asimd", "asimddp", "i8mm", "bf16"),
)
"""Instruction sets that decide how fast, and with which rounding, small products run, as Linux calls them."""


def environment_facts() -> dict[str, str]:
    """CPU model and features, logical cores, system, and the versions of Python and of every package that shapes a
    measurement.

    Versions are read from the packages' metadata; one that is absent is "not installed".
    """
    facts = {
        "cpu": cpu_model(),
        "cpu features": " ".join(cpu_features()) or "unknown",
        "logical cores": str(os.cpu_count() or "unknown"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    return facts | {package: _version(package) for package in PACKAGES}


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's own name from `cpuinfo`, else (not Linux, or an ARM kernel that doesn't tell) what Python knows."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for key in ("model name", "Model"):
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == key and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Those of FEATURES that the CPU has; none where the system doesn't tell."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    flags = {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()}
    return [feature for feature in FEATURES if feature in flags]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return NOT_INSTALLED
