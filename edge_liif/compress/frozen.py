"""Statistics of a bundled model on file, so that they need not be measured again: `calibration/NAME.safetensors`.

They fit one network, one recipe, one scale and one seed, and nothing else: a file says what it was measured on, and is
passed over wherever that differs. `calibration/freeze.py` makes it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ModelError
from .scores import Order
from .statistics import Range, Statistics

# Counts up when what is stored, or how it is measured, changes.
FORMAT = 1
_KEY = "edge_liif_statistics"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_RANGE = ("mean", "variance", "lowest", "highest")


@dataclass(frozen=True)
class MeasuredOn:
    """network: sha256 of the model's file; pictures: sha256 of their bytes; recipe: what they were made by; scale,
    queries, seed: as in `CompressConfig`."""

    network: str
    pictures: str
    recipe: dict[str, Any]
    scale: float
    queries: int
    seed: int
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def pictures_digest(pictures: NDArray[np.uint8]) -> str:
    """sha256 of shape and bytes, so that another way of painting the same recipe is noticed."""
    return hashlib.sha256(repr(pictures.shape).encode() + np.ascontiguousarray(pictures).tobytes()).hexdigest()


class FrozenStatistics(Statistics):
    """Read from a file instead of measured."""

    def __init__(
        self,
        network: Any,
        sensitivity: Mapping[str, torch.Tensor],
        damage: Mapping[str, Order],
        ranges: Mapping[str, Range],
    ) -> None:
        self._network = network
        self._sensitivity, self._damage, self._ranges = sensitivity, damage, ranges


def write(path: Path, statistics: Statistics, measured_on: MeasuredOn) -> None:
    """Measure what is not measured yet, and write it all. The same statistics give the same bytes."""
    from safetensors.torch import save

    tensors: dict[str, torch.Tensor] = {}
    for name, value in statistics.sensitivity.items():
        tensors[f"sensitivity/{name}"] = value.float()
    for name, order in statistics.damage.items():
        assert order.costs is not None
        tensors[f"channels/{name}"] = torch.tensor(order.channels, dtype=torch.int16)
        tensors[f"costs/{name}"] = torch.tensor(order.costs, dtype=torch.float64)
    for name, found in statistics.ranges.items():
        for part in _RANGE:
            tensors[f"{part}/{name}"] = getattr(found, part).float()
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    path.write_bytes(save(tensors, {_KEY: measured_on.to_json()}))


def read(path: Path, network: Any, measured_on: MeasuredOn) -> FrozenStatistics | None:
    """The statistics in a file, or None if there is none, or if it was measured on anything else.

    Raises ModelError if the file says that it fits and does not.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get(_KEY) != measured_on.to_json():
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        # whatever it is, measuring does without it
        return None
    try:
        layers = [name.removesuffix(".weight") for name in network.spec.tensor_shapes if name.endswith(".weight")]
        producers = [name.removeprefix("channels/") for name in tensors if name.startswith("channels/")]
        return FrozenStatistics(
            network,
            {name: tensors[f"sensitivity/{name}"] for name in layers},
            {p: Order(tensors[f"channels/{p}"].tolist(), tensors[f"costs/{p}"].tolist()) for p in producers},
            {name: Range(*(tensors[f"{part}/{name}"] for part in _RANGE)) for name in layers},
        )
    except KeyError as error:
        raise ModelError(f"{path}: lacks {error}; make it again with calibration/freeze.py") from error


def path_of(name: str) -> Path | None:
    """Where the statistics of a model of this name would lie; None where there is no such folder."""
    package = Path(__file__).parents[1]
    for folder in (package / "calibration", package.parent / "calibration"):  # in a wheel; in the repository
        if folder.is_dir() and _NAME.fullmatch(name):
            return folder / f"{name}.safetensors"
    return None
