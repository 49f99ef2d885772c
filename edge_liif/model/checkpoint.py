"""Networks on disk: our .safetensors (specification in the metadata), and conversion of the LIIF authors' .pth.

Nothing is ever unpickled with code in it: a foreign .pth is read with torch's `weights_only=True` and converted once.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError, ModelError
from . import edsr, liif, rdn
from .selfcheck import OUT_SIZE
from .spec import ModelSpec
from .stored import StoredTensor, from_stored, layout, to_stored
from .zoo import sha256_of

SPEC_KEY = "edge_liif_spec"
# Not part of the network: the literal reference's answer on `selfcheck.picture()`, by which every engine on every
# machine is judged without torch.
KNOWN_ANSWER = "selfcheck.answer"
# sha256 of the specification and all other tensors of the file, as bytes. A tensor, because safetensors writes metadata
# of more than one entry in any order, and the same network shall be the same file.
CONTENTS = "contents.sha256"
_UNUSED = ("encoder.sub_mean.", "encoder.add_mean.")


@dataclass(frozen=True)
class Network:
    """A specification and its tensors: float32 arrays by name; `known_answer` (rows, columns, 3) if the file has one;
    `sha256` of the file it came from, if any."""

    spec: ModelSpec
    tensors: Mapping[str, NDArray[np.float32]]
    known_answer: NDArray[np.float32] | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        expected = self.spec.tensor_shapes
        answer = self.known_answer
        if answer is not None and (answer.shape != (*OUT_SIZE, 3) or not np.isfinite(answer).all()):
            raise ModelError(f"model {self.spec.name}: its known answer has the wrong shape or is not finite")
        missing = sorted(expected.keys() - self.tensors.keys())
        extra = sorted(self.tensors.keys() - expected.keys())
        if missing or extra:
            what = f"lacks {missing[0]}" if missing else f"has {extra[0]} too much"
            raise ModelError(f"model {self.spec.name}: {what}; specification and tensors don't belong together")
        for name, shape in expected.items():
            tensor = self.tensors[name]
            if tensor.shape != shape:
                raise ModelError(f"model {self.spec.name}: {name} is {tensor.shape}, its specification says {shape}")
            if not np.isfinite(tensor).all():
                raise ModelError(f"model {self.spec.name}: {name} holds numbers that are not finite; it is damaged")


def random_network(spec: ModelSpec, seed: int = 0) -> Network:
    """A network with random weights of the usual size (He), for tests and for speed, where values don't matter."""
    generator = np.random.default_rng(seed)
    tensors = {}
    for name, shape in spec.tensor_shapes.items():
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 64
        scale = np.sqrt(2 / fan_in) if len(shape) > 1 else 0.05
        tensors[name] = (scale * generator.standard_normal(shape)).astype(np.float32)
    return Network(spec, tensors)


def load_network(path: Path, expected_sha256: str | None = None) -> Network:
    """Read a .safetensors network. Raises ModelError if it is missing, damaged, not ours, or has another sha256.

    Files that were written with the sha256 of their contents, as every compressed one is, are compared with that, too.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix in {".pth", ".pt"}:
        raise ModelError(f"{path}: convert it first with: edge-liif models import {path}")
    digest = sha256_of(path)
    if expected_sha256 is not None and digest != expected_sha256:
        raise ModelError(
            f"{path}: is damaged or has been replaced (sha256 {digest[:12]}..., expected "
            f"{(expected_sha256 or 'a recorded one')[:12]}...); reinstall edge-liif, or fetch or import the model again"
        )
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            if SPEC_KEY not in metadata:
                raise ModelError(f"{path}: a safetensors file, but no edge-liif model (no specification in it)")
            spec = _named(path, metadata[SPEC_KEY])
            names = list(file.keys())
            # Compared before any tensor is read: a hostile header must not make us allocate.
            _check_header(path, spec, {name: file.get_slice(name) for name in names})
            stored = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, ValueError, OSError, TypeError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({str(error)[:120]})") from error
    said = stored.pop(CONTENTS, None)
    if said is None and spec.compression is not None:
        raise ModelError(f"{path}: compressed, but without the sha256 of its contents; compress the model again")
    if said is not None and said.tobytes() != contents_digest(metadata[SPEC_KEY], stored):
        raise ModelError(f"{path}: is damaged or has been changed (its contents have another sha256 than it says)")
    answer = stored.pop(KNOWN_ANSWER, None)
    try:
        return Network(spec, from_stored(spec, stored), answer if answer is None else answer.astype(np.float32), digest)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def save_network(network: Network, path: Path, dtype: type[np.floating] = np.float32) -> None:
    """Write a network; float16 halves what is not quantized. The file appears under its name only when it is whole.

    Weights that the specification quantizes are packed into their bits, and are read back exactly as they are here.
    Raises ModelError if one of them can't be (see `levels.to_levels`), or if the file can't be written.
    """
    from safetensors.numpy import save

    tensors = to_stored(network.spec, network.tensors, dtype)
    if network.known_answer is not None:
        tensors[KNOWN_ANSWER] = np.ascontiguousarray(network.known_answer)
    specification = network.spec.to_json()
    tensors[CONTENTS] = np.frombuffer(contents_digest(specification, tensors), np.uint8)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(save(tensors, {SPEC_KEY: specification}))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ModelError(f"{path}: can't be written ({error.strerror or error})") from error


def contents_digest(specification: str, tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """sha256 of a file's specification and of names, types, shapes and bytes of its tensors, `CONTENTS` left out."""
    digest = hashlib.sha256(specification.encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"\n{name} {tensor.dtype.name} {tensor.shape}\n".encode())
        digest.update(tensor.data)
    return digest.digest()


