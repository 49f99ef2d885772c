"""How much work enlarging is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model.spec import ModelSpec
    from .tiling.plan import Plan


@dataclass(frozen=True)
class Work:
    """Multiply-adds: of the encoder with the hidden map, halos included, and of the decoder's evaluations."""

    encoder: float
    decoder: float

    @property
    def total(self) -> float:
        return self.encoder + self.decoder


def work_of(spec: ModelSpec, pixels: int, evaluations: float) -> Work:
    """Of so many LR pixels, halos included, and so many evaluations."""
    once, each = spec.decoder_multiply_adds
    return Work(pixels * (spec.encoder_multiply_adds + once), evaluations * each)


def work_of_plan(spec: ModelSpec, plan: Plan, has_alpha: bool) -> Work:
    """Of a whole picture; alpha goes through the network too."""
    planes = 2 if has_alpha else 1
    return work_of(spec, planes * plan.window_pixels, planes * plan.evaluations)
