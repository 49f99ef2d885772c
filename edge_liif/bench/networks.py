"""Networks as files: the original of a model, and what a recipe makes of it, made once and kept."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..compress.frozen import path_of, pictures_digest
from ..compress.pipeline import compress, versions
from ..compress.real_pictures import with_photographs
from ..compress.recipe import Recipe
from ..model.checkpoint import Network, load_network, save_network
from ..model.convert import with_known_answer
from ..model.zoo import resolve, sha256_of
from .recipe import BenchRecipe
from .store import Store, code_version, key_of


@dataclass(frozen=True)
class NetworkFile:
    """path: the model file; sha256: of it; bytes: its size; fp32_bytes: of its parameters as float32; multiply_adds:
    per output pixel, by scale; integer: whether activations are; parent_sha256: of the file it was compressed from,
    None if it was not; sensitivity: share of the predicted loss by layer, {} if the method predicts none."""

    path: Path
    sha256: str
    bytes: int
    fp32_bytes: int
    multiply_adds: Mapping[float, float]
    integer: bool
    parent_sha256: str | None
    sensitivity: Mapping[str, float]


def network_file(model: str, recipe: BenchRecipe, scales: tuple[float, ...], store: Store) -> NetworkFile:
    """The file of a model after a recipe. Raises ModelError, UsageError."""
    resolved = resolve(model)
    if recipe.config is None:
        return _described(resolved.path, scales, {})
    pictures, source = None, None
    if recipe.calibrate_on is not None:
        pictures, source = _photographs(recipe.calibrate_on)
    network = load_network(resolved.path, resolved.sha256_expected)
    calibration = _frozen_digest(network) if pictures is None else pictures_digest(pictures)
    key = key_of("network", network.sha256, recipe.config.to_dict(), calibration, versions(), code_version())
    path, facts = store.path(key, ".safetensors"), store.get(key)
    if facts is None or not path.is_file() or sha256_of(path) != facts["sha256"]:
        facts = _compressed(network, recipe, pictures, source, path)
        facts["sha256"] = sha256_of(path)
        store.put(key, facts)
    return _described(path, scales, facts["sensitivity"])


@functools.lru_cache(maxsize=1)
def _photographs(folder: Path) -> tuple[Any, Any]:
    """Read once for all the recipes of a sweep that take them."""
    return with_photographs(Recipe(), [folder])


def _frozen_digest(network: Network) -> str:
    """Of the statistics on file that `compress` takes for this model; "synthetic" where there are none."""
    statistics = path_of(network.spec.name)
    return "synthetic" if statistics is None or not statistics.is_file() else sha256_of(statistics)


def _compressed(network: Network, recipe: BenchRecipe, pictures: Any, source: Any, path: Path) -> dict[str, Any]:
    assert recipe.config is not None
    told = recipe.config.method in ("lockstep", "moments") and recipe.config.statistics != "analytic"
    small, report = compress(network, recipe.config, pictures, source, layers=told)
    spec = replace(small.spec, name=f"{network.spec.name}-{recipe.name}".replace(":", "-"))
    save_network(with_known_answer(replace(small, spec=spec)), path)
    return {"sensitivity": {row.layer: row.share for row in report.layers or []}}


def _described(path: Path, scales: tuple[float, ...], sensitivity: Mapping[str, float]) -> NetworkFile:
    from ..compress.structure import multiply_adds

    network = load_network(path)
    spec = network.spec
    assert network.sha256 is not None
    compression = spec.compression
    return NetworkFile(
        path,
        network.sha256,
        path.stat().st_size,
        4 * spec.parameters,
        {scale: multiply_adds(spec, scale) / scale**2 for scale in scales},
        bool(compression and compression.activations),
        compression.parent_sha256 if compression else None,
        sensitivity,
    )
