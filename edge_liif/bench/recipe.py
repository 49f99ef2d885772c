"""What is done to a network before it is measured: a short word, or a table in a sweep file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..compress.config import CompressConfig
from ..errors import UsageError

ORIGINAL = "original"
REAL_TWIN = "-real"
"""What the name of a recipe ends in that is another one, with photographs in place of leaves and noise."""
_WORD = re.compile(
    r"(?:p(?P<prune>\d+(?:\.\d+)?))?-?(?:w(?P<weights>\d)(?:a(?P<activations>\d))?)?(?::(?P<method>[a-z]+))?"
)


@dataclass(frozen=True)
class BenchRecipe:
    """name: the short word, or for a network that is compressed already its name; config: how to compress, None for a
    network as it is; calibrate_on: folder of photographs that take the places of leaves and noise among the calibration
    pictures, which is not data-free."""

    name: str
    config: CompressConfig | None
    calibrate_on: Path | None = None

    @property
    def integer(self) -> bool:
        """Whether what comes out has integer activations."""
        return self.config is not None and self.config.activation_bits is not None

    @property
    def title(self) -> str:
        """For people: `25 % + W8A8, magnitude`."""
        if self.config is None:
            return self.name
        parts = [f"{100 * self.config.prune:g} %"] if self.config.prune else []
        if self.config.weight_bits is not None:
            activations = "" if self.config.activation_bits is None else f"A{self.config.activation_bits}"
            parts.append(f"W{self.config.weight_bits}{activations}")
        asked = [] if self.config.method == "lockstep" else [self.config.method]
        asked += [f"by {self.config.score}"] if self.config.score else []
        asked += [] if self.config.equalise is None else ["equalised" if self.config.equalise else "not equalised"]
        asked += ["real pictures"] if self.calibrate_on else []
        return ", ".join([" + ".join(parts), *asked])


UNCOMPRESSED = BenchRecipe(ORIGINAL, None)


def parse_recipe(word: str) -> BenchRecipe:
    """`original`, or what to prune in percent, bits of weights and activations, and the method: `p25`, `w8a8`,
    `p30-w6a8`, `w4a8:magnitude`. Raises UsageError."""
    text = word.strip().lower()
    if text == ORIGINAL:
        return UNCOMPRESSED
    match = _WORD.fullmatch(text)
    if match is None or not (match["prune"] or match["weights"]):
        raise UsageError(f"recipe {word[:40]!r} is not original, or like w8a8, p25, p25-w8a8 or w4a8:magnitude")
    bits = {key: None if match[key] is None else int(match[key]) for key in ("weights", "activations")}
    try:
        config = CompressConfig(
            match["method"] or "lockstep", float(match["prune"] or 0) / 100, bits["weights"], bits["activations"]
        )
    except UsageError as error:
        raise UsageError(f"recipe {word!r}: {error}") from error
    return BenchRecipe(text, config)


def with_real_twins(recipes: tuple[BenchRecipe, ...], folder: Path) -> tuple[BenchRecipe, ...]:
    """Every recipe by lockstep on synthetic pictures followed by the same with the photographs in `folder`."""
    found = []
    for recipe in recipes:
        found.append(recipe)
        config = recipe.config
        if config is None or recipe.calibrate_on is not None:
            continue
        if (config.method, config.statistics) == ("lockstep", "synthetic"):
            found.append(replace(recipe, name=recipe.name + REAL_TWIN, calibrate_on=folder))
    return tuple(found)


def recipe_of(table: Mapping[str, Any]) -> BenchRecipe:
    """From a `[[recipe]]` table: `name`, perhaps `calibrate_on`, and the settings of `CompressConfig`."""
    settings = dict(table)
    name, folder = settings.pop("name", None), settings.pop("calibrate_on", None)
    if not isinstance(name, str) or not name.strip():
        raise UsageError("a [[recipe]] needs a name")
    if folder is not None and not isinstance(folder, str):
        raise UsageError(f"recipe {name}: calibrate_on is a folder's name, not {folder!r:.60}")
    if not settings:
        return BenchRecipe(name, None)
    try:
        return BenchRecipe(name, CompressConfig.from_dict(settings), None if folder is None else Path(folder))
    except UsageError as error:
        raise UsageError(f"recipe {name}: {error}") from error
