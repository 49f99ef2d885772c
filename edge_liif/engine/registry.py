"""The engines there are: one entry each, which the command line, the self-check, `doctor` and the lab read.

Light: an engine's framework is imported when the engine is opened or asked for its devices.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model.checkpoint import Network
    from .base import Engine

Way = tuple[str, str]
"""Device and precision."""


@dataclass(frozen=True)
class EngineEntry:
    """packages: what must be importable; install: what `pip install` is told otherwise; version_of: the distribution
    whose version decides about kernels; open: network, precision, device, threads to an engine (raises EngineError for
    what it has not); ways: what it can execute here, likely fastest first, of networks compressed to integer
    activations if `integer`, in floats else; simulates: precisions that it computes for accuracy's sake and not for
    speed, so that they are never chosen unless asked for; by_name_only: it is never tried unless it is named."""

    packages: tuple[str, ...]
    install: str
    version_of: str
    open: Callable[[Network, str, str, int | None], Engine]
    ways: Callable[[bool], list[Way]]
    simulates: tuple[Way, ...] = ()
    by_name_only: bool = False

    @property
    def installed(self) -> bool:
        return all(importlib.util.find_spec(package) is not None for package in self.packages)


def _open_openvino(network: Network, precision: str, device: str, threads: int | None) -> Engine:
    from .openvino import OpenVINOEngine

    return OpenVINOEngine(network, precision, device, threads)


def _openvino_ways(integer: bool) -> list[Way]:
    from .openvino_core import core

    found = []
    for kind in core().available_devices:
        name = kind.split(".")[0]
        if name not in {"CPU", "GPU"}:
            continue
        capabilities = core().get_property(kind, "OPTIMIZATION_CAPABILITIES")
        if integer:
            found.append((name.lower(), "int8"))
        halves = ("fp16",) if name == "GPU" else ("bf16",)
        found += [(name.lower(), p) for p in halves if p.upper() in capabilities]
        found.append((name.lower(), "fp32"))
    return found


def _open_torch(network: Network, precision: str, device: str, threads: int | None) -> Engine:
    if precision == "int8":
        from .simulated import SimulatedEngine

        return SimulatedEngine(network, threads)
    from .torch import TorchEngine

    return TorchEngine(network, precision, device, threads)


def _open_compiled(network: Network, precision: str, device: str, threads: int | None) -> Engine:
    from .torch_compiled import CompiledTorchEngine

    return CompiledTorchEngine(network, precision, device, threads)


def _torch_ways(integer: bool) -> list[Way]:
    import torch

    found = []
    if torch.cuda.is_available():
        found += [("cuda", p) for p in ("bf16", "fp16", "fp32")]
    if torch.backends.mps.is_available():
        found += [("mps", p) for p in ("fp16", "fp32")]
    return [*found, ("cpu", "bf16"), ("cpu", "fp32")]


def _open_onnx(network: Network, precision: str, device: str, threads: int | None) -> Engine:
    from .onnx import ONNXEngine

    return ONNXEngine(network, precision, device, threads)


def _onnx_ways(integer: bool) -> list[Way]:
    from .onnx import devices

    return [(device, precision) for device in devices() for precision in (("int8",) if integer else ()) + ("fp32",)]


ENGINES = {
    "openvino": EngineEntry(("openvino",), "openvino", "openvino", _open_openvino, _openvino_ways),
    "torch": EngineEntry(("torch",), "'edge-liif[torch]'", "torch", _open_torch, _torch_ways, (("cpu", "int8"),)),
    "torch-compiled": EngineEntry(
        ("torch",), "'edge-liif[torch]'", "torch", _open_compiled, _torch_ways, by_name_only=True
    ),
    "onnx": EngineEntry(("onnx", "onnxruntime"), "'edge-liif[onnx]'", "onnxruntime", _open_onnx, _onnx_ways),
}
UNNAMED = [name for name, entry in ENGINES.items() if not entry.by_name_only]
"""Engines that may be tried without being named."""
