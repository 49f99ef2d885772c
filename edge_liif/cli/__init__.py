"""The command line, thin: parse, call the API, print.

Results and --json go to stdout, everything else to stderr. Exit status: 0 all done; 1 some input failed (the others
were still done); 2 the call itself was wrong; 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from typing import Any

import typer

from ..errors import EdgeLiifError
from .console import complain, flush_or_drop, say, silence_stdout, standard_output

# Command to module and what is in it, in the order of --help.
_COMMANDS = {
    "run": ("run", "run"),
    "plan": ("run", "plan"),
    "compress": ("compress", "compress"),
    "export": ("export", "export"),
    "eval": ("evaluate", "evaluate"),
    "bench": ("bench", "bench"),
    "doctor": ("doctor", "doctor"),
    "models": ("models", "app"),
}


def _app(arguments: list[str]) -> typer.Typer:
    """The command line; where the first word is a command, that one alone: the others would take longer to import and
    to describe than this one takes to be parsed."""
    app = typer.Typer(
        name="edge-liif",
        help="Enlarge pictures by any factor, on an ordinary CPU, inside a memory cap.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    called = [word for word in arguments[:1] if word in _COMMANDS]
    for name in called or _COMMANDS:
        module, attribute = _COMMANDS[name]
        command = getattr(importlib.import_module(f".{module}", __name__), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"edge-liif {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None: ...


def _interrupt(number: int, frame: Any) -> None:
    # A second signal would interrupt the tidying up that the first one started: impatience, or one sent to the process
    # and to its group.
    now = time.monotonic()
    if now - _interrupt.last > 3:  # type: ignore[attr-defined]
        _interrupt.last = now  # type: ignore[attr-defined]
        raise KeyboardInterrupt


def _catch_signals() -> None:
    """Ctrl-C, `kill` and a closed terminal all end as KeyboardInterrupt; ignored signals (nohup) stay so."""
    _interrupt.last = float("-inf")  # type: ignore[attr-defined]
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _open_standard_streams() -> None:
    """Give a process that was started with closed streams ones that are empty, full and silent.

    Otherwise Python sets them to None, and the next file opened, a picture perhaps, gets descriptor 1 or 2.
    """
    for fd, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            # a stdout that can only be read fails when something is written to it, as it should
            os.dup2(os.open(os.devnull, mode), fd)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115


def main(arguments: list[str] | None = None) -> None:
    """Entry point; always ends by SystemExit."""
    _open_standard_streams()
    _catch_signals()
    status = _status(arguments)
    if status == 130:
        # All is tidied up; another Ctrl-C while the interpreter ends would only change the exit status.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(status)


def _status(arguments: list[str] | None) -> int:
    try:
        with standard_output():
            words = sys.argv[1:] if arguments is None else arguments
            status = _app(words)(args=words, prog_name="edge-liif", standalone_mode=False)
            status = status if isinstance(status, int) else 0
            if status == 130:  # typer turns an interruption into this number
                raise KeyboardInterrupt
            if status:
                flush_or_drop()  # its failure has been told already
        return status
    except EdgeLiifError as error:
        complain(str(error))
        return error.exit_status
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted; nothing half-written was left")
        return 130
    except BrokenPipeError:
        silence_stdout()  # the reader of our output has gone; say nothing
        return 1
    except Exception as error:
        # typer's own usage errors; its exception classes moved between releases, what they can do did not
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            if error.format_message().startswith("Usage:"):
                say(error.format_message())  # called without a command: its help
                return int(error.exit_code)
            where = getattr(getattr(error, "ctx", None), "command_path", "edge-liif")
            complain(f"{error.format_message().strip().rstrip('.')}; see {where} --help")
            return int(error.exit_code)
        if os.environ.get("EDGE_LIIF_DEBUG"):
            raise
        complain(f"internal error ({type(error).__name__}: {error}); EDGE_LIIF_DEBUG=1 shows where, please report it")
        return 1
