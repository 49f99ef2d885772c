"""`edge-liif compress`: a smaller network from a network, without any data."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from .console import progress_bar, say, standard_output
from .making import check_new_file, need_torch


def compress(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model name or .safetensors file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The compressed model: NAME.safetensors.")],
    prune: Annotated[float, typer.Option(help="Share of the multiply-adds to remove, 0 to 0.9.")] = 0.0,
    weight_bits: Annotated[int | None, typer.Option(help="Bits of the weights, 3 to 8; float by default.")] = None,
    activation_bits: Annotated[int | None, typer.Option(help="Bits between layers, 6 to 8; float by default.")] = None,
    method: Annotated[str, typer.Option(help="lockstep, moments, udfc, dfq, magnitude or rtn.")] = "lockstep",
    config: Annotated[Path | None, typer.Option(help="A TOML file with all settings instead of the options.")] = None,
    scale: Annotated[float, typer.Option(help="Scale at which multiply-adds are counted.")] = 3.0,
    multiple: Annotated[int, typer.Option(help="Widths stay multiples of this: 16 for CPUs, 32 for GPUs.")] = 16,
    equalise: Annotated[
        bool | None, typer.Option("--equalise/--no-equalise", help="Cross-layer equalisation first.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=BITS", help="Weight bits of some layers: 'imnet.*=8'; the first that fits."),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(help="Prune by damage, energy, expected, magnitude or filter; by default as the method does."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of sampled positions; pictures have their recipe's.")] = 0,
    statistics: Annotated[
        str, typer.Option(help="synthetic pictures, or analytic: none at all (rtn, magnitude, dfq, udfc).")
    ] = "synthetic",
    frozen: Annotated[
        bool, typer.Option("--frozen/--no-frozen", help="Use the statistics on file of bundled models, or measure.")
    ] = True,
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe of the synthetic pictures (TOML); calibration/default.toml by default.")
    ] = None,
    calibrate_on: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of photographs in place of the recipe's leaves and noise, beside its pages; not data-free."
        ),
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Folder of pictures to measure the result on; never used to make it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first pictures of each folder of --data.")] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Say which layers cause the loss.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Prune and quantize a model without data: channels by predicted damage, each layer refitted in closed form."""
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: a model file's name must end in .safetensors")
    check_new_file(output, overwrite)
    need_torch("compressing", "torch")
    from ..compress.config import CompressConfig

    if config is not None:
        given = {"method": method, "prune": prune, "weight_bits": weight_bits, "activation_bits": activation_bits}
        given |= {"scale": scale, "multiple": multiple, "equalise": equalise, "score": score}
        given |= {"seed": seed, "statistics": statistics}
        if keep or any(value != getattr(CompressConfig, name) for name, value in given.items()):
            raise UsageError("--config holds all settings; give it or the options, not both")
        settings = CompressConfig.from_toml(config)
    else:
        settings = CompressConfig(
            *(method, prune, weight_bits, activation_bits, scale, multiple, equalise),
            seed=seed,
            keep=_patterns(keep or []),
            statistics=statistics,
            score=score,
        )
    if settings.statistics == "analytic" and (calibrate_on or recipe or layers):
        raise UsageError("analytic statistics look at no pictures: leave out --calibrate-on, --recipe and --layers")
    datasets = []
    if data:
        from ..evaluate import find_datasets

        datasets = find_datasets(data)
        if settings.scale <= 1:
            raise UsageError(f"quality is measured at scales above 1, not at {settings.scale:g}; leave out --data")

    from ..compress.pipeline import compress as run
    from ..model.checkpoint import load_network, save_network
    from ..model.convert import with_known_answer
    from ..model.zoo import resolve

    resolved = resolve(model)
    network = load_network(resolved.path, resolved.sha256_expected)
    parent_bytes = resolved.path.stat().st_size
    pictures, source = _calibration(calibrate_on, recipe)
    with progress_bar(f"compressing {network.spec.name}", not quiet) as bar:
        result, report = run(network, settings, pictures, source, bar, layers, frozen)
    spec = replace(result.spec, name=output.stem, source=f"compressed from {network.spec.name}")
    result = with_known_answer(replace(result, spec=spec))
    save_network(result, output)
    facts: dict[str, Any] = {
        "output": str(output),
        "parent": network.spec.name,
        "parent_sha256": network.sha256,
        "config": settings.to_dict(),
        "data_free": not calibrate_on,
        "bytes": output.stat().st_size,
        "parent_bytes": parent_bytes,
        **report.to_dict(),
    }
    try:
        if datasets:
            facts["measured"] = _measured(network, output, settings, datasets, limit, quiet)
    finally:
        # the model is made, whatever is wrong with a picture to measure on
        with standard_output():
            print(json.dumps(facts, allow_nan=False) if json_output else "\n".join(_lines(facts)))
    if not json_output:
        say(f"use it with: edge-liif run --model {output} ...")


