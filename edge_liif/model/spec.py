"""What a network is: a small, versioned, immutable description that goes to and from JSON.

A network is a `ModelSpec` and named tensors, nothing else. Every width is written out per layer, because pruned
networks differ from layer to layer. Tensor names are those of the reference implementation (yinboc/liif), so that a
converted file can be compared with its source line by line.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import ModelError
from . import edsr, liif, rdn
from .edsr import EDSRSpec
from .layers import MAX_WIDTH
from .liif import DecoderSpec
from .quantization import Compression
from .rdn import RDNSpec

SPEC_VERSION = 1
LONGEST_TEXT = 10_000
EncoderSpec = RDNSpec | EDSRSpec
# One entry per encoder kind: the spec class and the module that knows its layers.
ENCODERS: dict[str, tuple[Any, Any]] = {"rdn": (RDNSpec, rdn), "edsr": (EDSRSpec, edsr)}


@dataclass(frozen=True)
class HaloMeasurement:
    """A halo smaller than the exact one, and what it was seen to cost.

    pixels: LR pixels around a tile; max_error: largest difference from the untiled picture, as a share of full scale,
    seen over `images`.
    """

    pixels: int
    max_error: float
    images: str

    def __post_init__(self) -> None:
        # files say this, too
        if type(self.pixels) is not int or not 0 <= self.pixels <= MAX_WIDTH:
            raise ModelError(f"the model's halo of {str(self.pixels)[:20]} is not 0..{MAX_WIDTH} pixels")
        if not isinstance(self.max_error, (int, float)) or not 0 <= self.max_error < 1:
            raise ModelError(f"the model's halo error {str(self.max_error)[:20]} is not a share of full scale")
        if not isinstance(self.images, str) or len(self.images) > LONGEST_TEXT:
            raise ModelError(f"the model's halo images are not a text of at most {LONGEST_TEXT} characters")


@dataclass(frozen=True)
class ModelSpec:
    """Everything about a network but its numbers."""

    name: str
    encoder: EncoderSpec
    decoder: DecoderSpec
    halo: HaloMeasurement | None = None
    licence: str = "unknown"
    authors: str = "unknown"
    source: str = ""
    parent_sha256: str | None = None
    compression: Compression | None = None
    version: int = field(default=SPEC_VERSION)

    def __post_init__(self) -> None:
        for key in ("name", "licence", "authors", "source"):
            if not isinstance(text := getattr(self, key), str) or len(text) > LONGEST_TEXT:
                raise ModelError(f"the model's {key} is not a text of at most {LONGEST_TEXT} characters")
        if self.parent_sha256 is not None and not isinstance(self.parent_sha256, str):
            raise ModelError("the model's parent_sha256 is neither a text nor null")
        if self.compression is not None:
            self.compression.check_names(self.tensor_shapes)

    @property
    def encoder_module(self) -> Any:
        """The module with `forward`, `tensor_shapes`, `radius`, `describe` for this encoder kind."""
        return ENCODERS[self.encoder.kind][1]

    @property
    def exact_halo(self) -> int:
        """LR pixels around a tile that make it equal to the untiled picture: the encoder's radius, one for the
        unfolded 3x3 features, one for the ensemble's neighbour."""
        return int(self.encoder_module.radius(self.encoder)) + 2

    @property
    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of the network."""
        return {
            **self.encoder_module.tensor_shapes(self.encoder),
            **liif.tensor_shapes(self.decoder, self.encoder.features),
        }

    @property
    def parameters(self) -> int:
        total = 0
        for shape in self.tensor_shapes.values():
            size = 1
            for side in shape:
                size *= side
            total += size
        return total

    @property
    def widest_input(self) -> int:
        """Most channels that any convolution of the encoder reads."""
        shapes = self.encoder_module.tensor_shapes(self.encoder)
        return max(shape[1] for name, shape in shapes.items() if name.endswith(".weight"))

    def dense_block_channels(self, copies: int) -> int:
        """See `rdn.dense_block_channels`; 0 for encoders without dense blocks."""
        return rdn.dense_block_channels(self.encoder, copies) if isinstance(self.encoder, RDNSpec) else 0

    @property
    def encoder_multiply_adds(self) -> int:
        """Multiply-adds of the encoder per LR pixel."""
        weights = self.encoder_module.tensor_shapes(self.encoder)
        return sum(_product(shape) for name, shape in weights.items() if name.endswith(".weight"))

    @property
    def decoder_multiply_adds(self) -> tuple[int, int]:
        """Multiply-adds of the exact fast decoder: (once per LR pixel, per evaluation)."""
        return liif.multiply_adds(self.decoder, self.encoder.features)

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> ModelSpec:
        """Raises ModelError for anything that is not a complete, sane specification of a known version."""
        try:
            data = json.loads(text)
            version = data["version"]
            if type(version) is not int or version != SPEC_VERSION:
                raise ModelError(
                    f"model specification version {str(version)[:20]!r} is not {SPEC_VERSION}; update edge-liif"
                )
            kind = data["encoder"]["kind"]
            if kind not in ENCODERS:
                raise ModelError(f"unknown encoder kind {str(kind)[:20]!r}; this version knows {', '.join(ENCODERS)}")
            data["encoder"] = ENCODERS[kind][0].from_dict(data["encoder"])
            data["decoder"] = DecoderSpec.from_dict(data["decoder"])
            if data.get("halo") is not None:
                data["halo"] = HaloMeasurement(**data["halo"])
            if data.get("compression") is not None:
                data["compression"] = Compression.from_dict(data["compression"])
            return ModelSpec(**data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = str(error)[:200]
            raise ModelError(f"the model's specification can't be read ({reason}); the file is damaged") from error


def _product(shape: tuple[int, ...]) -> int:
    result = 1
    for side in shape:
        result *= side
    return result
