"""What a person sees while it works: lines and a progress bar, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Update = Callable[[int, int], None]


def complain(message: str) -> None:
    """One line on stderr, however long or odd the message is."""
    print(f"edge-liif: {' '.join(message.split())}", file=sys.stderr)


def say(message: str) -> None:
    """A line of the log, on stderr."""
    print(message, file=sys.stderr, flush=True)


def amount(size: float | None) -> str:
    """Bytes for people, in MiB."""
    return "unknown" if size is None else f"{size / 2**20:,.0f} MiB"


@contextmanager
def progress_bar(label: str, shown: bool, unit: str = "") -> Iterator[Update | None]:
    """A bar with the time left on a terminal; nothing in a pipe. Gives a function of (done, total)."""
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
    )
    with bar:
        task = bar.add_task(escape(label), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
