"""What commands that make files with torch check before they begin."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ..errors import EngineError, UsageError


def check_new_file(path: Path, overwrite: bool) -> None:
    """Raise UsageError if `path` is a folder, is there already and may not be replaced, or has no folder to lie in that
    can be written to."""
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists; use --overwrite or another name")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{path}: folder {path.parent} can't be written to")


def need_torch(what: str, extra: str) -> None:
    """Import torch and torchao, quietly. Raises EngineError, saying which extra installs what is missing."""
    # what torchao and torch think of each other at import is nobody's business here
    for logger in ("torchao", "torch.utils._pytree"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    try:
        import torch  # noqa: F401
        import torchao  # noqa: F401
    except ImportError as error:
        raise EngineError(f"{what} needs torch and torchao: pip install 'edge-liif[{extra}]'") from error
