"""What a compressed network says about itself: JSON there and back, and hostile JSON refused in one line."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_liif.errors import ModelError
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.quantization import ActivationQuantization, Compression, WeightQuantization
from edge_liif.model.spec import ModelSpec

PLAIN = ModelSpec("p", EDSRSpec(8, (8,)), DecoderSpec((8,)))
COMPRESSION = Compression(
    method="l3",
    config={"ratio": 0.25, "blocks": [1, 2, {"deep": None}], "on": True},
    parent_sha256="0123456789abcdef" * 4,
    seed=7,
    versions={"numpy": "2.4.6"},
    weights={"encoder.head.0.weight": WeightQuantization(8), "imnet.layers.0.weight": WeightQuantization(3)},
    activations={"encoder.head.0": ActivationQuantization(0.0123, 8, True)},
)
SPEC = replace(PLAIN, compression=COMPRESSION)


def test_json_round_trip() -> None:
    back = ModelSpec.from_json(SPEC.to_json())
    assert back == SPEC and back.to_json() == SPEC.to_json()
    assert back.compression is not None
    assert back.compression.weights["imnet.layers.0.weight"] == WeightQuantization(3)


def test_a_network_without_compression_writes_what_it_always_wrote() -> None:
    assert PLAIN.to_json() == (
        '{"authors":"unknown","compression":null,"decoder":{"hidden":[8]},"encoder":{"blocks":[8],"features":8,'
        '"kind":"edsr"},"halo":null,"licence":"unknown","name":"p","parent_sha256":null,"source":"","version":1}'
    )


def test_a_file_from_before_compression_still_loads() -> None:
    data = json.loads(PLAIN.to_json())
    del data["compression"]
    assert ModelSpec.from_json(json.dumps(data)) == PLAIN


def test_tuples_in_a_config_are_what_json_makes_of_them() -> None:
    made = replace(COMPRESSION, config={"radii": (1, 2)})
    assert made.config == {"radii": [1, 2]}
    assert ModelSpec.from_json(replace(PLAIN, compression=made).to_json()).compression == made


def test_the_config_is_a_copy() -> None:
    config: dict[str, Any] = {"ratios": [0.5]}
    made = replace(COMPRESSION, config=config)
    config["ratios"].append(1)
    assert made.config == {"ratios": [0.5]}


def test_levels() -> None:
    assert WeightQuantization(8).largest == 127 and WeightQuantization(2).largest == 1
    assert ActivationQuantization(1.0, 8, False).levels == (0, 255)
    assert ActivationQuantization(1.0, 6, True).levels == (-32, 31)


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [15, 16])
def test_configs_may_be_sixteen_deep(depth: int) -> None:
    config = {"x": nested(depth)}
    if depth < 16:
        assert replace(COMPRESSION, config=config).config == config
    else:
        with pytest.raises(ModelError, match="16 deep"):
            replace(COMPRESSION, config=config)


STEPS: list[Any] = [[1], [-129], [0.0], [True], ["0"], "0", None, {}, [0] * 100_001]
HOSTILE: list[tuple[str, Any]] = [
    ("", 5),
    ("", []),
    ("", "compressed"),
    ("", {}),
    ("surprise", 1),
    ("method", ""),
    ("method", "two\nlines"),
    ("method", "m" * 65),
    ("method", 3),
    ("config", []),
    ("config", {"x": float("nan")}),
    ("config", {"x": "y" * (1 << 18)}),
    ("parent_sha256", None),
    ("parent_sha256", "0" * 63),
    ("parent_sha256", "A" * 64),
    ("parent_sha256", "0" * 64 + "\n"),
    ("seed", -1),
    ("seed", True),
    ("seed", 1.0),
    ("seed", 1 << 63),
    ("versions", []),
    ("versions", {"numpy": 2}),
    ("versions", {"numpy": "\x1b[2J"}),
    ("versions", {str(i): "1" for i in range(10_001)}),
    ("weights", [["encoder.head.0.weight", 8]]),
    ("weights", {"encoder.head.0.weight": 8}),
    ("weights", {"encoder.head.0.weight": {}}),
    ("weights", {"encoder.head.0.weight": {"bits": 8, "zero": 0}}),
    ("weights", {"encoder.head.0.weight": {"bits": 1, "steps": []}}),
    ("weights", {"encoder.head.0.weight": {"bits": 9, "steps": []}}),
    ("weights", {"encoder.head.0.weight": {"bits": 4.0, "steps": []}}),
    ("weights", {"encoder.head.0.weight": {"bits": "4", "steps": []}}),
    ("weights", {"encoder.head.0.weight": {"bits": True, "steps": []}}),
    ("weights", {"encoder.head.0.bias": {"bits": 8, "steps": []}}),
    ("weights", {"encoder.absent.weight": {"bits": 8, "steps": []}}),
    ("weights", {"encoder.head.0.weight": {"bits": 8}}),
    *(("weights", {"encoder.head.0.weight": {"bits": 8, "steps": steps}}) for steps in STEPS),
    ("activations", None),
    *(("activations", {"x": {"bits": 8, "scale": 1.0, "signed": True, "steps": steps}}) for steps in STEPS),
    ("activations", {"": {"bits": 8, "scale": 1.0, "signed": True, "steps": []}}),
    ("activations", {"x" * 201: {"bits": 8, "scale": 1.0, "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": 1.0, "steps": []}}),
    ("activations", {"x": {"bits": 16, "scale": 1.0, "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": 0.0, "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": -1.0, "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": 1e-40, "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": 1e39, "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": 10**400, "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": float("inf"), "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": float("nan"), "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": True, "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": "1", "signed": True, "steps": []}}),
    ("activations", {"x": {"bits": 8, "scale": 1.0, "signed": 1, "steps": []}}),
]


@pytest.mark.parametrize(("key", "value"), HOSTILE, ids=[f"{k}-{str(v)[:30]!a}" for k, v in HOSTILE])
def test_hostile_compressions_are_refused(key: str, value: Any) -> None:
    data = json.loads(SPEC.to_json())
    if key:
        data["compression"][key] = value
    else:
        data["compression"] = value
    with pytest.raises(ModelError) as error:
        ModelSpec.from_json(json.dumps(data))
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value) and len(str(error.value)) < 300


def test_steps_are_one_for_each_input() -> None:
    for steps, fits in (([], True), ([0, -5, -128], True), ([0, -5], False), ([0] * 4, False)):
        data = json.loads(SPEC.to_json())
        data["compression"]["weights"] = {"encoder.head.0.weight": {"bits": 8, "steps": steps}}
        if fits:
            assert ModelSpec.from_json(json.dumps(data)).compression is not None
        else:
            with pytest.raises(ModelError, match=f"has {len(steps)} steps for the inputs of encoder.head.0.weight"):
                ModelSpec.from_json(json.dumps(data))


def test_who_has_a_file_of_before_is_told_what_to_do() -> None:
    data = json.loads(SPEC.to_json())
    data["compression"]["weights"] = {"encoder.head.0.weight": {"bits": 8, "exponents": [0, 0, 0]}}
    with pytest.raises(
        ModelError, match=r"bits, steps, not .* if another version of edge-liif made it, compress it again"
    ):
        ModelSpec.from_json(json.dumps(data))


@pytest.mark.parametrize("key", json.loads(SPEC.to_json())["compression"].keys())
def test_nothing_may_be_left_out(key: str) -> None:
    data = json.loads(SPEC.to_json())
    del data["compression"][key]
    with pytest.raises(ModelError, match="exactly"):
        ModelSpec.from_json(json.dumps(data))


def test_json_nested_beyond_python_is_refused() -> None:
    text = SPEC.to_json().replace('"deep":null', '"deep":' + "[" * 100_000 + "]" * 100_000)
    with pytest.raises(ModelError):
        ModelSpec.from_json(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, here: tuple = ()) -> list[tuple]:
    found = [here]
    if isinstance(value, dict):
        for key, inside in value.items():
            found += paths(inside, (*here, key))
    return found


PATHS = [("compression", *path) for path in paths(json.loads(SPEC.to_json())["compression"])]


@given(st.sampled_from(PATHS), JSON)
def test_any_json_anywhere_is_refused_or_comes_back_unchanged(path: tuple, value: Any) -> None:
    """Nothing else may happen: no other exception, and no value that is silently turned into another."""
    data = copy.deepcopy(json.loads(SPEC.to_json()))
    target = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    try:
        spec = ModelSpec.from_json(json.dumps(data))
    except ModelError:
        return
    assert json.loads(spec.to_json()) == data


def test_values_made_in_code_are_checked_too() -> None:
    with pytest.raises(ModelError, match="weight bits"):
        WeightQuantization(16)
    with pytest.raises(ModelError, match="no weight of this network"):
        replace(PLAIN, compression=replace(COMPRESSION, weights={"imnet.layers.9.weight": WeightQuantization(8)}))
    with pytest.raises(ModelError, match="not plain JSON"):
        replace(COMPRESSION, config={"x": object()})