def _patterns(texts: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts:
        pattern, _, bits = text.rpartition("=")
        if not pattern or not bits.isdecimal() or len(bits) > 2:
            raise UsageError(f"--keep {text!r:.60} is not NAME=BITS, as in --keep 'imnet.*=8'")
        # of the same pattern twice the first counts, as of all patterns
        found.setdefault(pattern, int(bits))
    return found


def _calibration(folders: list[Path] | None, recipe: Path | None) -> tuple[Any, Any]:
    """Pictures for the statistics, and what the file says about them; None and nothing for the own recipe."""
    if not folders and recipe is None:
        return None, None
    from ..compress.real_pictures import with_photographs
    from ..compress.recipe import Recipe, read_recipe
    from ..compress.synthetic import synthesize

    asked = Recipe() if recipe is None else read_recipe(recipe)
    if folders:
        return with_photographs(asked, folders)
    return synthesize(asked), {"recipe": asdict(asked)}


def _measured(network: Any, output: Path, settings: Any, datasets: Any, limit: int | None, quiet: bool) -> list[dict]:
    from ..evaluate.fidelity import measure_fidelity
    from ..model.checkpoint import load_network
    from ..options import Settings
    from ..upscaler import Upscaler

    precision = "fp32" if settings.activation_bits is None else "int8"
    original = Upscaler(network, Settings(precision="fp32"))
    small = Upscaler(load_network(output), Settings(precision=precision))
    with progress_bar("measuring", not quiet) as bar:
        rows = measure_fidelity(
            (network.spec.name, original.enlarge_float),
            {f"{output.stem} (compressed)": small.enlarge_float},
            datasets,
            settings.scale,
            limit=limit,
            progress=bar,
        )
    # JSON has no infinity: the reference's distance from itself
    return [{**asdict(r), "fidelity": r.fidelity if math.isfinite(r.fidelity) else "inf"} for r in rows]


def _lines(facts: dict[str, Any]) -> list[str]:
    def change(name: str, unit: float, suffix: str) -> str:
        before, after = facts[name]
        return f"{before / unit:.3g} -> {after / unit:.3g} {suffix} ({after / before:.2f}x)"

    lines = [
        f"{facts['parent']} -> {facts['output']} by {facts['method']}"
        + ("" if facts["data_free"] else ", calibrated on real pictures: not data-free"),
        f"  file           {facts['parent_bytes'] / 1e6:.2f} -> {facts['bytes'] / 1e6:.2f} MB",
        f"  parameters     {change('parameters', 1e6, 'M')}",
        f"  multiply-adds  {change('multiply_adds', 1e6, 'M per LR pixel')} at x{facts['config']['scale']:g}",
        f"  time           {sum(facts['seconds'].values()):.0f} s, statistics {facts['statistics']}",
    ]
    worst = sorted(facts["error"].items(), key=lambda item: -item[1])[:3]
    if worst:
        lines.append(
            "  largest error  " + ", ".join(f"{name} {error:.1e}" for name, error in worst) + " of its variance"
        )
    if facts["predicted"] is not None:
        lines.append(
            f"  predicted      {facts['predicted']:.1f} dB to the original network (RGB, calibration pictures)"
        )
    if facts["layers"]:
        lines += _layer_lines(facts["layers"])
    for row in facts.get("measured", []):
        distance = row["fidelity"] if row["fidelity"] == "inf" else f"{row['fidelity']:.2f}"
        lines.append(
            f"  {row['dataset']} ({row['n']}), {row['method']}: {row['psnr_y']:.2f} dB to the originals, "
            f"{distance} dB to the original network"
        )
    return lines


def _layer_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Shares of the predicted loss, in percent: a layer's all, then what of it comes from where. Errors of layers are
    taken for independent, and what later layers make good isn't counted, so shares are all that it says."""
    whole = sum(row["weights"] + row["inputs"] + (row["pruned"] or 0) for row in rows)
    width = max(len(row["layer"]) for row in rows)

    def percent(part: float | None) -> str:
        return f"{'-':>8}" if part is None else f"{100 * part / (whole or 1):8.2f}"

    lines = [f"  {'layer':{width}}  bits   error    loss % = weights   inputs  pruned"]
    for row in rows:
        bits = row["bits"] or "fp32"
        parts = percent(row["weights"]) + percent(row["inputs"]) + percent(row["pruned"])
        lines.append(f"  {row['layer']:{width}}  {bits!s:>4} {row['error']:7.1e} {100 * row['share']:8.2f}{parts}")
    if any(row["pruned"] is None for row in rows):
        lines.append("  (-: this method says nothing of what pruning costs; shares are of rounding alone)")
    return lines
