"""Which models there are, where their files lie, and whether a file is the one it should be.

Names come from the manifest `weights/models.toml` (bundled and downloadable models) and from the user's own folder
(`models_home()`: downloaded and imported models, `NAME.safetensors` with a record `NAME.json` beside it).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from edge_liif.errors import ModelError
from edge_liif.toml_file import read_toml

FORMATS = ("safetensors", "liif-pth")
Status = Literal["bundled", "missing", "downloaded", "imported", "not fetched"]

# Starts with a letter or digit: no hidden files, no "..", and half-made files (leading dot) are never listed.
# `--model auto` is a choice, not a model.
_NAME = re.compile(r"(?!auto$)[A-Za-z0-9][A-Za-z0-9._+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIST, _WHOLE, _BOOL = "a list of strings", "a whole number", "true or false"
_KINDS = {"authors": _LIST, "urls": _LIST, "size": _WHOLE, "default": _BOOL}  # the other keys are strings


@dataclass(frozen=True)
class ModelEntry:
    """One model of the manifest. `size` (bytes) and `sha256` (64 hex digits; "" if not yet known) are those of the
    bundled `file`, or of what `urls` give before it is converted. Exactly one of `file` and `urls` is set.
    `jpeg_variant` names another model of the manifest, trained on pictures that JPEG damaged; "" if there is none."""

    name: str
    title: str
    architecture: str
    authors: tuple[str, ...]
    licence: str
    size: int
    sha256: str
    summary: str
    paper: str = ""
    licence_file: str = ""
    file: str = ""
    urls: tuple[str, ...] = ()
    format: str = "safetensors"
    default: bool = False
    jpeg_variant: str = ""

    @property
    def bundled(self) -> bool:
        """True if the weights come with the package."""
        return bool(self.file)


@dataclass(frozen=True)
class ResolvedModel:
    """A model file that exists. `sha256_expected` is None for a file the user named by its path (nothing to compare
    with) and "" for a model that should have a known sha256 but has none, which `verify` refuses."""

    name: str
    path: Path
    sha256_expected: str | None
    bundled: bool


@dataclass(frozen=True)
class ListedModel:
    """One line of `list_models`. `path` is None if there is no file, `entry` is None for imported models.
    The status "missing" is a bundled model whose file is not there."""

    name: str
    status: Status
    path: Path | None
    entry: ModelEntry | None


@dataclass(frozen=True)
class Record:
    """What `NAME.json` says about `NAME.safetensors`: its sha256, what it was made from, and when (UTC, ISO 8601)."""

    sha256: str
    source_url: str | None
    source_sha256: str | None
    date: str


def weights_folder() -> Path:
    """The folder of the manifest and the bundled weights. Raises ModelError if the package came without it."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "weights", package.parent / "weights"):  # in a wheel; in the repository
        if (folder / "models.toml").is_file():
            return folder
    raise ModelError(f"{package / 'weights' / 'models.toml'} is missing: reinstall edge-liif")


def models_home() -> Path:
    """The user's folder of downloaded and imported models, `$EDGE_LIIF_HOME/models` if that is set. May not exist."""
    return _home("models")


def cache_home() -> Path:
    """The user's folder of things that can be made again, `$EDGE_LIIF_HOME/cache` if that is set. May not exist."""
    return _home("cache")


def _home(part: str) -> Path:
    if home := os.environ.get("EDGE_LIIF_HOME"):
        return Path(home).expanduser() / part
    import platformdirs

    if part == "cache":
        return platformdirs.user_cache_path("edge-liif", appauthor=False)
    return platformdirs.user_data_path("edge-liif", appauthor=False) / part


def home_path(name: str) -> Path:
    """Where a downloaded or imported model of that name lies. Raises ModelError if it can't be a model's name."""
    if not _NAME.fullmatch(name):
        raise ModelError(f"{name!r} can't be a model's name: use letters, digits and ._+-, no mark first, not auto")
    return models_home() / f"{name}.safetensors"


