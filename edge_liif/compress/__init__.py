"""Making smaller networks: data-free pruning and quantization. Nothing of the run path imports this wing.

    from edge_liif.compress import CompressConfig, compress
    small, report = compress(edge_liif.load("rdn-liif-s").network, CompressConfig(prune=0.25, weight_bits=8))

torch is imported with the first of the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import CompressConfig
    from .pipeline import CompressReport, compress

__all__ = ["CompressConfig", "CompressReport", "compress"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import config, pipeline

        return getattr(config if name == "CompressConfig" else pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