def read_liif_checkpoint(path: Path, name: str) -> Network:
    """Read the LIIF authors' format `{'model': {'name': 'liif', 'args': ..., 'sd': tensors}}`, encoder RDN or EDSR.

    Needs torch. Raises ModelError for anything else, a pickle that carries code included; EngineError without torch.
    """
    try:
        import torch
    except ImportError as error:
        raise EngineError("reading .pth files needs torch: pip install 'edge-liif[torch]'") from error
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    if _inflated_bytes(path) > path.stat().st_size:
        raise ModelError(f"{path}: its members are compressed, which torch's are not; it is no plain checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of a bad file is said in the error below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises whatever its reader met: UnpicklingError, RuntimeError, EOFError, KeyError, zipfile errors ...
        raise ModelError(
            f"{path}: not a plain PyTorch checkpoint ({type(error).__name__}); files that carry code are refused"
        ) from error
    try:
        state = {key: value for key, value in content["model"]["sd"].items() if not key.startswith(_UNUSED)}
        # strides of zero make much of little
        if sum(value.numel() * value.element_size() for value in state.values()) > path.stat().st_size:
            raise ModelError(f"{path}: its tensors are larger than the file; it is no plain checkpoint")
        tensors = {key: value.to(torch.float32).numpy() for key, value in state.items()}
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: a checkpoint, but not LIIF's ({{'model': {{'sd': tensors}}}} expected)") from error
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    try:
        encoder = rdn.detect(shapes) or edsr.detect(shapes)
        if encoder is None:
            raise ModelError("its encoder is neither RDN nor EDSR")
        spec = ModelSpec(name, encoder, liif.detect(shapes, encoder.features), parent_sha256=sha256_of(path))
        return Network(spec, tensors)
    except (ModelError, IndexError) as error:
        raise ModelError(f"{path}: {error}") from error


def _inflated_bytes(path: Path) -> int:
    """What the members of a zip file say that they hold; 0 of any other file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return 0


def with_spec(network: Network, **changes: object) -> Network:
    """The same tensors under a changed specification."""
    return replace(network, spec=replace(network.spec, **changes))  # type: ignore[arg-type]


def _named(path: Path, text: str) -> ModelSpec:
    try:
        return ModelSpec.from_json(text)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _check_header(path: Path, spec: ModelSpec, slices: Mapping[str, Any]) -> None:
    expected = layout(spec)
    missing = sorted(expected.keys() - slices.keys())
    if missing:
        raise ModelError(f"{path}: lacks {missing[0]}; specification and tensors don't belong together")
    expected[KNOWN_ANSWER] = StoredTensor((*OUT_SIZE, 3))
    expected[CONTENTS] = StoredTensor((hashlib.sha256().digest_size,), ("U8",))
    for name, found in slices.items():
        if name not in expected or tuple(found.get_shape()) != expected[name].shape:
            raise ModelError(f"{path}: tensor {name} does not fit the model's specification")
        if found.get_dtype() not in expected[name].dtypes:
            wanted = " or ".join(expected[name].dtypes)
            raise ModelError(f"{path}: tensor {name} is {found.get_dtype()}; this version reads {wanted} there")
