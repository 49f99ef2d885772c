"""`edge-liif run` and `edge-liif plan`."""

from __future__ import annotations

import glob
import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..comparison import ComparisonError, page_path
from ..engine.registry import ENGINES
from ..errors import EdgeLiifError, UsageError
from ..files import PICTURE_SUFFIXES, STREAM, Input, Naming, collect, is_folder, settle
from ..image.source import printable
from ..job import DEFAULT_MAX_PIXELS, WriteOptions, prepare, run_one
from ..memory import use_one_heap
from ..options import AUTO_MODEL, Settings
from ..report import Report
from ..scale import Enlargement, enlargement
from .console import amount, complain, progress_bar, say, standard_output
from .time_left import TimeLeft

Inputs = Annotated[list[str], typer.Argument(metavar="INPUT", help="Pictures, folders, patterns, or - for stdin.")]
Output = Annotated[str | None, typer.Option("-o", "--output", help="File, folder, or - for stdout.")]
Scale = Annotated[str | None, typer.Option(help="Factor: 3, 1.7, or 2x3 (horizontal x vertical).")]
Size = Annotated[str | None, typer.Option(help="Size in pixels: 1920x1080, 1920x or x1080.")]
Model = Annotated[
    str, typer.Option(help="auto (by the picture: clean or JPEG), a name (edge-liif models list) or .safetensors file.")
]
Engine = Annotated[str, typer.Option(help="auto, " + ", ".join(ENGINES) + ".")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, gpu (Intel), mps or tensorrt.")]
Precision = Annotated[
    str, typer.Option(help="auto, fp32, bf16, fp16, or int8 (models compressed with --activation-bits).")
]
Memory = Annotated[str | None, typer.Option(help="Cap on the memory of the whole process, e.g. 1GiB.")]
Halo = Annotated[str, typer.Option(help="auto (measured, below 1/255), exact, or pixels around each tile.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; by default what suits the machine.")]
Recursive = Annotated[bool, typer.Option("--recursive", help="Look into the folders of folders.")]
Format = Annotated[str | None, typer.Option(help="png, jpeg, tiff or webp; by default as the output's name says.")]
MaxPixels = Annotated[int, typer.Option(min=1, help="Refuse inputs with more pixels than this.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per input on stdout.")]
Background = Annotated[str | None, typer.Option(help="Colour to put under transparency, e.g. '#ffffff'.")]
Lossless = Annotated[bool, typer.Option("--lossless", help="Lossless WebP.")]
Compare = Annotated[
    str | None, typer.Option(metavar="PAGE.html", help="Also write a page of before (bicubic) and after; one input.")
]


def run(
    inputs: Inputs,
    output: Output = None,
    scale: Scale = None,
    size: Size = None,
    model: Model = AUTO_MODEL,
    engine: Engine = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    memory: Memory = None,
    halo: Halo = "auto",
    threads: Threads = None,
    recursive: Recursive = False,
    resume: Annotated[bool, typer.Option("--resume", help="Skip results that are there already.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    format: Format = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and lossy WebP.")] = 95,
    lossless: Lossless = False,
    background: Background = None,
    strip: Annotated[bool, typer.Option("--strip", help="Drop ICC profile, EXIF and XMP.")] = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    compare: Compare = None,
    json_output: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No log and no progress bar; errors only.")] = False,
) -> int:
    """Enlarge pictures.

    Without -o the result lies beside its input: photo_x3.png. A result appears under its name only when it is whole.
    """
    settings = Settings.parsed(engine, precision, device, memory, halo, threads)
    if resume and overwrite:
        raise UsageError("--resume keeps finished results and --overwrite replaces them; give one of them")
    enlarge, items, naming = _task(inputs, scale, size, output, recursive, format, quiet)
    if output == STREAM or (items[0].path is None and output is None):
        if json_output:
            raise UsageError("--json and the picture can't both go to stdout; give -o FILE")
        if sys.stdout.isatty():
            raise UsageError("the picture would go to the terminal; redirect stdout or give -o FILE")
    page = None if compare is None else page_path(compare, len(items), output, items[0].path is None)
    write = WriteOptions(overwrite, resume, quality, lossless, _colour(background), strip, page)

    _without_converters()
    from ..chooser import AnotherModel, ModelChooser

    use_one_heap()
    chooser = ModelChooser(model, settings, grouping=True)
    failed = 0
    left = TimeLeft(len(items))

    def one(number: int, item: Input) -> None:
        nonlocal failed
        count = f"[{number}/{len(items)}] " if len(items) > 1 else ""
        told = 0

        def decided(report: Report) -> None:
            nonlocal told
            if not quiet:
                say(count + _summary(report))
                told = _warn(report, 0)

        report = Report(item.name)
        try:
            with progress_bar(f"{count}{item.shown}{left}", not quiet) as progress:
                run_one(item, chooser, enlarge, naming, write, max_pixels, report, progress, decided)
            left.finished(sum(report.seconds.values()) if report.status == "done" else None)
            if not quiet:
                _warn(report, told)
                say(_outcome(report, count, left))
        except AnotherModel:
            raise
        except Exception as error:
            message = _failure(item, error)
            complain(message)
            failed += 1
            left.finished(None)
            if isinstance(error, ComparisonError):
                report.error = message  # the picture is there
            else:
                report.fail(message)
            if len(items) == 1 and isinstance(error, UsageError):
                failed = -error.exit_status
        if json_output:
            with standard_output():
                print(json.dumps(report.to_dict()), flush=True)

    todo = list(enumerate(items, 1))
    while todo:
        # the pictures of one model, then those of the other: each is loaded once, and its compiled tiles are kept
        chooser.change()
        later = []
        for number, item in todo:
            try:
                one(number, item)
            except AnotherModel:
                later.append((number, item))
        todo = later
    if failed and len(items) > 1:
        complain(f"{failed} of {len(items)} inputs failed")
    return -failed if failed < 0 else int(failed > 0)


def plan(
    inputs: Inputs,
    output: Output = None,
    scale: Scale = None,
    size: Size = None,
    model: Model = AUTO_MODEL,
    engine: Engine = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    memory: Memory = None,
    halo: Halo = "auto",
    threads: Threads = None,
    recursive: Recursive = False,
    format: Format = None,
    lossless: Lossless = False,
    background: Background = None,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    json_output: Json = False,
) -> int:
    """Say what run would do, stage by stage, with shapes, memory and time, without doing it."""
    settings = Settings.parsed(engine, precision, device, memory, halo, threads)
    enlarge, items, naming = _task(inputs, scale, size, output, recursive, format)
    write = WriteOptions(background=_colour(background), lossless=lossless)

    _without_converters()
    from ..chooser import ModelChooser
    from ..explain import explain_plan

    chooser = ModelChooser(model, settings)

    def explained(item: Input, report: Report) -> str:
        prepared = prepare(item, chooser, enlarge, naming, write, max_pixels, report, dry=True)
        return "\n".join(explain_plan(prepared, report))

    failed = 0
    for item in items:
        report = Report(item.name, status="planned")
        try:
            text = explained(item, report)
        except EdgeLiifError as error:
            message = _failure(item, error)
            complain(message)
            report.fail(message)
            failed = max(failed, error.exit_status if len(items) == 1 else 1)
            text = ""
        with standard_output():
            if json_output:
                print(json.dumps(report.to_dict()), flush=True)
            elif text:
                print(text, flush=True)
    return failed


def _without_converters() -> None:
    """Have `import openvino` leave out its converters of other formats, which nothing here uses: with what they import
    they are half of its time and 15 MiB. It does without them where they are missing."""
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]


