"""What to do to a network: a small versioned description that goes to and from JSON and TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..toml_file import read_toml

if TYPE_CHECKING:
    from .methods import Method

VERSION = 1
WEIGHT_BITS = (3, 4, 5, 6, 7, 8)
ACTIVATION_BITS = (6, 7, 8)
STATISTICS = ("synthetic", "analytic")
MOST_PATTERNS = 100


@dataclass(frozen=True)
class CompressConfig:
    """method: a key of `methods.METHODS`; prune: share of the multiply-adds at `scale` that goes, encoder and decoder
    together, 0..0.9; weight_bits, activation_bits: None stays in float; multiple: widths are multiples of it (16 suits
    CPUs, 32 tensor cores); equalise: cross-layer equalisation first, None as the method says; margin: activation ranges
    are widened by this factor; per_channel: activation scales differ from channel to channel, by steps of a quarter of
    an octave; queries: decoder positions a calibration picture; seed: of queries and sensitivities; keep: weight bits
    of layers whose names match a pattern (`imnet.*`, as in a shell), the first that fits, before `weight_bits` and
    before the 8 bits of the outermost layers; statistics: "synthetic" pictures, or "analytic" moments of Gaussians,
    which `rtn`, `magnitude`, `dfq` and `udfc` can do with; score: which channels go first, one of `methods.SCORES`,
    None as the method says."""

    method: str = "lockstep"
    prune: float = 0.0
    weight_bits: int | None = None
    activation_bits: int | None = None
    scale: float = 3.0
    multiple: int = 16
    equalise: bool | None = None
    margin: float = 1.0
    per_channel: bool | None = None
    queries: int = 2048
    seed: int = 0
    keep: Mapping[str, int] = field(default_factory=dict)
    statistics: str = "synthetic"
    score: str | None = None
    version: int = VERSION

    def __post_init__(self) -> None:
        from .methods import METHODS, SCORES

        rules = [
            (type(self.version) is int and self.version == VERSION, f"version {self.version!r} is not {VERSION}"),
            (
                isinstance(self.method, str) and self.method in METHODS,
                f"method {self.method!r} is not one of {', '.join(METHODS)}",
            ),
            (_number(self.prune) and 0 <= self.prune <= 0.9, f"prune {self.prune!r} is not a share from 0 to 0.9"),
            (_bits(self.weight_bits, WEIGHT_BITS), f"weight_bits {self.weight_bits!r} is not 3 to 8"),
            (
                _bits(self.activation_bits, ACTIVATION_BITS),
                f"activation_bits {self.activation_bits!r} is not 6 to 8",
            ),
            (
                self.activation_bits is None or self.weight_bits is not None,
                "activation_bits without weight_bits: integer kernels need both",
            ),
            (_number(self.scale) and 1 <= self.scale <= 100, f"scale {self.scale!r} is not from 1 to 100"),
            (type(self.multiple) is int and self.multiple in (8, 16, 32, 64), "multiple is not 8, 16, 32 or 64"),
            (self.equalise in (None, True, False), f"equalise {self.equalise!r} is not true or false"),
            (_number(self.margin) and 0.5 <= self.margin <= 4, f"margin {self.margin!r} is not from 0.5 to 4"),
            (self.per_channel in (None, True, False), f"per_channel {self.per_channel!r} is not true or false"),
            (type(self.queries) is int and 64 <= self.queries <= 100_000, "queries is not from 64 to 100000"),
            (type(self.seed) is int and 0 <= self.seed < 1 << 63, f"seed {self.seed!r} is not a whole number from 0"),
            (_patterns(self.keep), f"keep {self.keep!r:.60} is not patterns of layer names with 3 to 8 bits each"),
            (not self.keep or self.weight_bits is not None, "keep without weight_bits: say what the other layers get"),
            (self.statistics in STATISTICS, f"statistics {self.statistics!r} is not one of {', '.join(STATISTICS)}"),
            (
                self.score is None or (isinstance(self.score, str) and self.score in SCORES),
                f"score {self.score!r} is not one of {', '.join(SCORES)}",
            ),
            (self.score is None or self.prune > 0, "score without prune: it says which channels go first"),
        ]
        for kept, message in rules:
            if not kept:
                raise UsageError(f"compression: {message}")
        if self.statistics == "analytic" and self.whole_method.needs_samples:
            able = ", ".join(name for name, method in METHODS.items() if not method.needs_samples)
            what = f"method {self.method}" + (f" with score {self.score}" if self.score else "")
            raise UsageError(
                f"compression: {what} needs moments across channels, which analytic statistics don't "
                f"have; take synthetic ones or one of {able}"
            )
        if not self.prune and self.weight_bits is None:
            raise UsageError("compression: nothing to do; give --prune, --weight-bits or both")

    @property
    def whole_method(self) -> Method:
        """The method, with the score that was asked for."""
        from .methods import METHODS

        method = METHODS[self.method]
        return method if self.score is None else replace(method, score=self.score)

    @property
    def channel_scales(self) -> bool:
        """Whether activation scales differ from channel to channel: by default where the weights, which take the
        factors in, have the bits for it. On EDSR-baseline-LIIF it gained 1.6 dB of fidelity at W8A8 and lost 1.4 dB at
        W4A8 (pieces of 288x288 of nine pictures, in the simulation)."""
        if self.per_channel is not None:
            return self.per_channel
        return self.weight_bits is not None and self.weight_bits >= 6

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> CompressConfig:
        """Raises UsageError for unknown keys and impossible values."""
        known = {f.name for f in fields(CompressConfig)}
        for key in data:
            if key not in known:
                raise UsageError(f"compression: there is no setting {key!r}; there are {', '.join(sorted(known))}")
        return CompressConfig(**data)

    @staticmethod
    def from_toml(path: Path) -> CompressConfig:
        """Raises UsageError, naming the file, if it can't be read or is not such a configuration."""
        try:
            return CompressConfig.from_dict(read_toml(path))
        except OSError as error:
            raise UsageError(f"{path}: can't be read: {error.strerror or error}") from error
        except (ValueError, UsageError, RecursionError) as error:
            raise UsageError(f"{path}: {error}") from error


def _bits(value: object, allowed: tuple[int, ...]) -> bool:
    return value is None or (type(value) is int and value in allowed)


def _patterns(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) <= MOST_PATTERNS
        and all(isinstance(pattern, str) and pattern for pattern in value)
        and all(type(bits) is int and bits in WEIGHT_BITS for bits in value.values())
    )


def _number(value: object) -> bool:
    return type(value) in (int, float)
