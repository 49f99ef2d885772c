"""What is done with a damaged file, and what may come of it: our own error in one line, or a result."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch  # noqa: F401 (else the first checkpoint would be charged for it)

from edge_liif.engine.select import known_answer_error, open_engine
from edge_liif.errors import EdgeLiifError
from edge_liif.image.formats import FORMATS
from edge_liif.image.picture import Header
from edge_liif.image.read import decode_peak_bytes, probe, read
from edge_liif.image.write import RowWriter
from edge_liif.memory import peak_resident_bytes, resident_bytes
from edge_liif.model.checkpoint import Network, load_network, read_liif_checkpoint

from .mutate import mutated, mutated_model

LARGEST = 20_000_000
"""Pixels that a picture may have in a case: larger ones are refused by their header, as `--max-pixels` does it."""
SLACK_BYTES = 64 << 20
"""Of memory, beside what `decode_peak_bytes` states."""
MODEL_SLACK_BYTES = 256 << 20
"""Of memory, beside twenty times the file: engines are opened for some models."""


@dataclass(frozen=True)
class Seeds:
    """The whole files that cases start from."""

    pictures: dict[str, bytes]
    networks: dict[str, bytes]


def case_file(seeds: Seeds, seed: int, number: int, models: bool) -> tuple[str, bytes]:
    """(name, bytes) of a case; the same for the same numbers."""
    rng = random.Random(f"{seed} {number} {models}")
    files = seeds.networks if models else seeds.pictures
    name = rng.choice(sorted(files))
    others = [files[other] for other in sorted(files)]
    return name, (mutated_model if models else mutated)(files[name], rng, others)


def picture_case(path: Path, number: int) -> str:
    """Read a picture; if it can be read, write it with all its metadata. "refused" or "read".

    Raises AssertionError, or whatever the program should have turned into its own error."""
    header = None
    before = _watched("pictures")
    try:
        header = probe(path)
        outcome = _read_and_write(path, header, number)
    except EdgeLiifError as error:
        _check_line(str(error))
        outcome = "refused"
    decoded = decode_peak_bytes(header) if header is not None and header.pixels <= LARGEST else 0
    _check_memory(before, decoded + SLACK_BYTES)
    return outcome


def _read_and_write(path: Path, header: Header, number: int) -> str:
    picture = read(path, max_pixels=LARGEST)
    assert picture.header == header, "the header changed its mind"
    assert picture.pixels.shape == (header.height, header.width, header.bands)
    if header.pixels > 200_000:
        return "read"
    fmt = sorted(FORMATS)[number % len(FORMATS)]
    target = path.with_name(f"written.{fmt}")
    try:
        with RowWriter(
            target,
            fmt,
            header.width,
            header.height,
            header.bands,
            header.depth,
            picture.icc,
            picture.exif,
            picture.xmp,
            density=picture.density,
            overwrite=True,
            background=(255, 255, 255) if fmt == "jpeg" else None,
        ) as writer:
            writer.write(np.asarray(picture.pixels))
            writer.commit()
        written = probe(target)
        assert (written.width, written.height) == (header.width, header.height), "the result is turned"
    except EdgeLiifError as error:
        _check_line(str(error))
        return "refused by the writer"
    finally:
        target.unlink(missing_ok=True)
    return "read"


def model_case(path: Path, number: int) -> str:
    """Load a network; of some that load, ask an engine the question whose answer is known. Raises as above."""
    size = path.stat().st_size
    before = _watched("models")
    outcome = _load_and_ask(path, number)
    _check_memory(before, 20 * size + MODEL_SLACK_BYTES)
    return outcome


def load(path: Path) -> Network:
    """As `models import` reads a checkpoint, and everything else a model file."""
    return read_liif_checkpoint(path, "fuzzed") if path.suffix == ".pth" else load_network(path)


def _load_and_ask(path: Path, number: int) -> str:
    try:
        network = load(path)
        if number % 10 or network.spec.parameters > 100_000 or network.known_answer is None:
            return "read"
        error = known_answer_error(network, open_engine(network, "openvino", "fp32", "cpu"))
        assert error >= 0 or math.isnan(error)
    except EdgeLiifError as error:
        _check_line(str(error))
        return "refused"
    return "read"


_imported: set[str] = set()


def _watched(kind: str) -> int | None:
    """Resident bytes before a case, for `_check_memory`; None for the first of a kind, which imports everything."""
    if kind not in _imported:
        _imported.add(kind)
        return None
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is resident now (man 5 proc)
    except OSError:
        return peak_resident_bytes()
    return resident_bytes()


def _check_memory(before: int | None, allowed: int) -> None:
    """A case may take so many bytes beside what was resident before."""
    if before is not None:
        grown = (peak_resident_bytes() or 0) - before
        assert grown <= allowed, f"took {grown >> 20} MiB where {allowed >> 20} are allowed"


def _check_line(line: str) -> None:
    assert line.isprintable() and len(line) < 1000, f"not one line: {line[:300]!r}"