def _task(
    inputs: list[str],
    scale: str | None,
    size: str | None,
    output: str | None,
    recursive: bool,
    format: str | None,
    quiet: bool = False,
) -> tuple[Enlargement, list[Input], Naming]:
    """Scale, inputs and naming of a call; everything that is wrong with them is found before anything is loaded."""
    enlarge = enlargement(scale, size)
    if format is not None:
        from ..image.formats import format_for

        format_for(None, format, None)
    items = collect(inputs, recursive, output)
    many = len(items) > 1 or any(is_folder(word) for word in inputs)
    # A pattern that matches one picture today may match two tomorrow; only the name of a file says that one is meant.
    if not many and output is not None and Path(output).suffix.lower() not in PICTURE_SUFFIXES:
        many = output != STREAM and any(glob.has_magic(w) and not os.path.lexists(w) for w in inputs)
    naming = Naming(output, enlarge, many, format)
    items, left_out = settle(items, naming)
    if left_out and not quiet:
        names = ", ".join(item.shown for item in left_out[:3]) + (", ..." if len(left_out) > 3 else "")
        say(f"left out {len(left_out)} that an earlier run made of the others: {names}")
    return enlarge, items, naming


def _failure(item: Input, error: Exception) -> str:
    """What is told about an input that failed: its name first, wherever the error came from."""
    if isinstance(error, MemoryError):
        message = "there is not enough memory; set a cap below what is free, like --memory 1GiB"
    elif isinstance(error, EdgeLiifError):
        message = str(error)
    elif os.environ.get("EDGE_LIIF_DEBUG"):
        raise error
    else:
        message = f"internal error ({type(error).__name__}: {error}); please report it"
    return message if item.path is None or item.shown in message else f"{item.shown}: {message}"


def _colour(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    digits = text.removeprefix("#")
    if not re.fullmatch(r"[0-9a-fA-F]{6}|[0-9a-fA-F]{3}", digits):
        raise UsageError(f"--background {text!r} is not a colour like '#ffffff'")
    if len(digits) == 3:
        digits = "".join(2 * d for d in digits)
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _summary(report: Report) -> str:
    assert report.input_size and report.output_size and report.tile
    width, height = report.input_size
    out_width, out_height = report.output_size
    return (
        f"{printable(report.input)} {width}x{height} -> "
        f"{printable(report.output or 'standard output')} {out_width}x{out_height}\n"
        f"  model {report.model} ({report.model_why}); {report.why}\n"
        f"  {report.tiles} tile(s) of {report.tile[0]}x{report.tile[1]} with halo {report.halo}; "
        f"predicted peak {amount(report.predicted_peak_bytes)}"
        + (f" of {amount(report.memory_cap_bytes)}" if report.memory_cap_bytes else "")
    )


def _warn(report: Report, told: int) -> int:
    """Say the warnings that were not told before; how many there are now."""
    for warning in report.warnings[told:]:
        say(f"  warning: {warning}")
    return len(report.warnings)


def _outcome(report: Report, count: str, left: TimeLeft) -> str:
    if report.status == "skipped":
        return f"{count}{printable(report.output or '')}: there already, skipped"
    seconds = sum(report.seconds.values())
    stages = ", ".join(f"{name} {value:.2f}" for name, value in report.seconds.items())
    return f"  done in {seconds:.2f} s ({stages}); peak memory {amount(report.peak_memory_bytes)}{left}"
