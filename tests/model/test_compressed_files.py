"""Files of quantized networks: as small as their bits say, read back exactly, and refused when anything is off."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from edge_liif.errors import ModelError
from edge_liif.model.checkpoint import CONTENTS, SPEC_KEY, Network, contents_digest, load_network, save_network
from edge_liif.model.liif import DecoderSpec, float_columns
from edge_liif.model.quantization import Compression, WeightQuantization
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from edge_liif.model.stored import layout
from edge_liif.model.zoo import sha256_of

HEAD = "encoder.SFENet1.weight"
BITS = (3, 4, 5, 6, 8)


@pytest.fixture(scope="module")
def quantized(small_rdn: Network) -> Network:
    """The small RDN with every weight but the last layer's rounded to 3..8 bits, one scale per output channel."""
    names = [name for name in small_rdn.tensors if name.endswith(".weight") and name != "imnet.layers.6.weight"]
    weights = {name: WeightQuantization(BITS[i % len(BITS)]) for i, name in enumerate(names)}
    tensors = dict(small_rdn.tensors)
    for name, quantization in weights.items():
        rows = tensors[name].reshape(len(tensors[name]), -1)
        scale = (np.abs(rows).max(axis=1) / quantization.largest).astype(np.float32)[:, None]
        tensors[name] = (np.rint(rows / scale).astype(np.float32) * scale).reshape(tensors[name].shape)
    made = Compression("rtn", {"bits": list(BITS)}, "0" * 64, 0, {"numpy": np.__version__}, weights, {})
    return Network(replace(small_rdn.spec, compression=made), tensors)


@pytest.fixture
def file(quantized: Network, tmp_path: Path) -> Path:
    path = tmp_path / "q.safetensors"
    save_network(quantized, path)
    return path


