"""The one OpenVINO core of this process."""

from __future__ import annotations

import functools

import openvino as ov


@functools.cache
def core() -> ov.Core:
    """Opened once and never closed.

    A core's CPU plugin gives the thread that opens it a stack for signal handlers, and when it is closed brings back
    what was there before. Of two cores, the first closed first, the second brings back the first's, which is gone by
    then: the next signal, Ctrl-C for one, ended the process by SIGSEGV (OpenVINO 2026.4).
    """
    return ov.Core()
