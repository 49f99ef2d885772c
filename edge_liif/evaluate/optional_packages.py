"""Imports of the packages that only measuring needs, so that the run path installs and starts without them."""

from __future__ import annotations

import importlib
from typing import Any

from edge_liif.errors import EdgeLiifError


def require(module: str) -> Any:
    """Import `module` (dotted name of a module in Pillow, scikit-image or OpenCV) and return it.

    Raises `EdgeLiifError` with the command that installs it when it can't be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EdgeLiifError(
            f"Measuring quality needs the module {module!r}, which can't be imported ({error}): "
            "pip install 'edge-liif[eval]'"
        ) from error
