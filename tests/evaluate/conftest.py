"""Where the benchmark pictures lie, which can't be part of the repository, and the two that are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def benchmark_data() -> Path:
    """The folder that holds eval/Set5 and so on: EDGE_LIIF_DATA, else ../shared/data beside the repository."""
    named = os.environ.get("EDGE_LIIF_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not (folder / "eval").is_dir():
        pytest.skip(f"no benchmark pictures: {folder}/eval is not there (set EDGE_LIIF_DATA)")
    return folder


@pytest.fixture(scope="session")
def examples() -> Path:
    """The two Kodak photographs that come with the repository."""
    return REPOSITORY / "examples"
