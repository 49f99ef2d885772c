"""`compress`: from a network and a configuration to a smaller network and a report, without any data."""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ModelError, UsageError
from ..model.checkpoint import Network
from ..model.liif import float_columns
from ..model.quantization import Compression
from . import frozen, prune, scores
from .analytic import Analytic
from .config import CompressConfig
from .equalise import equalised
from .layer_table import LayerLoss, layer_table
from .lockstep import Bits, Lockstep
from .queries import Queries, random_queries
from .recipe import Recipe
from .statistics import Statistics
from .structure import multiply_adds, spec_of

Progress = Callable[[int, int, str], None]
# Of answers in -1..1.
SQUARED_PEAK = 4.0


@dataclass
class CompressReport:
    """What was done. multiply_adds: per LR pixel at the configuration's scale, (before, after); parameters: (before,
    after); bits: of all tensors as stored; widths: of the groups that were pruned; error: of each layer's output
    relative to its variance, on the calibration pictures, {} without any; predicted: PSNR in dB of the compressed
    network's answers (RGB, at the calibration pictures' queries, before the ensemble mixes four of them) to the
    original's, None without pictures or without a difference; statistics: "measured", "frozen" or "analytic"; layers:
    what each layer adds to the loss, if it was asked for; seconds: by stage."""

    method: str
    parameters: tuple[int, int]
    multiply_adds: tuple[float, float]
    bits: int
    widths: dict[str, tuple[int, int]]
    error: dict[str, float]
    predicted: float | None
    statistics: str
    layers: list[LayerLoss] | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compress(
    network: Network,
    config: CompressConfig,
    pictures: NDArray[np.uint8] | None = None,
    source: Any = "given pictures",
    progress: Progress | None = None,
    layers: bool = False,
    use_frozen: bool = True,
) -> tuple[Network, CompressReport]:
    """A smaller network with the same inputs and outputs.

    pictures: uint8 (n, h, w, 3) to measure statistics on; None makes synthetic ones (`calibration/default.toml`), which
    is what data-free means: never real ones. source: what the file says about the pictures. progress(layers done, all
    of them, the layer or stage that begins). layers: find out what each layer adds to the loss. use_frozen: statistics
    on file instead of measured ones, where there are some for this very network and configuration. Deterministic for a
    configuration, a network and versions. Raises UsageError for an impossible configuration, ModelError for a network
    that is compressed already.
    """
    if network.spec.compression is not None:
        raise ModelError(f"model {network.spec.name} is compressed already; compress the one it was made from")
    names = [name.removesuffix(".weight") for name in network.spec.tensor_shapes if name.endswith(".weight")]
    for pattern in config.keep:
        # the first convolution stays in float, whatever is asked for
        if not any(fnmatchcase(name, pattern) for name in names[1:]):
            floats = f" ({names[0]} stays in float)" if fnmatchcase(names[0], pattern) else ""
            raise UsageError(f"compression: keep {pattern!r} fits no layer{floats}; they are {names[1]} to {names[-1]}")
    analytic = config.statistics == "analytic"
    if analytic and (pictures is not None or layers):
        raise UsageError("compression: analytic statistics look at no pictures, and know no errors of layers")
    method = config.whole_method
    seconds: dict[str, float] = {}
    original = network
    done = 0

    def say(what: str) -> None:
        if progress is not None:
            progress(done, len(names), what)

    def step(layer: str) -> None:
        nonlocal done
        say(layer)
        done += 1

    equal = method.equalise if config.equalise is None else config.equalise
    if equal:
        network = equalised(network)
    known: Statistics | None = None
    lr: torch.Tensor | None = None
    if analytic:
        source = "analytic"
        queries = random_queries(1, 96, 96, config.queries, config.scale, config.seed)
    else:
        own = pictures is None
        if pictures is None:
            from .synthetic import synthesize

            say("calibration pictures")
            with _timed(seconds, "pictures"):
                pictures, source = synthesize(Recipe()), {"recipe": asdict(Recipe())}
        if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
            raise UsageError(f"calibration pictures must be uint8 (n, h, w, 3), not {pictures.dtype} {pictures.shape}")
        lr = _as_input(pictures)
        queries = _queries(lr, config)
        if own and use_frozen and not equal:
            known = _frozen(network, config, pictures)
    statistics = known
    if statistics is None and lr is not None:
        statistics = Statistics(network, lr, queries, config.seed)
    kept: dict[str, list[int]] = {}
    orders: Mapping[str, scores.Order] | None = None
    if config.prune:
        say("choosing channels")
        with _timed(seconds, "choosing channels"):
            if statistics is None:
                orders = scores.by_weights(network, method.score)
            else:
                orders = statistics.orders(method.score)
            kept = prune.choose(network, orders, config.prune, config.scale, config.multiple)
    bits = Bits(config.weight_bits, config.activation_bits, config.margin, config.channel_scales, config.keep)
    run: Lockstep
    with _timed(seconds, "layers"):
        if lr is None:
            run = Analytic(network, kept, method, bits, step)
            run.run_without_pictures(queries)
        else:
            run = Lockstep(network, kept, method, bits, step, account=layers)
            run.run(lr, queries)
    say("done")
    tensors = {name: np.ascontiguousarray(run.tensors[name].float().numpy()) for name in network.tensors}
    spec = spec_of(original.spec, {name: t.shape for name, t in tensors.items()})
    compression = Compression(
        method=config.method,
        config={**config.to_dict(), "calibration": source},
        parent_sha256=identity(original),
        seed=config.seed,
        versions=versions(),
        weights=run.weights,
        activations=run.activations,
    )
    result = Network(replace(spec, compression=compression, parent_sha256=identity(original), halo=None), tensors)
    origin = "analytic" if analytic else "measured" if known is None else "frozen"
    report = _report(original, result, config, run, kept, origin, seconds)
    if layers and statistics is not None:
        say("layer table")
        with _timed(seconds, "layer table"):
            report.layers = layer_table(run, statistics.sensitivity, orders if method.score == "damage" else None, kept)
    return result, report


