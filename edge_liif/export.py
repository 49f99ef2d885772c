"""Networks as files for other runtimes: encoder and decoder in ONNX, described for whoever finds them."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import EngineError, OutputError, UsageError
from .model.checkpoint import Network

if TYPE_CHECKING:
    import onnx

FORMATS = ("onnx",)
PRECISIONS = ("fp32", "int8")
LARGEST_TILE = 4096


def parse_tile(text: str) -> tuple[int, int] | None:
    """(height, width) of 128x96, the order of a tensor's axes; None for `dynamic`. Raises UsageError."""
    if text == "dynamic":
        return None
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= side <= LARGEST_TILE for side in sides):
        raise UsageError(
            f"--tile {text[:40]!r} is not dynamic or HEIGHTxWIDTH of 1..{LARGEST_TILE} pixels, like 128x96"
        )
    return sides


def output_paths(output: str | None, name: str) -> tuple[Path, Path]:
    """Files of encoder and decoder. output: a folder (there, or ending in /), or what both names begin with, or None
    for this folder."""
    prefix = Path(output if output is not None else name)
    if output is not None and (output.endswith("/") or prefix.is_dir()):
        prefix = prefix / name
    return (prefix.with_name(f"{prefix.name}-encoder.onnx"), prefix.with_name(f"{prefix.name}-decoder.onnx"))


def export_onnx(
    network: Network,
    paths: tuple[Path, Path],
    precision: str = "fp32",
    tile: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> None:
    """Write encoder and decoder. precision: fp32, or int8 for a network compressed with activation bits; tile: (height,
    width) of the encoder's window in LR pixels, or None for any. The files get their names when both are whole.

    Raises EngineError without the package onnx or for a network without integer activations, OutputError.
    """
    if find_spec("onnx") is None:
        raise EngineError("exporting needs the package onnx: pip install 'edge-liif[onnx]'")
    from .image.part_file import PartFile, check_target, os_reason

    for path in paths:
        check_target(path, overwrite)
    models = onnx_models(network, precision, tile)
    parts: list[PartFile] = []
    try:
        for path, model in zip(paths, models, strict=True):
            part = PartFile(path, overwrite)
            parts.append(part)
            try:
                part.path.write_bytes(model.SerializeToString())
            except OSError as error:
                raise OutputError(f"{part.shown}: can't be written ({os_reason(error)})") from error
        for part in parts:
            part.commit()
    finally:
        for part in parts:
            part.discard()


def onnx_models(network: Network, precision: str, tile: tuple[int, int] | None) -> list[onnx.ModelProto]:
    """Encoder and decoder, checked by ONNX's own checker, with metadata. Raises EngineError."""
    import onnx
    from onnx import checker

    from .engine.onnx_graphs import FloatGraphs

    graphs: Any = FloatGraphs(network)
    if precision == "int8":
        from .engine.onnx_int8 import IntegerGraphs

        graphs = IntegerGraphs(network)
    models = [graphs.encoder(tile), graphs.decoder(tile)]
    for kind, model in zip(("encoder", "decoder"), models, strict=True):
        onnx.helper.set_model_props(model, metadata(network, kind, precision, model))
        try:
            checker.check_model(model, full_check=True)
        except (checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise EngineError(
                f"the exported {kind} is not valid ONNX ({str(error)[:120]}); please report it"
            ) from error
    return models


def metadata(network: Network, kind: str, precision: str, model: onnx.ModelProto) -> dict[str, str]:
    """What a file says about itself; values are text, as in ONNX."""
    spec = network.spec
    halo = spec.halo.pixels if spec.halo is not None else spec.exact_halo
    ports = {
        f"{way}.{port.name}": port.doc_string
        for way, values in (("input", model.graph.input), ("output", model.graph.output))
        for port in values
    }
    return {
        "edge_liif.model": spec.name,
        "edge_liif.source_sha256": network.sha256 or "",
        "edge_liif.kind": kind,
        "edge_liif.precision": precision,
        "edge_liif.halo": str(halo),
        "edge_liif.licence": spec.licence,
        "edge_liif.authors": spec.authors,
        **{f"edge_liif.{name}": meaning for name, meaning in ports.items()},
    }