def contents(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with safe_open(path, "numpy") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()  # noqa: SIM118


def rewrite(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """The file with other contents, and the sha256 of those."""
    tensors.pop(CONTENTS)
    digest = np.frombuffer(contents_digest(metadata[SPEC_KEY], tensors), np.uint8)
    path.write_bytes(safetensors.numpy.save({**tensors, CONTENTS: digest}, metadata))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_round_trip(quantized: Network, tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "m.safetensors"
    save_network(quantized, path, dtype)
    loaded = load_network(path, sha256_of(path))
    assert loaded.spec == quantized.spec and loaded.tensors.keys() == quantized.tensors.keys()
    assert quantized.spec.compression is not None
    for name, tensor in quantized.tensors.items():
        expected = tensor if name in quantized.spec.compression.weights else tensor.astype(dtype)
        assert loaded.tensors[name].dtype == np.float32 and np.array_equal(loaded.tensors[name], expected)
    again = tmp_path / "again.safetensors"
    save_network(loaded, again, dtype)
    assert again.read_bytes() == path.read_bytes()


def test_the_file_is_as_small_as_its_bits_say(quantized: Network, file: Path) -> None:
    assert quantized.spec.compression is not None
    bits = {name: q.bits for name, q in quantized.spec.compression.weights.items()}
    expected = 0
    for name, shape in quantized.spec.tensor_shapes.items():
        count = math.prod(shape)
        if name in bits:
            loose = shape[0] * float_columns(name)
            expected += math.ceil((count - loose) * bits[name] / 8) + 4 * (shape[0] + loose)
        else:
            expected += 4 * count
    content = file.read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    assert len(content) == header + expected + 32  # the sha256 of its contents
    tensors, _ = contents(file)
    assert HEAD not in tensors and tensors[f"{HEAD}.packed"].dtype == np.uint8


def test_22_million_parameters_at_4_bits_are_11_megabytes() -> None:
    """Configuration B of the paper: by what its file's header would say."""
    spec = ModelSpec("large", RDNSpec.uniform(16, 8, 64), DecoderSpec((256,) * 4))
    names = [name for name in spec.tensor_shapes if name.endswith(".weight")]
    weights = {name: WeightQuantization(4) for name in names[1:]}  # the first stays in float
    made = Compression("lockstep", {}, "0" * 64, 0, {}, weights, {})
    size = {"U8": 1, "F32": 4, "F16": 4}
    stored = layout(replace(spec, compression=made)).values()
    assert 11.0e6 < sum(math.prod(tensor.shape) * size[tensor.dtypes[0]] for tensor in stored) < 11.5e6


def test_it_loads_without_torch(file: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from edge_liif.model.checkpoint import load_network\n"
        f"load_network(Path({str(file)!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_weights_that_are_not_levels_are_not_written(quantized: Network, small_rdn: Network, tmp_path: Path) -> None:
    wrong = replace(quantized, tensors={**quantized.tensors, HEAD: small_rdn.tensors[HEAD]})
    with pytest.raises(ModelError, match=r"encoder\.SFENet1\.weight: output channel \d+ is not made of whole levels"):
        save_network(wrong, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


Change = Callable[[dict[str, np.ndarray]], Any]
PACKED, SCALE = f"{HEAD}.packed", f"{HEAD}.scale"  # HEAD is the first: 3 bits


def _set(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda tensors: tensors.update({name: change(tensors[name])})


def _with(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda scale: np.concatenate([scale[:-1], np.float32([value])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(PACKED, lambda t: t[:-1]), "does not fit"),
        (_set(PACKED, lambda t: np.append(t, np.uint8(0))), "does not fit"),
        (_set(PACKED, lambda t: t[None]), "does not fit"),
        (_set(PACKED, lambda t: t.view(np.int8)), "is I8; this version reads U8"),
        (_set(PACKED, lambda t: np.full_like(t, 0x24)), "a level below -3"),  # 100 100 ..., the unused level
        (_set(SCALE, lambda t: t[:-1]), "does not fit"),
        (_set(SCALE, lambda t: t.astype(np.float16)), "is F16; this version reads F32"),
        (_set(SCALE, lambda t: t.astype(np.float64)), "is F64; this version reads F32"),
        (_set(SCALE, _with(0)), "no scales"),
        (_set(SCALE, _with(-0.1)), "no scales"),
        (_set(SCALE, _with(np.nan)), "no scales"),
        (_set(SCALE, _with(np.inf)), "no scales"),
        (_set(SCALE, _with(3e38)), "not finite"),
        (_set("encoder.SFENet1.bias", lambda t: t.astype(np.float64)), "is F64; this version reads F16 or F32"),
        (_set("encoder.SFENet1.bias", lambda t: t.astype(np.int32)), "is I32"),
        (lambda t: t.pop(PACKED), "lacks encoder.SFENet1.weight.packed"),
        (lambda t: t.pop(SCALE), "lacks encoder.SFENet1.weight.scale"),
        (lambda t: t.update({HEAD: np.zeros((16, 3, 3, 3), np.float32)}), "does not fit"),
        (lambda t: t.update({"imnet.layers.6.weight.packed": np.zeros(8, np.uint8)}), "does not fit"),
    ],
)
def test_tensors_that_are_off_are_refused(file: Path, change: Change, message: str) -> None:
    tensors, metadata = contents(file)
    change(tensors)
    rewrite(file, tensors, metadata)
    with pytest.raises(ModelError) as error:
        load_network(file)
    assert message in str(error.value) and str(file) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", [PACKED, SCALE, "encoder.SFENet1.bias"])
def test_one_changed_value_is_noticed(file: Path, name: str) -> None:
    tensors, metadata = contents(file)
    tensors[name].view(np.uint8)[0] ^= 1  # a level, or the last bit of a float: nothing else would tell
    file.write_bytes(safetensors.numpy.save(tensors, metadata))
    with pytest.raises(ModelError, match="is damaged or has been changed"):
        load_network(file)


def test_a_changed_specification_is_noticed(file: Path) -> None:
    tensors, metadata = contents(file)
    data = json.loads(metadata[SPEC_KEY])
    data["compression"]["seed"] = 1
    file.write_bytes(safetensors.numpy.save(tensors, {SPEC_KEY: json.dumps(data)}))
    with pytest.raises(ModelError, match="is damaged or has been changed"):
        load_network(file)


def test_a_compressed_file_without_its_sha256_is_refused(file: Path) -> None:
    tensors, metadata = contents(file)
    tensors.pop(CONTENTS)
    file.write_bytes(safetensors.numpy.save(tensors, metadata))
    with pytest.raises(ModelError, match="without the sha256 of its contents; compress the model again"):
        load_network(file)


def test_set_bits_behind_the_last_weight_are_refused(quantized: Network, file: Path) -> None:
    name = "encoder.RDBs.1.convs.1.conv.0.weight"
    assert quantized.spec.compression is not None
    bits = math.prod(quantized.spec.tensor_shapes[name]) * quantized.spec.compression.weights[name].bits
    assert bits % 8, "the last byte must have bits left over"
    tensors, metadata = contents(file)
    tensors[f"{name}.packed"][-1] |= 0x80
    rewrite(file, tensors, metadata)
    with pytest.raises(ModelError, match="belong to no weight"):
        load_network(file)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_specification_with_other_bits_does_not_fit(file: Path, bits: int) -> None:
    tensors, metadata = contents(file)
    data = json.loads(metadata[SPEC_KEY])
    data["compression"]["weights"][HEAD]["bits"] = bits
    rewrite(file, tensors, {SPEC_KEY: json.dumps(data)})
    with pytest.raises(ModelError, match="does not fit"):
        load_network(file)


@pytest.mark.parametrize("name", [PACKED, SCALE])
def test_a_header_that_claims_terabytes_is_refused_before_reading(file: Path, name: str) -> None:
    content = file.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header[name] = {"dtype": "U8", "shape": [10**12], "data_offsets": [0, 10**12]}
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    with pytest.raises(ModelError):
        load_network(file)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_one_changed_byte_never_passes_its_sha256_and_never_breaks_us(file: Path, data: st.DataObject) -> None:
    content = file.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    path = file.with_name("changed.safetensors")
    path.write_bytes(changed)
    with pytest.raises(ModelError, match="sha256"):
        load_network(path, sha256_of(file))
    try:
        network = load_network(path)
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        # a space of the header that became another one, and the like
        good = load_network(file)
        assert network.spec == good.spec
        assert all(np.array_equal(network.tensors[name], tensor) for name, tensor in good.tensors.items())
