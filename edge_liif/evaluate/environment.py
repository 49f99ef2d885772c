"""Facts about the machine and the installed packages, to print beside measurements. No framework is imported for it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("edge-liif", "numpy", "pillow", "scikit-image", "opencv-python-headless", "openvino", "torch")
NOT_INSTALLED = "not installed"


def environment_facts() -> dict[str, str]:
    """CPU model, logical cores, system, Python version and the version of every package that shapes a measurement.

    Versions are read from the packages' metadata; one that is absent is "not installed".
    """
    facts = {
        "cpu": cpu_model(),
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


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return NOT_INSTALLED
