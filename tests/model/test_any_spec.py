"""Every specification goes to JSON and back, and JSON with anything in any place is a specification or is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_liif.errors import ModelError
from edge_liif.model.checkpoint import Network, random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.layers import MAX_WIDTH
from edge_liif.model.liif import DecoderSpec, input_channels
from edge_liif.model.quantization import ActivationQuantization, Compression, WeightQuantization
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import HaloMeasurement, ModelSpec

TEXT = st.text(max_size=30)
SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
BITS = st.integers(2, 8)
STEP = st.integers(-128, 0)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXT,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXT, inside, max_size=3),
    max_leaves=5,
)


def widths(most: int, longest: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(1, most), min_size=1, max_size=longest).map(tuple)


def encoders(most: int) -> st.SearchStrategy[RDNSpec | EDSRSpec]:
    side = st.integers(1, most)
    growth = st.lists(widths(most, 3), min_size=1, max_size=3).map(tuple)
    return st.builds(RDNSpec, side, growth, side) | st.builds(EDSRSpec, side, widths(most, 4))


@st.composite
def compressions(draw: st.DrawFn, spec: ModelSpec) -> Compression:
    weights = {}
    for name, shape in spec.tensor_shapes.items():
        if len(shape) >= 2 and draw(st.booleans()):
            channels = input_channels(name, shape) if shape[1] < 20 else 0
            steps = draw(st.just(()) | st.lists(STEP, min_size=channels, max_size=channels).map(tuple))
            weights[name] = WeightQuantization(draw(BITS), steps)
    scale = st.floats(1e-30, 1e30)
    activation = st.builds(ActivationQuantization, scale, BITS, st.booleans(), st.lists(STEP, max_size=4))
    return Compression(
        draw(st.sampled_from(["rtn", "lockstep", "lockstep+cle"])),
        draw(st.dictionaries(TEXT, st.integers() | TEXT | st.lists(st.booleans(), max_size=3), max_size=3)),
        draw(SHA256),
        draw(st.integers(0, 2**63 - 1)),
        draw(st.dictionaries(PRINTABLE, PRINTABLE, max_size=3)),
        weights,
        draw(st.dictionaries(PRINTABLE, activation, max_size=3)),
    )


@st.composite
def specifications(draw: st.DrawFn, most: int = MAX_WIDTH) -> ModelSpec:
    halo = st.builds(HaloMeasurement, st.integers(0, MAX_WIDTH), st.floats(0, 1, exclude_max=True), TEXT)
    decoder = st.builds(DecoderSpec, widths(most, 5))
    bare = ModelSpec(draw(TEXT), draw(encoders(most)), draw(decoder))
    return ModelSpec(
        bare.name,
        bare.encoder,
        bare.decoder,
        draw(st.none() | halo),
        draw(TEXT),
        draw(TEXT),
        draw(TEXT),
        draw(st.none() | SHA256),
        draw(st.none() | compressions(bare)),
    )


@settings(deadline=None)
@given(specifications())
def test_json_round_trip(spec: ModelSpec) -> None:
    assert ModelSpec.from_json(spec.to_json()) == spec


@settings(max_examples=40, deadline=None)
@given(specifications(most=12))
def test_counts_are_those_of_the_tensors(spec: ModelSpec) -> None:
    """And a network without compression can be made of every specification, and describes it."""
    network = random_network(ModelSpec(spec.name, spec.encoder, spec.decoder))
    assert sum(tensor.size for tensor in network.tensors.values()) == spec.parameters
    shapes = {name: tensor.shape for name, tensor in network.tensors.items()}
    assert spec.encoder_module.detect(shapes) == spec.encoder
    convolutions = [t for n, t in network.tensors.items() if n.startswith("encoder.") and n.endswith(".weight")]
    assert sum(t.size for t in convolutions) == spec.encoder_multiply_adds
    assert spec.widest_input == max(t.shape[1] for t in convolutions)
    assert spec.exact_halo >= 2
    assert isinstance(Network(network.spec, network.tensors), Network)
    assert all(np.isfinite(tensor).all() for tensor in network.tensors.values())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a JSON value, itself included."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, held in inside for place in places(held, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_anything_in_any_place(data: st.DataObject) -> None:
    """What is accepted is complete: its numbers are computed, and it goes to JSON and back."""
    value = json.loads(data.draw(specifications(most=40)).to_json())
    changed = put(value, data.draw(st.sampled_from(places(value))), data.draw(JSON))
    try:
        spec = ModelSpec.from_json(json.dumps(changed))
    except ModelError as error:
        assert len(str(error)) < 1000
        return
    assert spec.parameters > 0 and spec.exact_halo >= 2 and spec.encoder_multiply_adds > 0
    assert ModelSpec.from_json(spec.to_json()) == spec
    texts = (
        spec.name,
        spec.licence,
        spec.authors,
        spec.source,
        spec.parent_sha256 or "",
        spec.halo and spec.halo.images,
    )
    assert all(isinstance(text, str) for text in texts if text is not None)
