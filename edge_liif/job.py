"""One picture from file to file: read, plan, enlarge, write. Everything that was decided goes into the report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .comparison import check_page, page_bytes, write_page
from .errors import ImageError, MemoryCapError, NameTaken, OutputError
from .files import Input, Naming, encoded
from .image.formats import SPOOLED, Background, check_output, writer_peak_bytes
from .image.picture import Header, Picture
from .image.source import printable
from .memory import give_back_holes, peak_resident_bytes, resident_bytes
from .report import Report
from .scale import Enlargement
from .tiling.plan import Job, Plan
from .tiling.run import Progress, RunLog
from .work import work_of_plan

if TYPE_CHECKING:
    from .chooser import ModelChooser
    from .upscaler import Upscaler

DEFAULT_MAX_PIXELS = 500_000_000
LARGEST_IN_MEMORY = 1 << 30
"""Bytes of decoded pixels: more are kept in a file, where no cap is given."""
MEMORY_SHARE = 8
"""Decoded pixels may take one part in so many of a cap; it is better spent on tiles."""


@dataclass(frozen=True)
class WriteOptions:
    """How results are written. strip: drop ICC, EXIF and XMP; compare: a page of before and after, for one picture."""

    overwrite: bool = False
    resume: bool = False
    quality: int = 95
    lossless: bool = False
    background: Background | None = None
    strip: bool = False
    compare: Path | None = None


@dataclass(frozen=True)
class Prepared:
    """An input that has been looked at, and everything decided about it before any work. plan and upscaler: None if
    its result is there already; folder: where its pixels are kept in a file, None if they are kept in memory."""

    source: bytes | Path
    header: Header
    target: Path | None
    format: str
    plan: Plan | None = None
    upscaler: Upscaler | None = None
    folder: Path | None = None


def prepare(
    item: Input,
    chooser: ModelChooser,
    enlargement: Enlargement,
    naming: Naming,
    write: WriteOptions,
    max_pixels: int,
    report: Report,
    dry: bool = False,
) -> Prepared:
    """Probe, check everything that can be checked, choose the model, and plan. Fills `report`. `dry` looks at no
    output file.

    Raises ImageError, OutputError, UsageError, ModelError, MemoryCapError, EngineError, before anything is written.
    """
    from .engine.pace import pace_of
    from .image.alpha import bleed_bytes
    from .image.disk_space import likely_bytes, space_warning, temporary_folder
    from .image.part_file import resolve_target
    from .image.read import check_pixels, decode_peak_bytes, probe

    cap = chooser.settings.memory
    room = _room(cap)
    source = encoded(item, max_pixels, room)
    with report.stage("read"):
        header = probe(source, item.name, most_kept=room)
    check_pixels(header, max_pixels)
    out_height, out_width = enlargement.output_size(header.height, header.width)
    target, fmt = naming.result(item, header.format)
    report.output = None if target is None else str(target)
    report.input_size, report.output_size = (header.width, header.height), (out_width, out_height)
    report.bands, report.depth, report.format = header.bands, header.depth, fmt
    report.jpeg_quality = header.jpeg_quality
    report.scale = (out_width / header.width, out_height / header.height)
    if enlargement.size is not None and abs(report.scale[0] / report.scale[1] - 1) > 0.01:
        report.warnings.append(
            f"the size asked for changes the proportions (x{report.scale[0]:.3g} by x{report.scale[1]:.3g}); "
            f"--size {out_width}x keeps them"
        )
    output = check_output(fmt, out_width, out_height, header.bands, header.depth, write.background)
    if write.compare is not None:
        check_page(write.compare, item.path, target, (out_width, out_height), write)
    if not dry and target is not None and _finished(target, item, (out_width, out_height), write, naming, room):
        report.status = "skipped"
        return Prepared(source, header, target, fmt)
    if dry:
        report.warnings += output.warnings
    with report.stage("engine"):
        chosen = chooser.for_picture(source, header)
        report.model_why, report.blocking = chosen.why, chosen.blocking
        upscaler = chosen.upscaler
        choice = upscaler.choice(header.depth == 16)
    spec = upscaler.network.spec
    report.model, report.model_sha256 = spec.name, upscaler.network.sha256
    engine = choice.engine
    report.engine, report.device, report.precision, report.why = (
        engine.name,
        engine.device,
        engine.precision,
        choice.why,
    )
    # Colours bled under transparent pixels stay beside the picture for the whole run.
    colours = header.array_bytes // header.bands * (header.bands - 1) if header.has_alpha else 0
    pixel_bytes = header.array_bytes + colours
    bleeding = bleed_bytes(header.height, header.width) if header.has_alpha else 0

    def planned(in_file: bool) -> Plan:
        return upscaler.plan(
            Job(
                header.height,
                header.width,
                out_height,
                out_width,
                header.bands,
                header.depth // 8,
                input_bytes=header.kept_bytes + (0 if in_file else pixel_bytes),
                # what the decoder gave back may lie in holes that bleeding can't use
                opening_bytes=decode_peak_bytes(header) - header.array_bytes - header.kept_bytes + bleeding,
                writer_bytes=writer_peak_bytes(
                    fmt, out_width, out_height, output.bands, output.depth, lossless=write.lossless
                )
                # made when the picture is done, but what the engine took meanwhile may not have gone back
                + (page_bytes(header, out_width, out_height) if write.compare is not None else 0),
            )
        )

    in_file = pixel_bytes > (LARGEST_IN_MEMORY if cap is None else cap // MEMORY_SHARE)
    try:
        plan = planned(in_file)
    except MemoryCapError:
        if in_file:
            raise
        in_file, plan = True, planned(True)
    folder = None
    place = temporary_folder() if target is None else resolve_target(target).parent
    if in_file:
        folder, report.temporary_bytes = place, pixel_bytes
    if target is not None or fmt in SPOOLED:
        needed = likely_bytes(output, write.lossless) + (report.temporary_bytes or 0)
        if warning := space_warning(place, needed):
            report.warnings.append(warning)
    report.tile, report.tiles = (plan.columns.longest_core, plan.rows.longest_core), plan.tiles
    report.window = (plan.shape.width, plan.shape.height)
    if plan.memory_cap is not None and engine.device != "cpu":
        device = engine.device
        report.warnings.append(
            f"on {device} the memory cap holds for what the engine takes there; what the driver takes comes on top"
            if engine.limits_device
            else f"the memory cap is measured on the CPU; on {device} it only sizes the tiles"
        )
    report.halo, report.exact_halo = plan.halo, spec.exact_halo
    report.memory_cap_bytes = plan.memory_cap
    report.predicted_peak_bytes, report.predicted_parts = plan.peak_bytes, plan.parts
    if pace := pace_of(upscaler.network, choice, upscaler.settings.threads):
        work = work_of_plan(spec, plan, header.has_alpha)
        report.predicted_seconds, report.predicted_from = round(work.total / pace.multiply_adds, 3), pace.source
    return Prepared(source, header, target, fmt, plan, upscaler, folder)


def execute(
    prepared: Prepared,
    naming: Naming,
    write: WriteOptions,
    max_pixels: int,
    report: Report,
    progress: Progress | None,
) -> None:
    """Do what was prepared. The result appears under its name only when it is whole."""
    from .engine.pace import learn_pace
    from .image.write import RowWriter

    if prepared.plan is None or prepared.upscaler is None:
        return
    upscaler = prepared.upscaler
    if prepared.target is not None:
        naming.make_folder(prepared.target)
    with report.stage("read"):
        picture = _read(prepared, max_pixels)
    report.warnings += picture.warnings
    plan = prepared.plan
    job = plan.job
    metadata = (None, None, None) if write.strip else (picture.icc, picture.exif, picture.xmp)
    log = RunLog()
    with RowWriter(
        sys.stdout.buffer if prepared.target is None else prepared.target,
        prepared.format,
        job.out_width,
        job.out_height,
        job.bands,
        prepared.header.depth,
        *metadata,
        density=picture.density,
        quality=write.quality,
        lossless=write.lossless,
        overwrite=write.overwrite,
        background=write.background,
    ) as writer:
        rows = upscaler.rows(picture.pixels, plan, progress, log)
        while True:
            with report.stage("enlarge"):
                band = next(rows, None)
            if band is None:
                break
            with report.stage("write"):
                writer.write(band)
        with report.stage("write"):
            writer.commit()
        report.warnings += writer.warnings
    choice = upscaler.choice(job.sample_bytes == 2)
    report.tiles = log.tiles
    report.warnings += log.warnings
    report.peak_memory_bytes = peak_resident_bytes()
    report.peak_device_bytes = choice.engine.peak_device_bytes()
    on_cpu = report.device == "cpu"
    if on_cpu and plan.memory_cap is not None and (report.peak_memory_bytes or 0) > plan.memory_cap:
        report.warnings.append(
            f"peak memory {report.peak_memory_bytes} exceeded the cap {plan.memory_cap}; please report this"
        )
    device_peak = report.peak_device_bytes
    if not on_cpu and plan.memory_cap is not None and device_peak is not None and device_peak > plan.memory_cap:
        report.warnings.append(f"peak memory of {report.device} {device_peak} exceeded the cap {plan.memory_cap}")
    # alpha that is the same everywhere is no work, and what was done twice is not in the plan
    if not (prepared.header.has_alpha or log.splits or log.redone):
        work = work_of_plan(upscaler.network.spec, plan, has_alpha=False)
        learn_pace(upscaler.network, choice, upscaler.settings.threads, work.total, report.seconds["enlarge"])


def run_one(
    item: Input,
    chooser: ModelChooser,
    enlargement: Enlargement,
    naming: Naming,
    write: WriteOptions,
    max_pixels: int,
    report: Report,
    progress: Progress | None = None,
    decided: Callable[[Report], None] | None = None,
) -> None:
    """`prepare` and `execute`, then the page of before and after if one is wanted; `decided(report)` is called in
    between. Errors are raised, not reported: ComparisonError if it is only the page that failed."""
    prepared = prepare(item, chooser, enlargement, naming, write, max_pixels, report)
    if decided is not None and prepared.plan is not None:
        decided(report)
    try:
        execute(prepared, naming, write, max_pixels, report, progress)
    except NameTaken:
        if not write.resume or prepared.target is None or report.output_size is None:
            raise
        _check_kept(prepared.target, report.output_size, _room(chooser.settings.memory))
        report.status = "skipped"
        report.warnings.append("another run finished this picture meanwhile; its result is kept")
    if write.compare is not None and prepared.target is not None:
        with report.stage("compare"):
            write_page(prepared.source, prepared.target, write, report)


_LEAST_ROOM = 16 << 20


def _room(cap: int | None) -> int | None:
    """Bytes of `cap` that are left for opening a picture, None without a cap. Some are granted always: whether the
    picture fits is the plan's to say, which knows what would."""
    if cap is None:
        return None
    give_back_holes()
    return max(_LEAST_ROOM, cap - (resident_bytes() or 0))


