"""What is measured: models x recipes x scales x engines x precisions, on which pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..evaluate.datasets import Downsample
from ..options import check_choice
from ..toml_file import read_toml
from .recipe import ORIGINAL, BenchRecipe, parse_recipe, recipe_of

DEFAULT_RECIPES = (ORIGINAL, "w8a8", "p25-w8a8", "p45-w8a8", "w4a8", "p50-w4a8")


@dataclass(frozen=True)
class Sweep:
    """models: names or files; engines, precisions: as `run` has them, `int8` for recipes with integer activations and
    the others for the rest; data: folders of pictures; downsample: pil or matlab; limit: only the first pictures of
    each folder; rounds: turns that each point has when it is timed, 0 for no timing; size: LR width and height of the
    picture that is timed; threads: None for all; crops: how many pictures are shown; peers: others beside us;
    calibrate_on: folder of real pictures for those of them that quantize the same network with some; jobs: processes
    that measure quality, None for one for every four cores. What is timed is always alone.
    Raises UsageError for what can't be measured."""

    models: tuple[str, ...]
    data: tuple[Path, ...]
    recipes: tuple[BenchRecipe, ...] = tuple(parse_recipe(word) for word in DEFAULT_RECIPES)
    scales: tuple[float, ...] = (3.0,)
    engines: tuple[str, ...] = ("openvino",)
    precisions: tuple[str, ...] = ("fp32", "bf16", "int8")
    downsample: Downsample = "matlab"
    limit: int | None = None
    rounds: int = 3
    size: tuple[int, int] = (384, 256)
    threads: int | None = None
    crops: int = 3
    peers: bool = False
    calibrate_on: Path | None = None
    jobs: int | None = None

    def __post_init__(self) -> None:
        if not self.models or not self.data:
            raise UsageError("a sweep needs at least one model and one folder of pictures: --data DIR")
        if self.downsample not in ("pil", "matlab"):
            raise UsageError(f"--downsample {self.downsample!r} is not pil or matlab")
        if not self.scales or not all(1 < s <= 100 for s in self.scales):
            raise UsageError("--scale: quality is measured at scales above 1 and up to 100")
        for engine in self.engines:
            check_choice(engine=engine)
        for precision in self.precisions:
            check_choice(precision=precision)
        if "auto" in (*self.engines, *self.precisions):
            raise UsageError("a sweep names its engines and precisions; auto would hide what was measured")
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UsageError(f"--{name} {value} is not from {least} to {most}")
        if min(self.size) < 16 or max(self.size) > 8192:
            raise UsageError(f"--size {self.size[0]}x{self.size[1]} is not from 16x16 to 8192x8192 LR pixels")
        if twice := _repeated([recipe.name for recipe in self.recipes]):
            raise UsageError(f"two recipes are called {twice!r}")
        for what in ("models", "scales", "engines", "precisions", "data"):
            if twice := _repeated([str(value) for value in getattr(self, what)]):
                raise UsageError(f"{what}: {twice} is there twice")
        if self.calibrate_on is not None and not self.peers:
            raise UsageError("--calibrate-on is for --peers; our own recipes take real pictures by --real DIR")


# Least and most of numbers that every point shares; None is left as it is.
_RANGES = {"rounds": (0, 100), "limit": (1, 10**6), "threads": (1, 1024), "crops": (0, 20), "jobs": (1, 256)}


def _repeated(names: list[str]) -> str | None:
    """The first that is there more than once."""
    return next((name for name in names if names.count(name) > 1), None)


_LISTS = {"models", "data", "recipes", "recipe", "scales", "engines", "precisions", "size"}


def sweep_settings(path: Path) -> dict[str, Any]:
    """The settings in a sweep file (TOML): `Sweep`'s fields as keys, recipes as words in `recipes` and as tables
    `[[recipe]]`. Raises UsageError that names the file."""
    try:
        return _settings(read_toml(path))
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, UsageError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from error


def _settings(found: Mapping[str, Any]) -> dict[str, Any]:
    known = {f.name for f in fields(Sweep)} | {"recipe"}
    settings = dict(found)
    for key, value in found.items():
        if key not in known:
            raise UsageError(f"there is no setting {key!r}; there are {', '.join(sorted(known))}")
        if key in _LISTS and not isinstance(value, list):
            raise UsageError(f"{key} is a list, not {value!r:.60}")
        if key not in _LISTS and isinstance(value, list | dict):
            raise UsageError(f"{key} is one value, not {value!r:.60}")
    recipes = [parse_recipe(str(word)) for word in settings.pop("recipes", [])]
    tables = settings.pop("recipe", [])
    if not all(isinstance(table, dict) for table in tables):
        raise UsageError("recipe is tables: [[recipe]] with name, prune, weight_bits and so on")
    recipes += [recipe_of(table) for table in tables]
    if recipes:
        settings["recipes"] = tuple(recipes)
    kinds: dict[str, type] = {"models": str, "data": Path, "engines": str, "precisions": str}
    for key, kind in kinds.items():
        if key in settings:
            if not all(isinstance(value, str) for value in settings[key]):
                raise UsageError(f"{key} is a list of texts")
            settings[key] = tuple(kind(value) for value in settings[key])
    if "calibrate_on" in settings:
        if not isinstance(settings["calibrate_on"], str):
            raise UsageError("calibrate_on is a folder's name")
        settings["calibrate_on"] = Path(settings["calibrate_on"])
    for key, number in {"scales": float, "size": int}.items():
        if key in settings:
            if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in settings[key]):
                raise UsageError(f"{key} is a list of numbers")
            settings[key] = tuple(number(value) for value in settings[key])
    if len(settings.get("size", (0, 0))) != 2:
        raise UsageError("size is [width, height]")
    for key in _RANGES:
        if key in settings and type(settings[key]) is not int:
            raise UsageError(f"{key} is a whole number, not {settings[key]!r:.60}")
    if type(settings.get("peers", True)) is not bool:
        raise UsageError(f"peers is true or false, not {settings['peers']!r:.60}")
    return settings
