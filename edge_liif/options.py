"""How to work, in words and numbers, checked before anything is loaded. Light: the command line imports it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .engine.registry import ENGINES
from .errors import UsageError

_UNITS = {"": 1, "b": 1, "k": 2**10, "kib": 2**10, "m": 2**20, "mib": 2**20, "g": 2**30, "gib": 2**30}
_UNITS |= {"kb": 10**3, "mb": 10**6, "gb": 10**9}


def parse_memory(text: str | int | None) -> int | None:
    """Bytes of a memory cap: 1GiB, 512MiB, 1.5g, 800MB, or a number of bytes. None stays None."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(text))
    if match is None or match[2].lower() not in _UNITS:
        raise UsageError(f"memory {str(text)[:40]!r} is not an amount like 1GiB, 512MiB or 800MB")
    amount = int(float(match[1]) * _UNITS[match[2].lower()])
    if amount < 2**20:
        raise UsageError(f"memory {text!r} is {amount} bytes, less than 1MiB; say the unit, like 1GiB")
    return amount


AUTO_MODEL = "auto"
"""As a model's name on the command line: chosen by the picture. No model can be called so."""

CHOICES = {
    "device": ("auto", "cpu", "cuda", "gpu", "mps", "tensorrt"),
    "precision": ("auto", "fp32", "bf16", "fp16", "int8"),
}


def check_choice(**options: str) -> None:
    """Raise UsageError for a value that its option does not have."""
    for name, value in options.items():
        check_among(name, value, ("auto", *ENGINES) if name == "engine" else CHOICES[name])


def check_among(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise UsageError unless the value of option `name` is one of these."""
    if value not in choices:
        raise UsageError(f"--{name} {value!r} is not one of {', '.join(choices)}")


def parse_halo(text: str | int) -> str | int:
    """`auto`, `exact`, or LR pixels."""
    if isinstance(text, str) and text in {"auto", "exact"}:
        return text
    try:
        pixels = int(text)
    except ValueError:
        pixels = -1
    if not 0 <= pixels <= 4096:
        raise UsageError(f"halo {text!r} is not auto, exact or a number of pixels of 0..4096")
    return pixels


@dataclass(frozen=True)
class Settings:
    """How to work. memory: cap in bytes or None; halo: auto, exact or LR pixels; threads: None for all."""

    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    memory: int | None = None
    halo: str | int = "auto"
    threads: int | None = None

    @classmethod
    def parsed(
        cls,
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
        memory: str | int | None = None,
        halo: str | int = "auto",
        threads: int | None = None,
    ) -> Settings:
        """From words as users write them. Raises UsageError."""
        check_choice(engine=engine, device=device, precision=precision)
        return cls(engine, precision, device, parse_memory(memory), parse_halo(halo), threads)