def versions() -> dict[str, str]:
    """Of the packages that a compressed network depends on."""
    return {p: importlib.metadata.version(p) for p in ("edge-liif", "torch", "torchao", "numpy")}


def freeze(network: Network, path: Path) -> None:
    """Measure the statistics of a network with the default configuration, and write them where `compress` finds them:
    `calibration/NAME.safetensors`."""
    from .synthetic import synthesize

    config = CompressConfig(weight_bits=8)
    pictures = synthesize(Recipe())
    lr = _as_input(pictures)
    frozen.write(
        path, Statistics(network, lr, _queries(lr, config), config.seed), _measured_on(network, config, pictures)
    )


def _as_input(pictures: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32)) / 127.5 - 1


def _queries(lr: torch.Tensor, config: CompressConfig) -> Queries:
    return random_queries(len(lr), lr.shape[2], lr.shape[3], config.queries, config.scale, config.seed)


def _measured_on(network: Network, config: CompressConfig, pictures: NDArray[np.uint8]) -> frozen.MeasuredOn:
    return frozen.MeasuredOn(
        identity(network),
        frozen.pictures_digest(pictures),
        asdict(Recipe()),
        float(config.scale),
        config.queries,
        config.seed,
    )


def _frozen(network: Network, config: CompressConfig, pictures: NDArray[np.uint8]) -> Statistics | None:
    path = frozen.path_of(network.spec.name)
    return None if path is None else frozen.read(path, network, _measured_on(network, config, pictures))


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - begin


def identity(network: Network) -> str:
    """sha256 of the file a network came from or, if it came from none, of its tensors."""
    if network.sha256:
        return network.sha256
    digest = hashlib.sha256()
    for name in sorted(network.tensors):
        digest.update(name.encode() + np.ascontiguousarray(network.tensors[name]).tobytes())
    return digest.hexdigest()


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
    statistics: str,
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
        10 * math.log10(SQUARED_PEAK / run.distance) if run.distance else None,
        statistics,
        seconds=seconds,
    )
