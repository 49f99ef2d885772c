"""What a compressed network says about itself: how it was made, and in how many bits its numbers lie.

Part of `ModelSpec`, so it comes from files that nobody has checked: every type and range is, here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from .liif import input_channels
from .packing import FEWEST_BITS, MOST_BITS

# A scale outside these is zero or infinite in float32.
SMALLEST_SCALE, LARGEST_SCALE = 2.0**-126, 3.4e38
MOST_NAMES = 10_000
MOST_CHANNELS = 100_000
STEPS_PER_OCTAVE = 4  # part of the file format
LOWEST_STEP = -32 * STEPS_PER_OCTAVE
DEEPEST_CONFIG = 16
LONGEST_CONFIG = 1 << 18  # characters of JSON: every kept channel of an RDN-B takes an eighth of it
# Rounded once, and powers of two after it are exact: the same numbers on every machine.
_WITHIN_OCTAVE = np.array([2 ** (quarter / STEPS_PER_OCTAVE) for quarter in range(STEPS_PER_OCTAVE)], np.float32)
_METHOD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEXT = re.compile(r"[ -~]{1,200}")  # printable ASCII: names end up on terminals


def step_factors(steps: Sequence[int]) -> NDArray[np.float32]:
    """2^(step / 4), float32 (n)."""
    octaves, within = np.divmod(np.array(steps, np.int32), STEPS_PER_OCTAVE)
    return np.ldexp(_WITHIN_OCTAVE[within], octaves)


@dataclass(frozen=True)
class WeightQuantization:
    """One weight tensor in `bits` (2..8) bits: symmetric levels -largest..largest times one float32 scale per output
    channel (axis 0). The lowest level of two's complement is not used.

    steps: one per input channel, or none at all: the weight is levels times scale over `step_factors`; levels times
    scale is what a kernel multiplies with activations whose scales differ by these factors.
    """

    bits: int
    steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_bits(self.bits, "weight")
        object.__setattr__(self, "steps", _steps(self.steps))

    @property
    def largest(self) -> int:
        """Levels are -largest..largest."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True)
class ActivationQuantization:
    """One value between layers in `bits` (2..8) bits: whole levels times `scale` (float32, above 0), zero exact.

    Unsigned levels, 0..2^bits - 1, are for what comes out of a ReLU; signed, -2^(bits-1)..2^(bits-1) - 1, for the
    residual stream. steps: one per channel (or none at all): channel c has the scale `scale` times its factor of
    `step_factors`, which goes into the weights of whoever reads the value.
    """

    scale: float
    bits: int
    signed: bool
    steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_bits(self.bits, "activation")
        if isinstance(self.scale, bool) or not isinstance(self.scale, (int, float)):
            raise ModelError(f"an activation's scale must be a number, not {_short(self.scale)}")
        if not SMALLEST_SCALE <= self.scale <= LARGEST_SCALE:
            raise ModelError(f"an activation's scale must be a float32 above 0, not {_short(self.scale)}")
        object.__setattr__(self, "steps", _steps(self.steps))
        if type(self.signed) is not bool:
            raise ModelError(f"an activation is signed or it is not: true or false, not {_short(self.signed)}")

    @property
    def levels(self) -> tuple[int, int]:
        """Smallest and largest level, both included."""
        if self.signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1


