"""`edge-liif export`: a model as files for other runtimes."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import UsageError
from ..options import check_among
from .console import say, standard_output


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model name or .safetensors file.")],
    format: Annotated[str, typer.Option(help="onnx.")] = "onnx",
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="A folder, or what both names begin with; this folder by default."),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="fp32, or int8 for models compressed with --activation-bits.")
    ] = "fp32",
    tile: Annotated[
        str, typer.Option(help="HEIGHTxWIDTH of the window in pixels of the small picture, or dynamic for any.")
    ] = "dynamic",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Write NAME-encoder.onnx and NAME-decoder.onnx. Geometry is an input of the decoder, so every scale works."""
    from ..export import FORMATS, PRECISIONS, export_onnx, output_paths, parse_tile

    check_among("format", format, FORMATS)
    check_among("precision", precision, PRECISIONS)
    window = parse_tile(tile)
    if output == "":
        raise UsageError("-o is an empty name (an unset variable?); give a folder or what the names begin with")

    from ..model.checkpoint import load_network
    from ..model.zoo import resolve

    resolved = resolve(model)
    network = load_network(resolved.path, resolved.sha256_expected)
    # not the name inside the file: that may be any text
    paths = output_paths(output, resolved.path.stem)
    for path in paths:
        if path.exists() and not overwrite:
            raise UsageError(f"{path}: exists; use --overwrite or another name")
    export_onnx(network, paths, precision, window, overwrite)
    compression = network.spec.compression
    if precision == "fp32" and compression is not None and compression.activations:
        say("the integers of this compressed model are written as floats; --precision int8 writes them as they are")
    with standard_output():
        print("\n".join(map(str, paths)))
