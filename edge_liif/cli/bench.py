"""`edge-liif bench`: accuracy, size, speed and memory of models and recipes, side by side, on one page."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from .console import progress_bar, say, standard_output
from .making import check_new_file, need_torch

Words = list[str] | None


def bench(
    models: Annotated[Words, typer.Argument(metavar="[MODEL]...", help="Model names or .safetensors files.")] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Folder of pictures, or folder of such folders; may be repeated.")
    ] = None,
    recipe: Annotated[
        Words,
        typer.Option(help="original, or like w8a8, p25, p25-w8a8, w4a8:magnitude; may be repeated."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A sweep file (TOML); what is given on the command line comes before it.")
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs: each recipe by lockstep once more, they in place of its leaves and noise."
        ),
    ] = None,
    scale: Annotated[str | None, typer.Option(help="Scales, comma-separated; 3 by default.")] = None,
    engine: Annotated[str | None, typer.Option(help="Engines, comma-separated; openvino by default.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Precisions, comma-separated; fp32,bf16,int8 by default, int8 where it fits.")
    ] = None,
    downsample: Annotated[str | None, typer.Option(help="How LR is made: matlab (default) or pil bicubic.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first pictures of each set.")] = None,
    rounds: Annotated[
        int | None, typer.Option(min=0, help="Turns for each timing; 0: no timing. 3 by default.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="LR size of the picture that is timed; 384x256 by default.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default what suits the machine.")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that measure quality side by side; one for every four cores by default. Timing is alone.",
        ),
    ] = None,
    crops: Annotated[int | None, typer.Option(min=0, max=20, help="Pictures to show; 3 by default.")] = None,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers", help="Others beside us: bicubic, Lanczos, other networks and other quantizers where installed."
        ),
    ] = False,
    calibrate_on: Annotated[
        Path | None,
        typer.Option(help="Folder of real pictures for --peers: others quantize the same network with them."),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The page.")] = Path("report.html"),
    csv: Annotated[Path | None, typer.Option(help="Also a CSV file.")] = None,
    work: Annotated[Path | None, typer.Option(help="Folder that keeps what was measured.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the report as JSON instead of Markdown.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Measure models and recipes side by side. A stopped run goes on where it was."""
    for path in filter(None, (output, csv)):
        check_new_file(path, overwrite)
    if csv is not None and csv.absolute() == output.absolute():
        raise UsageError(f"--csv {csv}: is the page's name too")
    need_torch("the lab", "bench")

    from ..bench.document import write_document
    from ..bench.page import write_page
    from ..bench.recipe import parse_recipe, with_real_twins
    from ..bench.report import make_report
    from ..bench.run import run_sweep
    from ..bench.store import Store
    from ..bench.sweep import Sweep, sweep_settings
    from ..bench.tables import to_csv, to_markdown
    from ..model.zoo import cache_home

    given: dict[str, Any] = {
        "models": tuple(models) if models else None,
        "data": tuple(data) if data else None,
        "recipes": tuple(parse_recipe(word) for word in recipe) if recipe else None,
        "scales": None if scale is None else _numbers("--scale", scale, ","),
        "engines": None if engine is None else tuple(engine.split(",")),
        "precisions": None if precision is None else tuple(precision.split(",")),
        "size": None if size is None else tuple(int(n) for n in _numbers("--size", size, "x")),
        "downsample": downsample,
        "limit": limit,
        "rounds": rounds,
        "threads": threads,
        "jobs": jobs,
        "crops": crops,
        "peers": peers or None,
        "calibrate_on": calibrate_on,
    }
    settings = {**(sweep_settings(config) if config else {}), **{k: v for k, v in given.items() if v is not None}}
    if "models" not in settings or "data" not in settings:
        raise UsageError("name at least one MODEL and one folder of pictures with --data DIR")
    sweep = Sweep(**settings)
    if real is not None:
        sweep = replace(sweep, recipes=with_real_twins(sweep.recipes, real))
    command = shlex.join(["edge-liif", *sys.argv[1:]])
    with progress_bar("measuring", not quiet) as bar:
        follow = None if bar is None else lambda done, total, label: bar(done, total)
        measured = run_sweep(sweep, Store(work or cache_home() / "bench"), follow)
    report = make_report(sweep, measured, command)
    write_page(report, output)
    if csv is not None:
        write_document([to_csv(report)], csv, overwrite)
    without_pictures = {**report, "crops": [{**crop, "images": list(crop["images"])} for crop in report["crops"]]}
    with standard_output():
        print(json.dumps(without_pictures, indent=2, allow_nan=False) if json_output else to_markdown(report))
    if not quiet:
        say(f"the page: {output}")


def _numbers(option: str, text: str, separator: str) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in text.split(separator))
    except ValueError:
        found = ()
    if not found or (separator == "x" and (len(found) != 2 or not all(n.is_integer() for n in found))):
        example = "384x256" if separator == "x" else "2,3"
        raise UsageError(f"{option} {text!r} is not like {example}")
    return found