@dataclass(frozen=True)
class Compression:
    """How a network was made smaller.

    method: its short name; config: its settings, plain JSON; parent_sha256: the model file it was made from;
    seed: of everything random in it, 0..2^63 - 1; versions: package -> version of what made it;
    weights: tensor name -> its bits; activations: value name -> its levels. Tensors and values that are not named are
    float. Raises ModelError for anything out of range.
    """

    method: str
    config: dict[str, Any]
    parent_sha256: str
    seed: int
    versions: dict[str, str]
    weights: dict[str, WeightQuantization]
    activations: dict[str, ActivationQuantization]

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or not _METHOD.fullmatch(self.method):
            raise ModelError(f"the compression's method must be a short name, not {_short(self.method)}")
        if not isinstance(self.parent_sha256, str) or not _SHA256.fullmatch(self.parent_sha256):
            raise ModelError(f"the compression's parent_sha256 must be 64 hex digits, not {_short(self.parent_sha256)}")
        if type(self.seed) is not int or not 0 <= self.seed < 1 << 63:
            raise ModelError(f"the compression's seed must be a whole number from 0, not {_short(self.seed)}")
        # a copy of our own in JSON's types: what is written equals what is read back, tuples included
        object.__setattr__(self, "config", _plain_json(self.config))
        _check_mapping(self.versions, "versions", str)
        for package, version in self.versions.items():
            if not _TEXT.fullmatch(version):
                raise ModelError(f"the compression's version of {package} is no version: {_short(version)}")
        _check_mapping(self.weights, "weights", WeightQuantization)
        _check_mapping(self.activations, "activations", ActivationQuantization)

    @staticmethod
    def from_dict(data: Any) -> Compression:
        """From parsed JSON of any origin; raises ModelError for everything that is not exactly a compression."""
        values = dict(_table(data, Compression, "compression"))
        for key, kind in (("weights", WeightQuantization), ("activations", ActivationQuantization)):
            if not isinstance(values[key], dict):
                raise ModelError(f"the compression's {key} must be a table, not {_short(values[key])}")
            values[key] = {name: kind(**_table(entry, kind, key)) for name, entry in values[key].items()}
        return Compression(**values)

    def check_names(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raises ModelError unless every quantized tensor is a weight (two axes or more) of a network with these."""
        for name, weight in self.weights.items():
            shape = shapes.get(name, ())
            if len(shape) < 2:
                raise ModelError(f"the compression quantizes {_short(name)}, which is no weight of this network")
            if weight.steps and len(weight.steps) != input_channels(name, shape):
                raise ModelError(f"the compression has {len(weight.steps)} steps for the inputs of {name}")


def _table(data: Any, kind: type, what: str) -> dict[str, Any]:
    expected = {field.name for field in fields(kind)}
    if not isinstance(data, dict) or data.keys() != expected:
        raise ModelError(
            f"the model's {what} must have exactly {', '.join(sorted(expected))}, not {_short(data)}; if another "
            "version of edge-liif made it, compress it again"
        )
    return data


def _check_bits(bits: Any, what: str) -> None:
    if type(bits) is not int or not FEWEST_BITS <= bits <= MOST_BITS:
        raise ModelError(f"the {what} bits must be {FEWEST_BITS}..{MOST_BITS}, not {_short(bits)}")


def _steps(values: Any) -> tuple[int, ...]:
    if not isinstance(values, (list, tuple)) or len(values) > MOST_CHANNELS:
        raise ModelError(f"steps must be a list of at most {MOST_CHANNELS}, not {_short(values)}")
    if not all(type(step) is int and LOWEST_STEP <= step <= 0 for step in values):
        raise ModelError(f"steps must be whole numbers {LOWEST_STEP}..0, not {_short(values)}")
    return tuple(values)


def _check_mapping(mapping: Any, key: str, kind: type) -> None:
    if not isinstance(mapping, dict) or len(mapping) > MOST_NAMES:
        raise ModelError(f"the compression's {key} must be a table of at most {MOST_NAMES}, not {_short(mapping)}")
    for name, value in mapping.items():
        if not isinstance(name, str) or not _TEXT.fullmatch(name) or not isinstance(value, kind):
            raise ModelError(f"the compression's {key} can't have {_short(name)} = {_short(value)}")


def _plain_json(config: Any) -> dict[str, Any]:
    if not isinstance(config, dict):
        raise ModelError(f"the compression's config must be a table, not {_short(config)}")
    try:
        text = json.dumps(config, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"the compression's config is not plain JSON ({_short(error)})") from error
    if len(text) > LONGEST_CONFIG or _deeper_than(DEEPEST_CONFIG, config):
        raise ModelError(f"the compression's config is over {LONGEST_CONFIG} characters, or {DEEPEST_CONFIG} deep")
    return dict(json.loads(text))


def _deeper_than(depth: int, value: Any) -> bool:
    if not isinstance(value, (dict, list, tuple)):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_deeper_than(depth - 1, item) for item in inside)


def _short(value: Any) -> str:
    """At most 60 characters of it on one line; never the digits of a huge number, which Python refuses to print."""
    try:
        return ascii(value)[:60]
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to show"
