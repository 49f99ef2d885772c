"""`edge-liif doctor`: which engines are here, what the CPU can do, and whether each engine is right."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Annotated

import typer

_PACKAGES = (
    *("edge-liif", "openvino", "torch", "torchao", "onnx", "onnxruntime"),
    *("numpy", "pyvips", "opencv-python-headless", "safetensors"),
)


def doctor(
    model: Annotated[str | None, typer.Option(help="Model to check with; the default one if not given.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default what suits the machine.")] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Every layer that OpenVINO executes: its precision, kernel and time.")
    ] = False,
    precision: Annotated[str, typer.Option(help="With --layers: auto, or which one.")] = "auto",
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Versions, CPU features, and a self-check of every engine and precision on one tile."""
    from ..engine.registry import UNNAMED
    from ..engine.select import TIMED_SCALE, TIMED_SIDE, candidates_for, check
    from ..evaluate.environment import cpu_features, cpu_model
    from ..model.checkpoint import load_network
    from ..model.zoo import cache_home, default_model, models_home, resolve

    resolved = resolve(model or default_model())
    network = load_network(resolved.path, resolved.sha256_expected)
    if layers:
        from .doctor_layers import print_layers

        return print_layers(network, precision, threads, json_output)
    options = [option for engine in UNNAMED for option in candidates_for(network, engine)]
    checks = [check(network, *option, threads, cache=False) for option in options]
    features = cpu_features()
    packages = {name: _version(name) for name in _PACKAGES}
    facts = {
        "cpu": cpu_model(),
        "features": features,
        "packages": packages,
        "models_folder": str(models_home()),
        "cache_folder": str(cache_home()),
        "model": network.spec.name,
        "checks": [vars(c) | {"passed": c.passed} for c in checks],
    }
    if json_output:
        print(json.dumps(facts, indent=2))
        return int(not any(c.passed for c in checks))
    print(f"CPU       {facts['cpu']} ({', '.join(features) or 'no known features'})")
    for name, version in packages.items():
        print(f"{name:24} {version or 'not installed'}")
    print(f"models in {facts['models_folder']}, caches in {facts['cache_folder']}")
    print(f"\nself-check with {network.spec.name}: error against the stored fp32 answer, seconds for a")
    print(f"{TIMED_SIDE}x{TIMED_SIDE} tile at x{TIMED_SCALE}")
    print("| engine | device | precision | error (of full scale) | seconds | verdict |\n|---|---|---|---|---|---|")
    for c in checks:
        error = "" if c.error is None else f"{c.error:.1e}"
        seconds = "" if c.seconds is None else f"{c.seconds:.3f}"
        print(f"| {c.engine} | {c.device} | {c.precision} | {error} | {seconds} | {c.reason or 'good'} |")
    return int(not any(c.passed for c in checks))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