def load_manifest(path: Path | None = None) -> dict[str, ModelEntry]:
    """The models of a manifest (the package's own if `path` is None), in the order of the file.
    Raises ModelError, naming file, table and key, if it can't be read or breaks a rule of `models.toml`."""
    path = weights_folder() / "models.toml" if path is None else Path(path)
    try:
        tables = read_toml(path)
    except OSError as error:
        raise ModelError(f"{path}: can't read the model manifest: {error.strerror or error}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise ModelError(f"{path}: the model manifest is not valid TOML: {error}") from error
    manifest = {name: _entry(name, table, f"{path}: [{name}]") for name, table in tables.items()}
    defaults = [entry.name for entry in manifest.values() if entry.default]
    if len(defaults) != 1:
        raise ModelError(f"{path}: exactly one model must have default = true, not {', '.join(defaults) or 'none'}")
    for name, entry in manifest.items():
        if entry.jpeg_variant and (entry.jpeg_variant == name or entry.jpeg_variant not in manifest):
            raise ModelError(f"{path}: [{name}]: jpeg_variant must name another model, not {entry.jpeg_variant!r}")
    return manifest


def _entry(name: str, table: Any, where: str) -> ModelEntry:
    if not isinstance(table, dict) or not _NAME.fullmatch(name):
        raise ModelError(f"{where}: must be a table named by a model: letters, digits and ._+-, no mark first")
    known = {field.name: field for field in fields(ModelEntry) if field.name != "name"}
    for key in table.keys() - known.keys():
        raise ModelError(f"{where}: unknown key {key!r}")
    values: dict[str, Any] = {"name": name}
    for key, field in known.items():
        if key not in table:
            if field.default is MISSING:
                raise ModelError(f"{where}: {key} is missing")
            continue
        value, kind = table[key], _KINDS.get(key, "a string")
        if not _is_a(value, kind):
            raise ModelError(f"{where}: {key} must be {kind}, not {value!r}")
        values[key] = tuple(value) if isinstance(value, list) else value
    return _checked(ModelEntry(**values), where)


def _is_a(value: Any, kind: str) -> bool:
    right_type = type(value) is {_LIST: list, _WHOLE: int, _BOOL: bool}.get(kind, str)  # isinstance: True is an int
    return right_type and (kind != _LIST or all(isinstance(item, str) for item in value))


def _checked(entry: ModelEntry, where: str) -> ModelEntry:
    sha256_ok = not entry.sha256 or _SHA256.fullmatch(entry.sha256)
    size_ok = entry.size > 0 or (entry.size == 0 and not entry.sha256)  # 0 and "" only while the file is not made yet
    file_ok = all(not name or _NAME.fullmatch(name) for name in (entry.file, entry.licence_file))
    urls_ok = all(url.startswith(("https://", "http://")) for url in entry.urls)
    rules = (
        (bool(entry.file) != bool(entry.urls), "give either file (bundled) or urls (downloaded)"),
        (entry.format in FORMATS, f"format must be one of {', '.join(FORMATS)}, not {entry.format!r}"),
        (not entry.file or entry.format == "safetensors", "a bundled model must be in the safetensors format"),
        (file_ok, "file and licence_file must be names of files beside the manifest"),
        (sha256_ok, f"sha256 must be 64 hex digits in lower case, not {entry.sha256!r}"),
        (size_ok, f"size must be the file's bytes, not {entry.size}"),
        (not entry.urls or entry.sha256, "a model that is downloaded needs a sha256"),
        (urls_ok, "urls must start with https:// or http://"),
    )
    for kept, message in rules:
        if not kept:
            raise ModelError(f"{where}: {message}")
    return entry


def default_entry() -> ModelEntry:
    """The model that is used when none is named. Raises ModelError as `load_manifest` does."""
    return next(entry for entry in load_manifest().values() if entry.default)


def default_model() -> str:
    """The name of the default model. Raises ModelError as `load_manifest` does."""
    return default_entry().name


def resolve(name_or_path: str | Path) -> ResolvedModel:
    """The file of a model given by name or by path. A Path, anything with a path separator and anything ending in
    .safetensors, .pth or .pt is a path; a manifest name wins over a file of the same name in the current folder.
    Nothing is read or verified here. Raises ModelError, saying what to do, if there is no such model."""
    text = str(name_or_path)
    is_path = isinstance(name_or_path, Path) or os.sep in text or "/" in text
    if is_path or text.lower().endswith((".safetensors", ".pth", ".pt")):
        return _resolve_file(Path(text).expanduser())
    entry = (manifest := load_manifest()).get(text)
    if entry is not None and entry.bundled:
        if not _is_file(path := weights_folder() / entry.file):
            raise ModelError(f"{path} of the bundled model {text} is missing: reinstall edge-liif")
        return ResolvedModel(text, path, entry.sha256, bundled=True)
    if entry is None and _is_file(Path(text)):
        return _resolve_file(Path(text))
    if _NAME.fullmatch(text) and _is_file(path := home_path(text)):
        record = read_record(path)
        return ResolvedModel(text, path, record.sha256 if record else "", bundled=False)
    if entry is not None:
        raise ModelError(f"{text} is not on this machine; fetch it with: edge-liif models fetch {text}")
    known = [*manifest, *_imported(manifest)]
    close = difflib.get_close_matches(text, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ModelError(f"no model is called {text!r}{hint} (known: {', '.join(known)})")


def _resolve_file(path: Path) -> ResolvedModel:
    if not _is_file(path):
        raise ModelError(f"{path}: there is no model file, or it can't be reached")
    if path.suffix.lower() in (".pth", ".pt"):
        raise ModelError(f"{path} is a PyTorch checkpoint; convert it first: edge-liif models import {path}")
    return ResolvedModel(path.stem, path, None, bundled=False)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no permission, name too long
        return False


def _imported(manifest: Mapping[str, ModelEntry]) -> list[str]:
    names = (path.stem for path in models_home().glob("*.safetensors") if path.is_file())
    return sorted(name for name in names if name not in manifest and _NAME.fullmatch(name))


def list_models() -> list[ListedModel]:
    """Every model known on this machine: the manifest's in its order, then the imported ones by name.
    Raises ModelError as `load_manifest` does."""
    manifest = load_manifest()
    listed = []
    for entry in manifest.values():
        path = weights_folder() / entry.file if entry.bundled else home_path(entry.name)
        if _is_file(path):
            listed.append(ListedModel(entry.name, "bundled" if entry.bundled else "downloaded", path, entry))
        else:
            listed.append(ListedModel(entry.name, "missing" if entry.bundled else "not fetched", None, entry))
    return listed + [ListedModel(name, "imported", home_path(name), None) for name in _imported(manifest)]


def sha256_of(path: Path, chunk: int = 1 << 20) -> str:
    """The sha256 of a file, 64 hex digits in lower case; reads `chunk` bytes at a time.
    Raises ModelError if the file can't be read."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(chunk):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror or error}") from error
    return digest.hexdigest()


def verify(resolved: ResolvedModel) -> None:
    """Compares the file with the sha256 it should have; reads all of it. A file named by its path has none to compare
    with and passes. Raises ModelError with expected and found if they differ, or if the expected one is not known."""
    if resolved.sha256_expected is None:
        return
    again = "reinstall edge-liif" if resolved.bundled else "fetch or import it again"
    if not resolved.sha256_expected:
        raise ModelError(f"{resolved.path}: no sha256 is recorded for {resolved.name}, so it can't be trusted; {again}")
    found = sha256_of(resolved.path)
    if found != resolved.sha256_expected:
        what = f"expected sha256 {resolved.sha256_expected}, found {found}"
        raise ModelError(f"{resolved.path} is not the model {resolved.name}, or is damaged: {what}; {again}")


def read_record(model: Path) -> Record | None:
    """The record beside a downloaded or imported model file, None if there is none.
    Raises ModelError if it is there and can't be understood."""
    path = model.with_suffix(".json")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        record = Record(**{field.name: values[field.name] for field in fields(Record)})
        if not _SHA256.fullmatch(record.sha256):
            raise ValueError("sha256 is not 64 hex digits")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged record ({error}); fetch or import {model.name} again") from error
    return record


def write_record(model: Path, *, sha256: str, source_url: str | None, source_sha256: str | None) -> Path:
    """Writes the record of `model` (the path it has or will have) beside it, atomically, and gives its path.
    Raises OSError if the folder can't be written."""
    record = Record(sha256, source_url, source_sha256, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    path = model.with_suffix(".json")
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    half.replace(path)
    return path
