"""Original and compressed network side by side, first layer to last: compression is a forward pass.

`Lockstep` implements the package's `Layers`, so the networks' own `forward` drives it. Its values are pairs: what the
original computes and what the compressed network computes so far. At a convolution the layer's new weight is found from
both, rounded, and used to go on, so that each layer repairs what all before it have damaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
import torch.nn.functional as F

from ..engine.integer import PICTURE
from ..engine.simulated import quantized
from ..model.checkpoint import Network
from ..model.liif import COORDINATES, layer_names
from ..model.quantization import STEPS_PER_OCTAVE, ActivationQuantization, WeightQuantization, step_factors
from .expected import Expected
from .layer import Layer
from .methods import REPAIRS, Method
from .places import Places
from .quantize import activation_quantization, gptq, round_to_nearest, row_scales
from .queries import Queries, mlp_inputs
from .read_together import read_together

# Bits of the last convolution and of the last MLP layer are never fewer than this.
OUTER_BITS = 8
Samples = Iterator[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Part:
    """One value in a concatenation: its name, its channels in the original, and those of them that are left."""

    name: str
    width: int
    kept: Sequence[int]
    signed: bool


@dataclass(frozen=True)
class Value:
    """A pair of tensors (n, C, H, W), or (n, C) in the decoder."""

    original: torch.Tensor
    compressed: torch.Tensor
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        return self.parts[0].name


@dataclass(frozen=True)
class Bits:
    """weights, activations: None leaves them in float. margin: activation ranges are widened by this factor;
    per_channel: activation scales differ by steps from channel to channel; keep: weight bits by patterns of
    layer names, the first that fits."""

    weights: int | None
    activations: int | None
    margin: float = 1.0
    per_channel: bool = True
    keep: Mapping[str, int] = field(default_factory=dict)

    def of_weight(self, layer: str, outermost: bool) -> int | None:
        """Bits of a layer's weight, None for float."""
        if self.weights is None:
            return None
        for pattern, bits in self.keep.items():
            if fnmatchcase(layer, pattern):
                return bits
        return max(self.weights, OUTER_BITS) if outermost else self.weights


@dataclass(frozen=True)
class Rounding:
    """Mean squared error (O,) that rounding makes in a layer's outputs, the mean left out if the method restores it:
    weights: of its own numbers; inputs: of the values that it reads."""

    weights: torch.Tensor
    inputs: torch.Tensor


