"""What OpenVINO made of a graph: every layer it executes, in which precision, by which kernel, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Nodes that compute nothing.
_SILENT = {"Const", "Input", "Output"}


@dataclass(frozen=True)
class ExecutedLayer:
    """kind: OpenVINO's type of layer; precision: of what it computes with ("u8" and "i8" are integer kernels); kernel:
    its implementation; seconds: of the last inference, None where nobody measured."""

    graph: str
    kind: str
    precision: str
    kernel: str
    seconds: float | None


def executed_layers(graph: str, compiled: Any) -> list[ExecutedLayer]:
    """The layers of a compiled model in order of execution. Times need the option PERF_COUNT and an inference."""
    layers = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = node.get_rt_info()
        kind, precision, kernel, microseconds = (
            str(facts[key].astype(str)) for key in ("layerType", "runtimePrecision", "primitiveType", "execTimeMcs")
        )
        if kind not in _SILENT:
            seconds = int(microseconds) * 1e-6 if microseconds.isdigit() else None
            layers.append(ExecutedLayer(graph, kind, precision, kernel, seconds))
    return layers
