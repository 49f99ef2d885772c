"""Signals end a run by KeyboardInterrupt, once. In processes of their own: signals are a process's, not a test's."""

from __future__ import annotations

import subprocess
import sys

PREAMBLE = """
import signal, time
from edge_liif import cli
signal.signal(signal.SIGINT, signal.default_int_handler)

def raises(number):
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        return True
    return False
"""


def answers(code: str) -> list[str]:
    """What the code prints, word by word."""
    result = subprocess.run([sys.executable, "-c", PREAMBLE + code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_second_signal_does_not_interrupt_the_tidying_up() -> None:
    code = """
cli._catch_signals()
print(raises(signal.SIGTERM), raises(signal.SIGINT))
later = time.monotonic() + 10
time.monotonic = lambda: later
print(raises(signal.SIGINT))  # but a run that hangs can still be stopped
"""
    assert answers(code) == ["True", "False", "True"]


def test_what_is_ignored_stays_so() -> None:
    code = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
cli._catch_signals()
print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
"""
    assert answers(code) == ["True", "False"]
