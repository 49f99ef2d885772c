"""Networks and plans in words: what goes in, what each stage does to it with shapes, what comes out, on whose work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .duration import duration
from .image.source import printable
from .model import liif
from .model.spec import ModelSpec
from .work import work_of, work_of_plan

if TYPE_CHECKING:
    from .job import Prepared
    from .report import Report


def explain_model(spec: ModelSpec) -> list[str]:
    """What a network is."""
    features, hidden = spec.encoder.features, spec.decoder.hidden
    once, each = spec.decoder_multiply_adds
    x3 = work_of(spec, 1, 25).total
    lines = [
        f"{spec.name}: LIIF with an {spec.encoder.kind.upper()} encoder, {spec.parameters / 1e6:.2f} M parameters",
        "  in       RGB picture (1, 3, H, W), 0..1, scaled to -1..1",
        *(f"  encode   {line}" for line in spec.encoder_module.describe(spec.encoder)),
        f"           -> features (1, {features}, H, W); "
        f"{spec.encoder_multiply_adds / 1e6:.2f} M multiply-adds per LR pixel",
        "  hidden   the MLP's first layer on 3x3-unfolded features, as one 3x3 convolution",
        f"           -> hidden map (H, W, {hidden[0]}); {once / 1e6:.2f} M multiply-adds per LR pixel",
        "  decode   for each output pixel and each of its 2x2 nearest cells: hidden vector + offset and cell terms,",
        f"           ReLU, {' -> '.join(map(str, hidden))} -> 3; {each / 1e6:.2f} M multiply-adds per evaluation",
        "  mix      the four colours, weighted by the area opposite to each (local ensemble)",
        "           evaluations per LR pixel: 16 at x2, 25 at x3, 64 at x4 (those of weight zero are skipped)",
        f"  out      RGB (rows, columns, 3), any size; at x3 {x3 / 1e6:.1f} M multiply-adds per LR pixel in all",
    ]
    if spec.halo is None:
        lines.append(f"  tiles    halo {spec.exact_halo} LR pixels (exact)")
    else:
        lines.append(
            f"  tiles    exact with a halo of {spec.exact_halo} LR pixels; default {spec.halo.pixels}, "
            f"which cost at most {spec.halo.max_error * 255:.3f}/255 on {spec.halo.images}"
        )
    lines += [f"  rests on {liif.PAPER}; code yinboc/liif (BSD-3-Clause)", f"           {spec.encoder_module.PAPER}"]
    lines.append(f"  weights  {spec.authors}; {spec.licence}; {spec.source}")
    return lines


def explain_plan(prepared: Prepared, report: Report) -> list[str]:
    """What run would do to one picture."""
    plan, header, upscaler = prepared.plan, prepared.header, prepared.upscaler
    assert plan is not None and upscaler is not None, "a result that is there already has no plan"
    spec = upscaler.network.spec
    job, shape = plan.job, plan.shape
    features, hidden = spec.encoder.features, spec.decoder.hidden
    work = work_of_plan(spec, plan, header.has_alpha)
    bands = {1: "grey", 2: "grey+alpha", 3: "RGB", 4: "RGBA"}[header.bands]
    sx, sy = report.scale or (0, 0)
    scale = f"x{sx:.4g}" if abs(sx - sy) < 1e-3 else f"x{sx:.4g} by x{sy:.4g}"
    per_pixel = plan.evaluations / (job.out_height * job.out_width)
    paper = liif.PAPER.split(",")[-1].strip()
    lines = [
        f"{printable(report.input)} -> {printable(report.output or 'standard output')}",
        f"  in       {header.width}x{header.height} {bands}, {header.depth} bit {header.format.upper()}",
        f"  model    {spec.name}: {spec.encoder.kind.upper()} encoder, LIIF decoder ({paper})",
        f"           {report.model_why}",
        f"  engine   {report.why}",
        f"  tiles    {plan.tiles} of {shape.width}x{shape.height} LR pixels with halo {plan.halo} "
        f"(exact: {spec.exact_halo}); the encoder computes {plan.halo_overhead:.2f}x the picture",
        f"  encode   (1, 3, {shape.height}, {shape.width}) -> features (1, {features}, {shape.height}, {shape.width}) "
        f"-> hidden map ({shape.height}, {shape.width}, {hidden[0]})",
        f"  decode   blocks of {plan.block_rows} output rows: ({shape.rows}, {shape.columns}) evaluations of "
        f"{' -> '.join(map(str, hidden))} -> 3, {per_pixel:.2f} per output pixel "
        "(4 in the paper, zero weights skipped)",
    ]
    if report.temporary_bytes:
        place, size = printable(str(prepared.folder)), report.temporary_bytes / 2**20
        lines.insert(2, f"           its pixels in an unnamed file of {size:,.0f} MiB in {place}")
    if header.has_alpha:
        lines.append("  alpha    goes through the same network; colour is bled under transparent pixels first")
    lines += [
        f"  out      {job.out_width}x{job.out_height} ({scale}), {bands}, {report.format}, rows streamed to the file",
        f"  work     {_count(work.total)} multiply-adds: encoder {_count(work.encoder)}, "
        f"decoder {_count(work.decoder)}",
        f"  memory   predicted peak {plan.peak_bytes / 2**20:,.0f} MiB: "
        + ", ".join(f"{name} {size / 2**20:,.0f}" for name, size in plan.parts.items() if size >= 2**19),
    ]
    if report.predicted_seconds is not None:
        lines.append(
            f"  time     about {duration(report.predicted_seconds)} to enlarge, at the pace of {report.predicted_from}"
        )
    lines += [f"  warning  {warning}" for warning in report.warnings]
    return lines


def _count(number: float) -> str:
    """Three digits and M, G or T."""
    size, unit = next(((s, u) for s, u in ((1e12, "T"), (1e9, "G")) if number >= s), (1e6, "M"))
    return f"{number / size:.3g} {unit}"
