"""What a training run is told: the tables of its TOML file, and how they are read and overridden."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import tomllib
from batches import Jpeg


@dataclass(frozen=True)
class Shape:
    """encoder: "rdn" or "edsr"; heads: name of a network to hidden widths of its MLP, trained together on one
    encoder."""

    heads: dict[str, list[int]]
    encoder: str = "rdn"
    blocks: int = 8
    convs: int = 6
    growth: int = 32


@dataclass(frozen=True)
class Start:
    """method: "random", "weights" (model: a name or file; {head} in it is each head's name),
    "exact" or "compressed" (the RDN begins as the EDSR `model`; see start.py). pictures: LR patches for
    "compressed". centre:
    convolutions read their inputs less the means on the first batch (same function, steadier steps)."""

    method: str = "random"
    model: str = ""
    pictures: int = 32
    seed: int = 0
    centre: bool = False


@dataclass(frozen=True)
class Data:
    """See Batches."""

    batch: int = 16
    patch: int = 48
    queries: int = 1152
    scales: tuple[float, float] = (1.0, 4.0)
    detail: float = 0.7
    seed: int = 1


@dataclass(frozen=True)
class Schedule:
    """rate: Adam's, after `warmup` steps, then by a cosine to zero; decoder: factor on it for the MLP; ema: decay of
    the averaged weights; clip: largest gradient norm. minutes: if not 0, iterations are set from the speed of the first
    steps so that the run takes that long. compile: torch.compile of the encoder."""

    iterations: int = 4000
    rate: float = 2e-4
    warmup: int = 50
    decoder: float = 0.25
    ema: float = 0.999
    clip: float = 1.0
    minutes: float = 0.0
    compile: bool = False


@dataclass(frozen=True)
class Teacher:
    """A model whose features on the clean LR are matched (relative L1 times `weight`, fading to 0 at `until` of the
    run; above 1 it never does). keep: least weight for patches that JPEG left alone, which doesn't fade: they hold the
    network where it was on clean pictures. pixels: weight of the L1 of pixels beside it; at 0 the decoder is left
    alone. answers: for patches that JPEG left alone, the share (0..1) of the teacher's own colours in what the pixels
    shall be: they hold what the network answers, whatever its features."""

    model: str = ""
    weight: float = 0.0
    until: float = 0.6
    keep: float = 0.0
    pixels: float = 1.0
    answers: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.answers <= 1:
            raise SystemExit(f"train: teacher.answers is {self.answers}; it is a share from 0 to 1")
        if self.answers and not self.pixels:
            raise SystemExit("train: teacher.answers is about pixels; give teacher.pixels a weight too")


@dataclass(frozen=True)
class Loss:
    """L1 of RGB, and `colour` times the L1 of the two colour differences Cb and Cr (BT.601, full range) beside it: in
    R, G and B the error of the brightness decides the sign where it is the larger one, whatever the colour is."""

    colour: float = 0.0

    def __post_init__(self) -> None:
        if self.colour < 0:
            raise SystemExit(f"train: loss.colour is {self.colour}; it is 0 or more")


@dataclass(frozen=True)
class Report:
    """log every so many steps; checkpoint and validation at theirs. qualities: 0 is clean LR, else JPEG."""

    log: int = 20
    checkpoint: int = 100
    validate: int = 200
    scale: float = 3.0
    qualities: list[int] = field(default_factory=lambda: [0])
    limit: int = 6


@dataclass(frozen=True)
class Config:
    shape: Shape
    start: Start = field(default_factory=Start)
    data: Data = field(default_factory=Data)
    jpeg: Jpeg = field(default_factory=Jpeg)
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=Loss)
    teacher: Teacher = field(default_factory=Teacher)
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        if self.loss.colour and not self.teacher.pixels:
            raise SystemExit("train: loss.colour is about pixels; give teacher.pixels a weight too")

    @staticmethod
    def from_dict(tables: dict[str, Any]) -> Config:
        """Raises SystemExit for a table or key that doesn't exist: a misspelt setting must not train with a default."""
        kinds = {"shape": Shape, "start": Start, "data": Data, "jpeg": Jpeg, "loss": Loss}
        kinds |= {"schedule": Schedule, "teacher": Teacher, "report": Report}
        parts = {}
        for name, table in tables.items():
            if name not in kinds:
                raise SystemExit(f"train: there is no table [{name}]; there are {', '.join(kinds)}")
            known = {f.name for f in fields(kinds[name])}
            if unknown := table.keys() - known:
                raise SystemExit(f"train: [{name}] has no key {min(unknown)!r}; it has {', '.join(sorted(known))}")
            parts[name] = kinds[name](**{k: tuple(v) if k in {"scales", "quality"} else v for k, v in table.items()})
        if "shape" not in parts:
            raise SystemExit("train: the configuration needs a table [shape]")
        return Config(**parts)


def read_config(path: Path, overrides: list[str]) -> Config:
    tables = tomllib.loads(path.read_text())
    for override in overrides:
        name, _, value = override.partition("=")
        table, _, key = name.partition(".")
        if not key or not value:
            raise SystemExit(f"train: --set {override!r} is not TABLE.KEY=VALUE")
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        tables.setdefault(table, {})[key] = parsed
    return Config.from_dict(tables)
