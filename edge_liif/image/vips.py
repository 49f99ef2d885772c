"""The one place where libvips is loaded and configured.

libvips is imported on first use: `import edge_liif.image` must stay cheap, and a process that never touches a file
(the Python API on arrays) never needs it.
"""

from __future__ import annotations

import functools
import os
from types import ModuleType


@functools.cache
def vips() -> ModuleType:
    """The `pyvips` module, imported and configured once.

    No operation cache and one worker thread: pictures are read and written once, in order, so a cache would only
    hold pixels that nobody asks for again, and each further thread costs strip buffers while the network needs the
    cores. Loaders that libvips itself marks as unsafe for untrusted files are blocked.
    """
    # Read when the library starts; a value that the user set stays.
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    import pyvips

    pyvips.cache_set_max(0)
    pyvips.cache_set_max_mem(0)
    pyvips.cache_set_max_files(0)
    pyvips.concurrency_set(1)
    pyvips.block_untrusted_set(True)
    return pyvips


def reason(error: Exception) -> str:
    """What libvips said, on one line: the last distinct line of its message, which is the most specific one."""
    detail = getattr(error, "detail", "") or str(error)
    lines = list(dict.fromkeys(line.strip() for line in detail.splitlines() if line.strip()))
    return lines[-1] if lines else "no reason given"
