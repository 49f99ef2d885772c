"""What a person sees while it works: lines and a progress bar, on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from ..errors import OutputError, one_line


def complain(message: str) -> None:
    """One line on stderr, however long or odd the message is."""
    say(f"edge-liif: {one_line(message)}")


def say(message: str) -> None:
    """A line of the log, on stderr. Nobody reading it is no reason to stop the work."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)


@contextmanager
def standard_output() -> Iterator[None]:
    """Printing to stdout in here raises OutputError when it can't take it (full disk, closed)."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence_stdout()
        raise OutputError(f"standard output: can't be written ({(error.strerror or str(error)).lower()})") from error


def flush_or_drop() -> None:
    """Write what waits for stdout; where that can't be, forget it."""
    try:
        sys.stdout.flush()
    except OSError:
        silence_stdout()


def silence_stdout() -> None:
    """Send what is still waiting to go to stdout nowhere, so that the interpreter's end doesn't try it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def amount(size: float | None) -> str:
    """Bytes for people, in MiB."""
    return "unknown" if size is None else f"{size / 2**20:,.0f} MiB"


class Update(Protocol):
    """How far it is, and what it is at, if that is worth saying."""

    def __call__(self, done: int, total: int | None, what: str = "", /) -> None: ...


@contextmanager
def progress_bar(label: str, shown: bool, unit: str = "") -> Iterator[Update | None]:
    """A bar with the time left on a terminal; nothing in a pipe."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    middle = DownloadColumn() if unit == "bytes" else TextColumn("{task.percentage:>3.0f}%")
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        middle,
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
    with bar:
        task = bar.add_task(escape(label), total=None)

        def update(done: int, total: int | None, what: str = "", /) -> None:
            bar.update(task, completed=done, total=total, description=escape(f"{label}: {what}" if what else label))

        yield update
