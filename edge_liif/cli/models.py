"""`edge-liif models`: list, show, fetch, verify, import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ModelError, UsageError
from .console import progress_bar, say

app = typer.Typer(help="Models: list, show, fetch, verify, import.", no_args_is_help=True)


@app.command("list")
def list_models(json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The models that can be named, and where each is."""
    from ..model.zoo import list_models

    listed = list_models()
    if json_output:
        rows = [
            {
                "name": m.name,
                "status": m.status,
                "path": str(m.path) if m.path else None,
                "default": bool(m.entry and m.entry.default),
                "licence": m.entry.licence if m.entry else None,
                "summary": m.entry.summary if m.entry else None,
            }
            for m in listed
        ]
        print(json.dumps(rows, indent=2))
        return
    for m in listed:
        size = f"{m.path.stat().st_size / 1e6:6.1f} MB" if m.path else " " * 9
        default = " (default)" if m.entry and m.entry.default else ""
        summary = m.entry.summary if m.entry else ""
        print(f"{m.name + default:32} {m.status:12} {size}  {summary}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Model name or .safetensors file.")],
    channels: Annotated[
        bool, typer.Option("--channels", help="Also which channels can be pruned, and who reads them.")
    ] = False,
) -> None:
    """What goes in, what each stage does, what comes out, and on whose work it rests."""
    from ..explain import explain_model
    from ..model.checkpoint import load_network
    from ..model.zoo import home_path, load_manifest, resolve

    try:
        resolved = resolve(name)
    except ModelError:
        entry = load_manifest().get(name)
        if entry is None or entry.bundled or home_path(name).exists():
            raise
        print(f"{entry.name}: {entry.title}\n  {entry.summary}\n  weights  {', '.join(entry.authors)}; {entry.licence}")
        print(f"  not on this machine; fetch it with: edge-liif models fetch {name}")
        return
    network = load_network(resolved.path, resolved.sha256_expected)
    print("\n".join(explain_model(network.spec)))
    print(f"  file     {resolved.path}, sha256 {network.sha256}")
    if channels:
        from ..compress.structure import channel_groups, details

        for group in channel_groups(network.spec):
            print(f"\n{details(group, network.spec)}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A model of the manifest that is not bundled.")],
    url: Annotated[
        str | None, typer.Option(help="Take the file from here instead; its sha256 must still match.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Download a model from its authors' links, verify its sha256 and convert it. Resumes where it was interrupted."""
    from ..model.convert import convert_checkpoint, require_torch
    from ..model.download import fetch as download
    from ..model.zoo import load_manifest, models_home, weights_folder

    manifest = load_manifest()
    if name not in manifest:
        raise ModelError(f"no model is called {name!r} (known: {', '.join(manifest)})")
    entry = manifest[name]
    if entry.bundled:
        print(f"{name} is bundled: {weights_folder() / entry.file}")
        return
    if entry.format == "liif-pth":
        require_torch()  # before 268 MB are downloaded, not after

    def convert(source: Path, target: Path) -> None:
        convert_checkpoint(
            source, target, name, licence=entry.licence, authors=", ".join(entry.authors), origin=entry.urls[0]
        )

    with progress_bar(f"fetching {name}", not quiet, "bytes") as progress:
        path = download(
            entry,
            models_home(),
            convert=convert,
            progress=None if progress is None else lambda done, total: progress(done, total or entry.size),
            urls=[url] if url else None,
        )
    print(f"{name}: {path}")


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models; all that are on this machine by default.")] = None,
) -> int:
    """Compare model files with the sha256 they should have, and their tensors with their specification."""
    from ..model.checkpoint import load_network
    from ..model.zoo import list_models, resolve

    failed = 0
    for name in names or [m.name for m in list_models() if m.path is not None]:
        try:
            resolved = resolve(name)
            network = load_network(resolved.path, resolved.sha256_expected)
            known = "sha256 as recorded" if resolved.sha256_expected is not None else "no recorded sha256"
            print(f"{name}: good ({known}, {network.spec.parameters:,} parameters)")
        except ModelError as error:
            print(f"{name}: BAD ({error})")
            failed = 1
    return failed


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A LIIF checkpoint (.pth), encoder RDN or EDSR-baseline.")],
    name: Annotated[str | None, typer.Option(help="Name to give it; the file's stem by default.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", help="Write this file instead of adding it to your models.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store float16: half the size.")] = False,
    licence: Annotated[str, typer.Option(help="Licence of the weights (SPDX), kept in the file.")] = "unknown",
    authors: Annotated[str, typer.Option(help="Who made the weights, kept in the file.")] = "unknown",
    origin: Annotated[str, typer.Option(help="Where the weights come from, kept in the file.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model of that name.")] = False,
) -> None:
    """Convert a LIIF checkpoint to .safetensors. Files that carry code are refused."""
    from ..model.convert import convert_checkpoint
    from ..model.zoo import home_path, load_manifest, models_home, sha256_of, write_record

    name = name or file.stem
    if output is None and (entry := load_manifest().get(name)) is not None:
        if entry.bundled or entry.sha256 != sha256_of(file):
            raise UsageError(f"the name {name} is taken by a model of the manifest; give another with --name")
        # a browser fetched what `models fetch` could not
        licence, authors, origin = entry.licence, ", ".join(entry.authors), entry.urls[0]
    target = output or home_path(name)
    if target.exists() and not overwrite:
        raise UsageError(f"{target}: exists; use --overwrite or another --name")
    if output is None:
        _make_folder(models_home())
    network = convert_checkpoint(file, target, name, half=half, licence=licence, authors=authors, origin=origin)
    if output is None:
        parent = network.spec.parent_sha256
        try:
            write_record(target, sha256=sha256_of(target), source_url=None, source_sha256=parent)
        except OSError as error:
            raise ModelError(f"{target}: its record can't be written ({error.strerror or error})") from error
    say(f"{network.spec.parameters:,} parameters, {network.spec.encoder.kind} encoder")
    print(f"{name}: {target}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{folder}: can't be created ({reason}); set EDGE_LIIF_HOME to a folder of yours") from error
