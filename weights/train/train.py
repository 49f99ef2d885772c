"""Train a LIIF network, on a CPU (bf16 autocast, channels-last) or on one CUDA GPU.

    python weights/train/train.py weights/train/rdn-liif-s.toml --data PHOTOGRAPHS --out RUN

Stopped in any way, the same command goes on where the last checkpoint was, to the same numbers as if it had never
stopped. In RUN: checkpoint.pt (weights, average, optimizer), log.jsonl (curve.py draws it), and NAME.pth per head (the
average, in the LIIF authors' layout, for `edge-liif models import`). `--set schedule.iterations=200` overrides a
setting. `--export` writes NAME.pth from the last checkpoint and stops, for a run that is to go on otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
import start
from batches import Batch, Batches, in_advance, load_pictures
from learner import AxisTable, Learner, groups_by_rate
from settings import Config, Start, read_config
from validate import validate

from edge_liif.errors import UsageError
from edge_liif.evaluate import find_datasets
from edge_liif.model.checkpoint import Network, load_network, random_network
from edge_liif.model.edsr import EDSRSpec
from edge_liif.model.liif import DecoderSpec
from edge_liif.model.rdn import RDNSpec
from edge_liif.model.spec import ModelSpec
from edge_liif.model.zoo import resolve

# Number of the first batch that a start in closed form looks at; training never gets there.
START_BATCH = 1_000_000_000
# Cb and Cr of R, G, B (BT.601, full range), in columns.
COLOUR_DIFFERENCES = torch.tensor([[-0.168736, 0.5], [-0.331264, -0.418688], [0.5, -0.081312]])
CHECKPOINT = "checkpoint.pt"
REMEDY = "lower schedule.rate, with another --out"


def first_networks(config: Config, batches: Batches) -> list[Network]:
    """One network per head, with the tensors it starts from."""
    shape = config.shape
    if shape.encoder == "rdn":
        encoder: RDNSpec | EDSRSpec = RDNSpec.uniform(shape.blocks, shape.convs, shape.growth)
    else:
        encoder = EDSRSpec.uniform(shape.blocks)
    specs = {name: ModelSpec(name, encoder, DecoderSpec(tuple(hidden))) for name, hidden in shape.heads.items()}
    begin = config.start
    if begin.method == "random":
        return [random_network(spec, begin.seed) for spec in specs.values()]
    if begin.method == "weights":
        return [replace(load(begin.model.replace("{head}", name)), spec=spec) for name, spec in specs.items()]
    try:
        return _closed_form(config, encoder, list(specs.values()), batches)
    except ValueError as error:
        raise SystemExit(f"train: start.method {begin.method!r}: {error}") from error


def _closed_form(
    config: Config, encoder: RDNSpec | EDSRSpec, specs: list[ModelSpec], batches: Batches
) -> list[Network]:
    """Networks that begin as a compressed or exact form of another. Raises ValueError where shapes don't allow it."""
    begin = config.start
    if begin.method not in ("exact", "compressed") or not isinstance(encoder, RDNSpec):
        raise ValueError("it is not random, weights, exact or compressed, or the encoder is no RDN")
    source = load(begin.model)
    lr = torch.cat([batches[START_BATCH + n].clean for n in range(-(-begin.pictures // config.data.batch))]).cpu()
    lr = lr[: begin.pictures] / 127.5 - 1
    tensors = (
        start.exact(encoder, source, begin.seed) if begin.method == "exact" else start.compressed(encoder, source, lr)
    )
    networks = []
    for spec in specs:
        decoder = {k: torch.from_numpy(v) for k, v in source.tensors.items() if k.startswith("imnet.")}
        if spec.decoder != source.spec.decoder:
            if len(spec.decoder.hidden) != len(source.spec.decoder.hidden):
                raise ValueError("the decoder must have as many hidden layers as the one it starts from")
            decoder = start.narrower_decoder(source, spec.decoder.hidden, start.mlp_inputs(source, lr, 600))
        networks.append(Network(spec, {k: v.numpy() for k, v in {**tensors, **decoder}.items()}))
    return networks


def load(model: str) -> Network:
    return load_network(Path(resolve(model).path))


class Run:
    """Everything that changes while training, and its folder."""

    def __init__(self, config: Config, batches: Batches, folder: Path, device: torch.device) -> None:
        self.config, self.batches, self.folder, self.device = config, batches, folder, device
        self.checkpoint = folder / CHECKPOINT
        saved = None
        if self.checkpoint.exists():
            saved = torch.load(self.checkpoint, map_location=device, weights_only=True)
            if saved["config"] != comparable(config):
                raise SystemExit(f"train: {self.checkpoint} belongs to another configuration; give another --out")
            if saved.get("pictures", batches.digest) != batches.digest:
                raise SystemExit(f"train: {self.checkpoint} was made with other photographs; give another --out")
        networks = self._named_only() if saved else first_networks(config, batches)
        self.learner = Learner(networks, device)
        if saved:
            self.learner.set_centres(saved["centres"])
        elif config.start.centre:
            self.learner.centre(batches[START_BATCH].lr / 127.5 - 1)
        self.average = {name: t.detach().clone() for name, t in self.learner.tensors.items()}
        self.optimizer = torch.optim.Adam(
            groups_by_rate(self.learner, config.schedule.decoder), betas=(0.9, 0.99), fused=device.type == "cuda"
        )
        self.step, self.seconds, self.iterations = 0, 0.0, config.schedule.iterations
        if saved:
            with torch.no_grad():
                for name, tensor in self.learner.tensors.items():
                    tensor.copy_(saved["weights"][name])
                    self.average[name].copy_(saved["average"][name])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.seconds, self.iterations = saved["step"], saved["seconds"], saved["iterations"]
        self.teacher = None
        if config.teacher.weight or config.teacher.keep or config.teacher.answers:
            network = load(config.teacher.model)
            self.teacher = Learner([network], device)
            for tensor in self.teacher.tensors.values():
                tensor.requires_grad_(False)
        self._axes: dict[int, AxisTable] = {}
        self._features = self.learner.features
        if config.schedule.compile:
            self._features = torch.compile(self.learner.features)

    def _named_only(self) -> list[Network]:
        blank = replace(self.config, start=Start())
        return first_networks(blank, self.batches)

    def train(self, folders: list[Path]) -> None:
        self._forget_later_entries()
        report, schedule = self.config.report, self.config.schedule
        losses: list[torch.Tensor] = []
        began = time.perf_counter() - self.seconds
        timed = (self.step, time.perf_counter())
        warm = max(1, schedule.warmup)
        batches = in_advance(self.batches, self.step)
        while True:
            # also of a start without steps, and again where the run was stopped in it
            if self.step >= self.iterations or (self.step and self.step % report.validate == 0):
                self.validate(folders)
            if self.step >= self.iterations:
                break
            losses.append(self._learn(next(batches)))
            self.step += 1
            self.seconds = time.perf_counter() - began
            if schedule.minutes and self.step == warm // 2:
                timed = (self.step, self._now())  # what came before may have been compilation
            if schedule.minutes and self.step == warm:
                speed = (self.step - timed[0]) / (self._now() - timed[1])
                left = max(0.0, 60 * schedule.minutes - self.seconds)
                self.iterations = self.step + max(1, int(speed * left))
                self.log({"step": self.step, "iterations": self.iterations})
            last = self.step >= self.iterations
            if self.step % report.log == 0 or last:
                loss = torch.stack(losses).mean().item()  # waits for the device
                losses = []
                self.log(
                    {"step": self.step, "loss": round(loss, 5), "rate": self.rate(), "seconds": round(self.seconds)}
                )
                if not math.isfinite(loss):
                    raise SystemExit(f"train: the loss is not finite at step {self.step}; {REMEDY}")
            if self.step % report.checkpoint == 0 or last:
                self.save()
        self.export()

    def _now(self) -> float:
        """The time when all work given to the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def rate(self) -> float:
        """Learning rate of the next step: linear warm-up, then a cosine to zero."""
        s = self.config.schedule
        if self.step < s.warmup:
            return s.rate * (self.step + 1) / s.warmup
        return s.rate * 0.5 * (1 + math.cos(math.pi * (self.step - s.warmup) / max(1, self.iterations - s.warmup)))

    def _learn(self, batch: Batch) -> torch.Tensor:
        rate = self.rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        if batch.size not in self._axes:
            self._axes[batch.size] = AxisTable(self.config.data.patch, batch.size, self.device)
        axis = self._axes[batch.size]
        with torch.autocast(self.device.type, torch.bfloat16):
            lr = (batch.lr / 127.5 - 1).contiguous(memory_format=torch.channels_last)
            features = self._features(lr)
            total = torch.zeros((), device=self.device)
            if self.config.teacher.pixels:
                target = self._target(batch, axis)
                for head in self.learner.specs:
                    colours = self.learner.colours(head, features, batch.rows, batch.columns, axis)
                    total = total + pixel_loss(colours - target, self.config.loss.colour)
                total = total * self.config.teacher.pixels / len(self.learner.specs)
            if self.teacher is not None:
                total = total + self._distance_to_teacher(self.teacher, features, batch)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(list(self.learner.tensors.values()), self.config.schedule.clip)
        self.optimizer.step()
        # a young average follows faster, or the start would weigh on it for a thousand steps
        decay = min(self.config.schedule.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.learner.tensors.values()), 1 - decay)
        return total.detach()

    def _target(self, batch: Batch, axis: AxisTable) -> torch.Tensor:
        """What the colours of a batch shall be (B, Q, 3), -1..1."""
        target = batch.target / 127.5 - 1
        share = self.config.teacher.answers
        chosen = undamaged(batch)
        if self.teacher is None or not share or not chosen.any():
            return target
        (head,) = self.teacher.specs
        with torch.no_grad():
            clean = (batch.clean[chosen] / 127.5 - 1).contiguous(memory_format=torch.channels_last)
            features = self.teacher.features(clean)
            answers = self.teacher.colours(head, features, batch.rows[chosen], batch.columns[chosen], axis)
        target[chosen] = torch.lerp(target[chosen], answers, share)
        return target

    def _distance_to_teacher(self, teacher: Learner, features: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Relative L1 to the teacher's features of the undamaged LR, each patch with the weight it has at this step."""
        t = self.config.teacher
        fading = t.weight * (1.0 if t.until > 1 else max(0.0, 1 - self.step / max(1, t.until * self.iterations)))
        holding = max(fading, t.keep)
        weights = torch.where(undamaged(batch), holding, fading)
        chosen = weights > 0  # the teacher looks at no patch in vain
        if not holding or not chosen.any():
            return 0.0 * features.float().mean()  # a loss of no other term still has a gradient
        with torch.no_grad():
            clean = (batch.clean[chosen] / 127.5 - 1).contiguous(memory_format=torch.channels_last)
            goal = teacher.features(clean).float()
        distances = (features[chosen].float() - goal).abs().mean((1, 2, 3)) / goal.abs().mean()
        return (weights[chosen] * distances).sum() / len(weights)

    def validate(self, folders: list[Path]) -> None:
        report = self.config.report
        for folder in folders:
            for head in self.learner.specs:
                network = self.learner.network(head, self.average)
                for quality in report.qualities:
                    precision = "bf16" if self.device.type == "cpu" else "fp32"
                    value = validate(
                        network, folder, report.scale, quality or None, precision, self.device.type, report.limit
                    )
                    name = f"psnr {head} {folder.name} x{report.scale:g}" + (f" q{quality}" if quality else "")
                    self.log({"step": self.step, name: round(value, 3)})

    def log(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry)
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(line + "\n")

    def _forget_later_entries(self) -> None:
        """Leave out of the log what comes again: all behind the checkpoint, its own validation, a line cut short."""
        path = self.folder / "log.jsonl"
        kept = []
        for line in path.read_text().splitlines() if self.step and path.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                measured = any(name.startswith("psnr ") for name in entry)
                if entry["step"] < self.step or (entry["step"] == self.step and not measured):
                    kept.append(line + "\n")
        part = path.with_suffix(".part")
        part.write_text("".join(kept))
        part.replace(path)

    def save(self) -> None:
        if not all(bool(t.isfinite().all()) for t in self.learner.tensors.values()):
            raise SystemExit(
                f"train: weights are not finite at step {self.step}; the last checkpoint is kept; {REMEDY}"
            )
        part = self.checkpoint.with_suffix(".part")
        state = {
            "config": comparable(self.config),
            "pictures": self.batches.digest,
            "step": self.step,
            "seconds": self.seconds,
            "iterations": self.iterations,
            "weights": {name: t.detach() for name, t in self.learner.tensors.items()},
            "average": self.average,
            "centres": self.learner.centres,
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, part)
        part.replace(self.checkpoint)

    def export(self) -> None:
        """The averaged weights of each head as NAME.pth, in the layout of the LIIF authors."""
        for head in self.learner.specs:
            network = self.learner.network(head, self.average)
            tensors = {name: torch.from_numpy(value) for name, value in network.tensors.items()}
            torch.save({"model": {"name": "liif", "args": {}, "sd": tensors}}, self.folder / f"{head}.pth")


def pixel_loss(error: torch.Tensor, colour: float) -> torch.Tensor:
    """L1 of errors (B, Q, 3) of R, G and B, and `colour` times that of their colour differences."""
    total = error.abs().mean()
    if not colour:
        return total
    # in bf16 a share of the brightness would be left in what shall be free of it
    with torch.autocast(error.device.type, enabled=False):
        return total + colour * (error @ COLOUR_DIFFERENCES.to(error)).abs().mean()


def undamaged(batch: Batch) -> torch.Tensor:
    """Which patches JPEG left alone: bool (B)."""
    return (batch.lr == batch.clean).flatten(1).all(1)


def comparable(config: Config) -> str:
    return json.dumps(asdict(config), sort_keys=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of photographs to learn from")
    parser.add_argument("--validate", type=Path, nargs="*", default=[], help="folders of photographs to measure on")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--export", action="store_true", help="write NAME.pth from the last checkpoint, and stop")
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = read_config(arguments.config, arguments.set)
    if arguments.export and not (arguments.out / CHECKPOINT).exists():
        raise SystemExit(f"train: --export: there is no checkpoint in {arguments.out}")
    device = torch.device(arguments.device)
    try:
        if arguments.validate:
            find_datasets(arguments.validate)  # found out now, not after hours
    except UsageError as error:
        raise SystemExit(f"train: {error}") from error
    arguments.out.mkdir(parents=True, exist_ok=True)
    data = config.data
    pictures = load_pictures(arguments.data, device, math.ceil(data.patch * data.scales[1]))
    batches = Batches(pictures, data.seed, data.batch, data.patch, data.queries, data.scales, data.detail, config.jpeg)
    run = Run(config, batches, arguments.out, device)
    if arguments.export:
        run.export()
        return
    print(f"{len(pictures)} pictures; step {run.step} of {run.iterations} on {device}", file=sys.stderr)
    run.train(arguments.validate)


if __name__ == "__main__":
    main()
