"""`compress`: from a network and a configuration to a smaller network and a report, without any data."""

from __future__ import annotations

import hashlib
import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ModelError, UsageError
from ..model.checkpoint import Network
from ..model.liif import float_columns
from ..model.quantization import Compression
from . import prune, scores
from .config import CompressConfig
from .equalise import equalised
from .lockstep import Bits, Lockstep
from .methods import METHODS
from .queries import Queries, random_queries
from .sensitivity import sensitivities
from .structure import multiply_adds, spec_of

# Pictures that sensitivities are measured on; more change the second digit.
SENSITIVITY_PICTURES = 4
Progress = Callable[[int, int, str], None]


@dataclass
class CompressReport:
    """What was done. multiply_adds: per LR pixel at the configuration's scale, (before, after); parameters: (before,
    after); bits: of all tensors as stored; widths: of the groups that were
    pruned; error: of each layer's output relative to its variance, on the calibration pictures; seconds: by stage."""

    method: str
    parameters: tuple[int, int]
    multiply_adds: tuple[float, float]
    bits: int
    widths: dict[str, tuple[int, int]]
    error: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compress(
    network: Network,
    config: CompressConfig,
    pictures: NDArray[np.uint8] | None = None,
    source: Any = "given pictures",
    progress: Progress | None = None,
) -> tuple[Network, CompressReport]:
    """A smaller network with the same inputs and outputs.

    pictures: uint8 (n, h, w, 3) to measure statistics on; None makes synthetic ones (`calibration/default.toml`), which
    is what data-free means: never real ones. source: what the
    file says about the pictures. progress(done, total, layer). Deterministic for a configuration, a network
    and versions. Raises UsageError for an impossible configuration, ModelError for a network that is compressed
    already.
    """
    if network.spec.compression is not None:
        raise ModelError(f"model {network.spec.name} is compressed already; compress the one it was made from")
    if pictures is None:
        from .recipe import Recipe
        from .synthetic import synthesize

        pictures, source = synthesize(Recipe()), {"recipe": asdict(Recipe())}
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
        raise UsageError(f"calibration pictures must be uint8 (n, h, w, 3), not {pictures.dtype} {pictures.shape}")
    method = METHODS[config.method]
    seconds: dict[str, float] = {}
    original = network
    equal = method.equalise if config.equalise is None else config.equalise
    if equal:
        network = equalised(network)
    lr = torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32)) / 127.5 - 1
    queries = random_queries(len(lr), lr.shape[2], lr.shape[3], config.queries, config.scale, config.seed)
    kept: dict[str, list[int]] = {}
    if config.prune:
        begin = time.perf_counter()
        kept = prune.choose(
            network, _orders(network, method.score, lr, queries, config), config.prune, config.scale, config.multiple
        )
        seconds["choosing channels"] = time.perf_counter() - begin
    begin = time.perf_counter()
    layers = sum(name.endswith(".weight") for name in network.tensors)
    done = 0

    def step(name: str) -> None:
        nonlocal done
        if progress is not None:
            progress(done, layers, name)
        done += 1

    bits = Bits(config.weight_bits, config.activation_bits, config.margin, config.channel_exponents)
    run = Lockstep(network, kept, method, bits, step)
    run.run(lr, queries)
    if progress is not None:
        progress(layers, layers, "done")
    seconds["layers"] = time.perf_counter() - begin
    tensors = {name: np.ascontiguousarray(run.tensors[name].float().numpy()) for name in network.tensors}
    spec = spec_of(original.spec, {name: t.shape for name, t in tensors.items()})
    compression = Compression(
        method=config.method,
        config={**config.to_dict(), "calibration": source},
        parent_sha256=identity(original),
        seed=config.seed,
        versions={p: importlib.metadata.version(p) for p in ("edge-liif", "torch", "torchao", "numpy")},
        weights=run.weights,
        activations=run.activations,
    )
    result = Network(replace(spec, compression=compression, parent_sha256=identity(original), halo=None), tensors)
    return result, _report(original, result, config, run, kept, seconds)


def identity(network: Network) -> str:
    """sha256 of the file a network came from or, if it came from none, of its tensors."""
    if network.sha256:
        return network.sha256
    digest = hashlib.sha256()
    for name in sorted(network.tensors):
        digest.update(name.encode() + np.ascontiguousarray(network.tensors[name]).tobytes())
    return digest.hexdigest()


def _orders(
    network: Network, score: str, lr: torch.Tensor, queries: Queries, config: CompressConfig
) -> dict[str, scores.Order]:
    if score == "damage":
        few = slice(0, SENSITIVITY_PICTURES)
        part = replace(queries, cell=queries.cell[few], offset=queries.offset[few], size=queries.size[few])
        return scores.by_damage(network, lr, queries, sensitivities(network, lr[few], part, config.seed))
    if score == "energy":
        return scores.by_energy(network, lr, queries)
    return scores.by_weights(network, score)


def _bits(name: str, tensor: NDArray[np.float32], bits: int) -> int:
    """Bits of a quantized weight in its file: levels, a scale per row, columns that stay float."""
    loose = len(tensor) * float_columns(name)
    return (tensor.size - loose) * bits + 32 * (len(tensor) + loose)


def _report(
    original: Network,
    result: Network,
    config: CompressConfig,
    run: Lockstep,
    kept: dict[str, list[int]],
    seconds: dict[str, float],
) -> CompressReport:
    stored = sum(
        _bits(name, t, run.weights[name].bits) if name in run.weights else t.size * 32
        for name, t in result.tensors.items()
    )
    widths = {p: (len(original.tensors[f"{p}.weight"]), len(channels)) for p, channels in kept.items()}
    return CompressReport(
        config.method,
        (original.spec.parameters, result.spec.parameters),
        (multiply_adds(original.spec, config.scale), multiply_adds(result.spec, config.scale)),
        stored,
        widths,
        dict(run.errors),
        seconds,
    )
