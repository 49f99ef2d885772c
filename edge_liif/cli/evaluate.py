"""`edge-liif eval`: PSNR and SSIM of models on folders of pictures, bicubic always beside them."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..options import check_choice
from .console import progress_bar
from .run import Device, Engine, Halo, Precision, Threads


def evaluate(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Model names or .safetensors files.")],
    data: Annotated[list[Path], typer.Option(help="Folder of pictures, or folder of such folders; may be repeated.")],
    scale: Annotated[str, typer.Option(help="Scales, comma-separated: 2,3,4.")] = "2,3,4",
    downsample: Annotated[
        str, typer.Option(help="How LR is made: pil or matlab bicubic (x6 and up: always pil).")
    ] = "pil",
    jpeg: Annotated[
        str, typer.Option(help="JPEG-code the LR at these qualities (4:2:0), comma-separated: none,10,40.")
    ] = "none",
    engine: Engine = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    halo: Halo = "auto",
    threads: Threads = None,
    limit: Annotated[int | None, typer.Option(help="Only the first pictures of each set.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON with per-picture values.")] = False,
) -> None:
    """Measure quality: PSNR-Y and SSIM against the originals, mean over the pictures of each set."""
    check_choice(engine=engine, device=device, precision=precision)
    if downsample not in ("pil", "matlab"):
        raise UsageError(f"--downsample {downsample!r} is not pil or matlab")
    try:
        scales = [float(s) for s in scale.split(",")]
    except ValueError:
        scales = [math.nan]
    if not all(1 < s <= 100 for s in scales):
        raise UsageError(f"--scale {scale!r} is not a list of numbers above 1 and up to 100, like 2,3,4")
    qualities = _qualities(jpeg)

    from ..evaluate import environment_facts, find_datasets, to_json, to_markdown
    from ..evaluate import evaluate as measure
    from ..upscaler import load

    datasets = find_datasets(data)
    upscalers = {}
    for model in models:
        upscaler = load(model, engine=engine, precision=precision, device=device, halo=halo, threads=threads)
        upscalers[upscaler.network.spec.name] = upscaler
    if len(upscalers) < len(models):
        raise UsageError("two of the models have the same name")
    environment = environment_facts()
    for name, upscaler in upscalers.items():
        environment[f"engine of {name}"] = upscaler.choice(False).why
    enlargers = {name: upscaler.enlarge_float for name, upscaler in upscalers.items()}
    command = shlex.join(["edge-liif", *sys.argv[1:]])
    with progress_bar("measuring", True) as bar:
        rows = measure(
            enlargers,
            datasets,
            scales,
            downsample="matlab" if downsample == "matlab" else "pil",
            progress=None if bar is None else lambda done, total, label: bar(done, total),
            limit=limit,
            jpeg=qualities,
        )
    print((to_json if json_output else to_markdown)(rows, command, environment))


def _qualities(text: str) -> list[int | None]:
    """JPEG qualities 1..100 of a list, None for `none`."""
    words = [word.strip() for word in text.split(",")]
    if not all(word == "none" or (word.isascii() and word.isdigit() and 1 <= int(word) <= 100) for word in words):
        raise UsageError(f"--jpeg {text!r} is not a list of qualities from 1 to 100, or none, like none,10,40")
    return [None if word == "none" else int(word) for word in words]
