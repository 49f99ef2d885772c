"""TOML files, by the standard library where it has a parser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file in UTF-8. Raises OSError, ValueError for what is no TOML or no UTF-8, RecursionError."""
    # only now: most runs read no TOML
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(path.read_text(encoding="utf-8"))
