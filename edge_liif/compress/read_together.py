"""Who reads what; and which values must have scales that differ by whole steps only: those that some layer reads as one
concatenation.

A dense block's growth channels are read together, and so are the outputs of all blocks, at the end. Signed and unsigned
values are convolved apart (`engine/integer.py`) and don't bind each other.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..model.spec import ModelSpec


@dataclass(frozen=True)
class Value:
    """A value by its name, as `engine/integer.py` names it."""

    name: str
    signed: bool


class _Names:
    """`model.layers.Layers` that computes nothing: values are tuples of what is concatenated."""

    def __init__(self) -> None:
        self.sets: list[set[str]] = []
        self.inputs: dict[str, tuple[Value, ...]] = {}

    def conv(self, x: tuple[Value, ...], name: str) -> tuple[Value, ...]:
        self.inputs[name] = x
        for signed in (True, False):
            together = {value.name for value in x if value.signed == signed}
            touched = [known for known in self.sets if known & together]
            self.sets = [known for known in self.sets if not known & together]
            self.sets.append(together.union(*touched))
        return (Value(name, True),)

    def relu(self, x: tuple[Value, ...]) -> tuple[Value, ...]:
        return (Value(f"{x[0].name}.relu", False),)

    def add(self, x: tuple[Value, ...], y: tuple[Value, ...]) -> tuple[Value, ...]:
        return (Value(f"{x[0].name}.sum", True),)

    def concat(self, xs: list[tuple[Value, ...]]) -> tuple[Value, ...]:
        return tuple(value for x in xs for value in x)


def read_together(spec: ModelSpec) -> dict[str, frozenset[str]]:
    """For every value that an encoder's convolution reads: the values, itself included, that it shares a scale with."""
    return {name: frozenset(names) for names in _named(spec).sets for name in names}


def encoder_inputs(spec: ModelSpec) -> dict[str, tuple[Value, ...]]:
    """For every convolution of the encoder: the values that it reads, in the order of its input channels."""
    return _named(spec).inputs


def _named(spec: ModelSpec) -> _Names:
    layers = _Names()
    spec.encoder_module.forward(layers, spec.encoder, (Value("lr", True),))
    return layers
