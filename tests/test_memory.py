"""One heap for all threads, counted by glibc itself."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

COUNT = """
import ctypes, sys, threading
from edge_liif.memory import use_one_heap
if sys.argv[1] == "one":
    use_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(4)
def take():
    together.wait()
    libc.malloc(5000)
    together.wait()
threads = [threading.Thread(target=take) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"), reason="glibc's malloc only"
)
@pytest.mark.parametrize("heaps", ["one", "many"])
def test_heaps_of_threads(heaps: str) -> None:
    done = subprocess.run([sys.executable, "-c", COUNT, heaps], capture_output=True, text=True, check=True)
    count = done.stdout.count("<heap nr=")
    assert count == 1 if heaps == "one" else count > 1, done.stdout