class Lockstep:
    """Compresses while it runs. After `run`: `tensors` by name (narrowed, rounded, float32), `weights`
    and `activations`: how they were quantized, `errors`: relative squared error of each layer's output, `distance`:
    mean squared error of the answers (in -1..1), `roundings`: of each layer, if `account`."""

    def __init__(
        self,
        network: Network,
        kept: Mapping[str, Sequence[int]],
        method: Method,
        bits: Bits,
        progress: Callable[[str], None] | None = None,
        account: bool = False,
    ) -> None:
        self.network, self.kept, self.method, self.bits, self.progress = network, kept, method, bits, progress
        self.account = account
        self.roundings: dict[str, Rounding] = {}
        self._source = {name: torch.from_numpy(t.copy()) for name, t in network.tensors.items()}
        self._expected = Expected(network)
        self.tensors: dict[str, torch.Tensor] = {}
        self.weights: dict[str, WeightQuantization] = {}
        self.activations: dict[str, ActivationQuantization] = {}
        self.errors: dict[str, float] = {}
        self.distance: float | None = None
        self._together = read_together(network.spec)
        self._names = layer_names(network.spec.decoder)
        # The first convolution stays in float: an 8-bit picture in -1..1 is odd multiples of 1 / 255, which no signed
        # 8-bit grid holds, and it is the smallest layer of all.
        encoder = [name.rsplit(".", 1)[0] for name in network.spec.tensor_shapes if name.startswith("encoder.")]
        self._first, self._outer = encoder[0], {encoder[-1], self._names[-1]}

    def run(self, lr: torch.Tensor, queries: Queries) -> None:
        """Compress the whole network on LR pictures (n, 3, h, w) in -1..1."""
        with torch.inference_mode():
            picture = Value(lr, lr, (Part(PICTURE, 3, range(3), True),))
            features = self.network.spec.encoder_module.forward(self, self.network.spec.encoder, picture)
            self._decode(features, queries)

    # the four operations of `Layers`

    def conv(self, x: Value, name: str) -> Value:
        kernel = self._source[f"{name}.weight"].shape[-1]
        read = self._quantized(x)

        def apply(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            return F.conv2d(x, weight.view(len(weight), -1, kernel, kernel), bias, padding=kernel // 2)

        def samples(goal: torch.Tensor) -> Samples:
            places = Places.enough_for(read, kernel)
            return ((places.patches(read, i, kernel), places.patches(goal, i, 1)) for i in range(len(read)))

        return self._through(x, read, name, kernel * kernel, 0, apply, samples)

    def relu(self, x: Value) -> Value:
        part = x.parts[0]
        named = (Part(f"{part.name}.relu", part.width, part.kept, False),)
        return Value(F.relu(x.original), F.relu(x.compressed), named)

    def add(self, x: Value, y: Value) -> Value:
        part = x.parts[0]
        named = (Part(f"{part.name}.sum", part.width, part.kept, True),)
        return Value(x.original + y.original, x.compressed + y.compressed, named)

    def concat(self, xs: list[Value]) -> Value:
        if len(xs) == 1:
            return xs[0]
        return Value(
            torch.cat([x.original for x in xs], 1),
            torch.cat([x.compressed for x in xs], 1),
            tuple(part for x in xs for part in x.parts),
        )

    # the decoder, on sampled queries

    def _decode(self, features: Value, queries: Queries) -> None:
        read = self._quantized(features)
        # the coordinates count as four more channels that nobody quantizes
        first = mlp_inputs(read, queries)
        before = first if read is features.compressed else mlp_inputs(features.compressed, queries)
        x = Value(mlp_inputs(features.original, queries), before, features.parts)
        for name in self._names:
            if name == self._names[0]:
                x = self._linear(x, first, name, 9, COORDINATES)
            else:
                x = self._linear(x, self._quantized(x), name, 1, 0)
            if name != self._names[-1]:
                x = self.relu(x)

    def _linear(self, x: Value, read: torch.Tensor, name: str, taps: int, free: int) -> Value:
        return self._through(x, read, name, taps, free, F.linear, lambda goal: iter([(read, goal)]))

    # one layer

    def _through(
        self,
        x: Value,
        read: torch.Tensor,
        name: str,
        taps: int,
        free: int,
        apply: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
        samples: Callable[[torch.Tensor], Samples],
    ) -> Value:
        """The outputs of a layer before and after its compression, which happens here.

        read: what the compressed one reads; apply(x, weight (O, I * taps), bias): what the layer does; samples(goal):
        of `read` and of the output that it should give.
        """
        weight, bias = self._source[f"{name}.weight"], self._source[f"{name}.bias"]
        goal = apply(x.original, weight.flatten(1), bias)
        kept = self.kept.get(name, range(len(weight)))
        rows = torch.tensor(list(kept))
        wanted = goal[:, rows]
        left, start = [], 0
        for part in x.parts:
            left += [start + c for c in part.kept]
            start += part.width
        layer = Layer(
            name,
            weight.flatten(1)[rows],
            bias[rows],
            taps,
            free,
            torch.tensor(left),
            self._steps(x),
            lambda: x.original,
            lambda: samples(wanted),
            self._expected,
        )
        new, exact = self._compressed(layer)
        output = apply(read, new, self.tensors[f"{name}.bias"])
        if self.account:
            unrounded = apply(read, exact, self.tensors[f"{name}.bias"])
            unread = apply(x.compressed, exact, self.tensors[f"{name}.bias"]) if read is not x.compressed else unrounded
            self.roundings[name] = Rounding(self._spread(output - unrounded), self._spread(unrounded - unread))
        output = self._settle(name, output, wanted)
        self.tensors[f"{name}.weight"] = new.view(len(rows), -1, *weight.shape[2:])
        return Value(goal, output, (Part(name, len(weight), kept, True),))

    def _compressed(self, layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
        """The layer's new weight (O, columns left), and the same before it was rounded; its bias goes to `tensors`."""
        if self.progress is not None:
            self.progress(layer.name)
        exact, bias = REPAIRS[self.method.repair](layer)
        weight = exact
        bits = self.bits.of_weight(layer.name, layer.name in self._outer)
        if bits is not None and layer.name != self._first:
            weight = self._rounded(layer, exact.clone(), bits)
        self.tensors[f"{layer.name}.bias"] = bias
        return weight, exact

    def _rounded(self, layer: Layer, weight: torch.Tensor, bits: int) -> torch.Tensor:
        fixed = weight.shape[1] - layer.free
        covariance = None
        if self.method.gptq or self.method.weighted_scale:
            if self.method.expected:
                covariance = layer.expected.products(layer.name, layer.left)
            else:
                covariance = layer.moments.covariance()[0]
        importance = covariance.diagonal()[:fixed] if covariance is not None and self.method.weighted_scale else None
        factors = torch.from_numpy(step_factors(layer.steps)).repeat_interleave(layer.taps)
        if not layer.steps:
            factors = torch.ones(fixed)
        # the kernel's view: activations of one scale, the factors in the weight
        seen = weight[:, :fixed] * factors
        wide = factors.double()
        scale = row_scales(seen, bits, None if importance is None else importance / wide.square())
        if self.method.gptq:
            assert covariance is not None
            scaled = covariance[:fixed, :fixed] / torch.outer(wide, wide)
            rounded = gptq(seen, scaled, scale, bits) / factors
            if layer.free:
                # what the rounding of the others left over, as far as the free columns can make it good
                error = weight[:, :fixed].double() - rounded.double()
                repair = torch.linalg.solve(covariance[fixed:, fixed:], covariance[fixed:, :fixed] @ error.T).T
                weight[:, fixed:] += repair.float()
        else:
            rounded = round_to_nearest(seen, scale, bits) / factors
        self.weights[f"{layer.name}.weight"] = WeightQuantization(bits, layer.steps)
        return torch.cat([rounded, weight[:, fixed:]], 1)

    def _spread(self, error: torch.Tensor) -> torch.Tensor:
        dims = [d for d in range(error.ndim) if d != 1]
        square = error.square().mean(dims)
        return square - error.mean(dims).square() if self.method.bias else square

    def _settle(self, name: str, output: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
        """Restore the mean of a layer's output, if the method does, and note how far it is off."""
        if self.method.bias:
            dims = [d for d in range(output.ndim) if d != 1]
            shift = (goal - output).mean(dims)
            self.tensors[f"{name}.bias"] = self.tensors[f"{name}.bias"] + shift
            output = output + shift.view(1, -1, *[1] * (output.ndim - 2))
        variance = (goal - goal.mean()).square().mean().clamp_min(1e-12)
        square = float((output - goal).square().mean())
        self.errors[name] = square / float(variance)
        if name == self._names[-1]:
            self.distance = square
        return output

    def _quantized(self, x: Value) -> torch.Tensor:
        """What a layer reads: every part of the concatenation through its own quantizer, made when it is first read."""
        if self.bits.activations is None or x.name == PICTURE:
            return x.compressed
        pieces, start = [], 0
        for part in x.parts:
            piece = x.compressed[:, start : start + len(part.kept)]
            start += len(part.kept)
            if part.name not in self.activations:
                # what is read together differs by whole steps only, so that one integer kernel can read it all
                together = sorted(self._together.get(part.name, frozenset()))
                known = [self.activations[name].scale for name in together if name in self.activations]
                self.activations[part.name] = self._quantizer(part, piece, known[0] if known else None)
            pieces.append(self._levels(piece, self.activations[part.name]))
        return torch.cat(pieces, 1)

    @staticmethod
    def _levels(values: torch.Tensor, quantization: ActivationQuantization) -> torch.Tensor:
        return quantized(values, quantization)

    def _quantizer(self, part: Part, values: torch.Tensor, base: float | None) -> ActivationQuantization:
        """For the channels left of a part, values (n, C, ...); its scale is whole steps from `base`."""
        assert self.bits.activations is not None
        return activation_quantization(
            values, self.bits.activations, part.signed, self.bits.margin, self.bits.per_channel, base
        )

    def _steps(self, x: Value) -> tuple[int, ...]:
        """Steps of the channels that a layer reads, relative to the largest scale among parts of the same sign;
        none where all are zero."""
        if self.bits.activations is None or x.name == PICTURE:
            return ()
        read = [self.activations[part.name] for part in x.parts]
        top = {q.signed: max(other.scale for other in read if other.signed == q.signed) for q in read}
        found: list[int] = []
        for part, quantization in zip(x.parts, read, strict=True):
            shift = round(STEPS_PER_OCTAVE * math.log2(quantization.scale / top[quantization.signed]))
            found += [shift + step for step in quantization.steps or [0] * len(part.kept)]
        return tuple(found) if any(found) else ()