def _finished(
    target: Path, item: Input, size: tuple[int, int], write: WriteOptions, naming: Naming, room: int | None
) -> bool:
    """Whether --resume finds this result done already; else the target is checked, as far as its folder is there."""
    from .image.part_file import check_target, remove_dead_claim, remove_stale_parts

    shown = printable(str(target))
    if item.path is not None and _same_file(target, item.path):
        raise OutputError(f"{shown}: is the input itself; give another -o, the input is never overwritten")
    # A result that is there may be a link (git-annex keeps its files elsewhere): --resume only looks at it.
    there = write.resume and os.path.isfile(target)  # noqa: PTH113 (Path.is_file raises for names that are too long)
    elsewhere = not naming.is_file_name and _leads_out(target)
    if elsewhere and not there:
        raise OutputError(f"{shown}: is a link that leads out of its folder; remove it, or name it with -o")
    if not elsewhere:
        remove_stale_parts(target)
        there = there and not remove_dead_claim(target)
    if not there:
        if naming.needs_folder(target):
            return False
        try:
            check_target(target, write.overwrite)
            return False
        except NameTaken:
            if not write.resume:
                raise
    _check_kept(target, size, room)
    return True


def _check_kept(target: Path, size: tuple[int, int], room: int | None) -> None:
    """Raise OutputError if what --resume would keep isn't a picture of `size` (width, height); room: bytes that may be
    held for looking at it."""
    from .image.read import probe

    shown = printable(str(target))
    try:
        header = probe(target, most_kept=room)
    except MemoryCapError as error:
        raise OutputError(
            f"{shown}: exists, but --memory is too small to look at it; raise it or leave it out"
        ) from error
    except ImageError as error:
        raise OutputError(f"{shown}: exists but is no picture; remove it or use --overwrite") from error
    if (header.width, header.height) != size:
        raise OutputError(
            f"{shown}: exists with {header.width}x{header.height} pixels, this run would make {size[0]}x{size[1]}; "
            "remove it or use --overwrite"
        )


def _leads_out(target: Path) -> bool:
    """Whether this is a link to another folder's file, there or not: nobody asked for a file there."""
    there = os.path.realpath(target)
    return os.path.islink(target) and os.path.dirname(there) != os.path.realpath(target.parent)  # noqa: PTH114, PTH120


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _read(prepared: Prepared, max_pixels: int) -> Picture:
    from .image.read import read

    try:
        picture = read(prepared.source, prepared.header.source, max_pixels=max_pixels, folder=prepared.folder)
        if picture.header != prepared.header:
            raise ImageError(f"{prepared.header.source}: changed while it was being read; try again")
        return picture
    except MemoryError as error:
        raise ImageError(f"{prepared.header.source}: there is not enough memory to read this picture") from error
