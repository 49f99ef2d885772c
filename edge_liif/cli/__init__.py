"""The command line, thin: parse, call the API, print.

Results and --json go to stdout, everything else to stderr. Exit status: 0 all done; 1 some input failed (the others
were still done); 2 the call itself was wrong; 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import typer

from ..errors import EdgeLiifError
from . import doctor, evaluate, models, run
from .console import complain

app = typer.Typer(
    name="edge-liif",
    help="Enlarge pictures by any factor, on an ordinary CPU, inside a memory cap.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("plan")(run.plan)
app.command("eval")(evaluate.evaluate)
app.add_typer(models.app, name="models")
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"edge-liif {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None: ...


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> None:
    """Entry point; always ends by SystemExit."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_status(arguments))


def _status(arguments: list[str] | None) -> int:
    try:
        status = app(args=arguments, prog_name="edge-liif", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except EdgeLiifError as error:
        complain(str(error))
        return error.exit_status
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted; nothing half-written was left")
        return 130
    except BrokenPipeError:
        # the reader of our output has gone; say nothing, and let nothing else be flushed into it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # typer's own usage errors; its exception classes moved between releases, what they can do did not
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            message = error.format_message().strip().rstrip(".")
            if message:
                complain(f"{message}; see edge-liif --help")
            return int(error.exit_code)
        if os.environ.get("EDGE_LIIF_DEBUG"):
            raise
        complain(f"internal error ({type(error).__name__}: {error}); EDGE_LIIF_DEBUG=1 shows where, please report it")
        return 1
