"""edge-liif enlarges pictures by any factor on ordinary machines, inside a memory cap.

    import edge_liif
    upscaler = edge_liif.load(memory="1GiB")
    large = upscaler(array, scale=3)          # uint8 or uint16, (H, W) or (H, W, 1..4)

Nothing heavy is imported until a model is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import EdgeLiifError

if TYPE_CHECKING:
    from .upscaler import Upscaler, load

__version__ = "0.1.0"
__all__ = ["EdgeLiifError", "Upscaler", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in {"load", "Upscaler"}:
        from . import upscaler

        return getattr(upscaler, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
