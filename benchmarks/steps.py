"""What each step of the way to int8 brings, alone and together: from the paper's forward pass to a pruned int8 network.

    python benchmarks/steps.py [--models edsr-baseline-liif] [--size 1024x768] [--scale 3] [--rounds 3]
                               [--prune 0.25 0.45] [--recipe calibration/thorough.toml]
                               [--memory 2GiB] [--programs openvino] [--keep DIR]

Every step is a process of its own (its peak memory is counted) that loads the network, warms up, waits, and enlarges
the picture each time it is its turn: the steps take turns, so that a machine that drifts favours none. The literal
forward pass takes minutes and has one turn. Seconds are from array to array. PSNR is that of the picture to the fp32
output of the same network unpruned, by OpenVINO if that is among the programs. A step whose precision this processor
does not have (bf16 without AVX512 or AMX, or under ONEDNN_MAX_CPU_ISA) has a row that says so. The model random-B is
configuration B with random weights, for speed alone; such networks are compressed by `rtn`, the others by `lockstep`.
--memory is the cap that `run` would be given (the literal pass has none): with more of it tiles are larger. --keep is a
folder for the compressed networks; those that are there already, by the same recipe, are not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from configuration_b import RANDOM_B, configuration_b
from numpy.typing import NDArray

from edge_liif import __version__
from edge_liif.engine.cores import usable_cpus
from edge_liif.errors import EngineError
from edge_liif.evaluate import environment_facts, load_rgb
from edge_liif.memory import peak_resident_bytes
from edge_liif.model.checkpoint import Network, load_network, save_network
from edge_liif.model.convert import with_known_answer
from edge_liif.model.zoo import resolve

WARM_UP = 96  # LR pixels of a side


@dataclass(frozen=True)
class Step:
    """program: "literal" or an engine; file: which of the network's files."""

    name: str
    program: str
    precision: str
    file: str = "original"


@dataclass
class Result:
    """What a step gave: the picture in `output`, seconds of each turn, peak bytes; or why it is missing here."""

    output: Path
    seconds: list[float] = field(default_factory=list)
    peak: int = 0
    missing: str | None = None


FLOATS_AND_INT8 = [
    Step("literal forward pass, torch fp32", "literal", "fp32"),
    Step("exact fast decoder, torch fp32", "torch-nchw", "fp32"),
    Step("channels last", "torch", "fp32"),
    Step("torch bf16", "torch", "bf16"),
    Step("torch fp32, compiled by torch.compile", "torch-compiled", "fp32"),
    Step("torch bf16, compiled by torch.compile", "torch-compiled", "bf16"),
    Step("OpenVINO fp32", "openvino", "fp32"),
    Step("OpenVINO bf16", "openvino", "bf16"),
    Step("OpenVINO int8 (W8A8)", "openvino", "int8", "quantized"),
]


def pruned(share: float) -> str:
    """The file of the network pruned by a share and quantized, by the name that steps use."""
    return f"pruned-{share:g}"


def steps(shares: list[float]) -> list[Step]:
    """Each step on top of those before it; pruning also without integers, in bf16."""
    result = list(FLOATS_AND_INT8)
    for share in shares:
        name, file = f"{100 * share:g} % pruned", pruned(share)
        result.append(Step(f"{name}, 8-bit weights, OpenVINO bf16", "openvino", "bf16", file))
        result.append(Step(f"{name}, OpenVINO int8 (W8A8)", "openvino", "int8", file))
    return result


def program(step: Step, network: Network, scale: float, memory: str | None) -> Callable[[NDArray], NDArray]:
    """uint8 (H, W, 3) to float32 (rows, columns, 3) in 0..1."""

    def size(lr: NDArray) -> tuple[int, int]:
        return round(lr.shape[0] * scale), round(lr.shape[1] * scale)

    if step.program == "literal":
        import torch

        from edge_liif.model.reference import literal_enlarge

        torch.set_num_threads(usable_cpus())

        def literal(lr: NDArray) -> NDArray:
            tensor = torch.from_numpy(lr).permute(2, 0, 1)[None].float() / 255
            return literal_enlarge(network, tensor, size(lr)).numpy().clip(0, 1)

        return literal
    from edge_liif.options import Settings, parse_memory
    from edge_liif.upscaler import Upscaler

    engine = step.program.removesuffix("-nchw")
    upscaler = Upscaler(
        network, Settings(engine=engine, precision=step.precision, device="cpu", memory=parse_memory(memory))
    )
    chosen = upscaler.choice(False)
    if step.program.endswith("-nchw"):
        channels_first(chosen.engine)
    return lambda lr: upscaler.enlarge_float(lr, size(lr))


def channels_first(engine: Any) -> None:
    """Have a torch engine keep every map of its encoder as (channels, rows, columns), torch's usual order.

    Weights and picture both: a convolution goes over to channels last as soon as either of them has it.
    """
    import torch
    import torch.nn.functional as F

    layers = engine._layers
    layers.tensors = {name: tensor.contiguous() for name, tensor in layers.tensors.items()}
    weight, spec = engine._hidden_weight.contiguous(), engine._spec

    def encode(lr: NDArray[np.float32]) -> torch.Tensor:
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(lr)) * 2 - 1
            features = spec.encoder_module.forward(layers, spec.encoder, x)
            assert features.is_contiguous(), "this row would be that of channels last"
            return F.conv2d(features, weight, padding=1)[0].permute(1, 2, 0).contiguous()

    engine.encode = encode


def work(step: Step, path: Path, picture: NDArray[np.uint8], arguments: argparse.Namespace, output: Path) -> None:
    """The child process: "ready" and a line of JSON for each line read, or why it can't be."""
    try:
        enlarge = program(step, load_network(path), arguments.scale, arguments.memory)
    except EngineError as error:
        print(error, flush=True)
        return
    enlarge(picture[:WARM_UP, :WARM_UP])
    if step.program in {"openvino", "torch-compiled"}:
        enlarge(picture)  # compiled for the picture's tiles
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        result = enlarge(picture)
        seconds = time.perf_counter() - start
        np.save(output, result)
        print(json.dumps({"seconds": seconds, "peak": peak_resident_bytes()}), flush=True)


def files(model: str, wanted: set[str], arguments: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """The network and those of its compressed forms that are wanted, by the names that steps use."""
    from edge_liif.compress.config import CompressConfig
    from edge_liif.compress.pipeline import compress
    from edge_liif.compress.recipe import Recipe, read_recipe
    from edge_liif.compress.synthetic import synthesize

    recipe = read_recipe(arguments.recipe) if arguments.recipe else None
    pictures = None
    if model == RANDOM_B:
        network = configuration_b()
        pictures = synthesize(Recipe(count=4, size=48))  # ranges of activations are all that rtn asks of them
        method, path = "rtn", folder / f"{model}.safetensors"
        save_network(with_known_answer(network), path)
    else:
        resolved = resolve(model)
        network, method, path = load_network(resolved.path), "lockstep", resolved.path
    found = {"original": path}
    for name, share in (("quantized", 0.0), *((pruned(share), share) for share in arguments.prune)):
        if name not in wanted:
            continue
        config = CompressConfig(method, share, 8, 8, arguments.scale)
        facts = repr((config, recipe, network.sha256, __version__))
        found[name] = folder / f"{model}-{name}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}.safetensors"
        if found[name].exists():
            continue
        if pictures is None and recipe is not None:
            pictures = synthesize(recipe)
        small, report = compress(network, config, pictures)
        save_network(with_known_answer(small), found[name])
        before, after = report.multiply_adds
        print(f"{model} {name}: {after / before:.3f} of the multiply-adds", file=sys.stderr, flush=True)
    return found


def multiply_adds_per_output(path: Path, scale: float) -> float:
    """Multiply-adds per output pixel of the fast form, zero-weight evaluations skipped."""
    from edge_liif.compress.structure import multiply_adds

    return multiply_adds(load_network(path).spec, scale) / scale**2


def compare(model: str, arguments: argparse.Namespace, picture: NDArray[np.uint8], folder: Path, kept: Path) -> None:
    wanted = [s for s in steps(arguments.prune) if s.program in arguments.programs]
    paths = files(model, {s.file for s in wanted}, arguments, kept)
    source = folder / "picture.npy"
    np.save(source, picture)
    results = {s: Result(folder / f"{i}.npy") for i, s in enumerate(wanted)}
    # the literal one alone, first: it takes gigabytes
    for group in ([s for s in wanted if s.program == "literal"], [s for s in wanted if s.program != "literal"]):
        children = {}
        for step in group:
            child = start(step, paths[step.file], source, arguments, results[step])
            if child is not None:
                children[step] = child
        for _ in range(1 if group and group[0].program == "literal" else arguments.rounds):
            for step, child in children.items():
                assert child.stdin is not None and child.stdout is not None
                child.stdin.write("go\n")
                child.stdin.flush()
                answer = json.loads(child.stdout.readline())
                results[step].seconds.append(answer["seconds"])
                results[step].peak = answer["peak"]
        for child in children.values():
            child.communicate()
    report(model, results, paths, arguments)


def start(
    step: Step, path: Path, source: Path, arguments: argparse.Namespace, result: Result
) -> subprocess.Popen[str] | None:
    """A step's process, ready; None if the step can't be done here, which `result` then says."""
    words = [sys.executable, __file__, "--child", step.name, str(path), str(source), str(result.output)]
    words += ["--scale", str(arguments.scale), "--prune", *map(str, arguments.prune)]
    words += ["--memory", arguments.memory] if arguments.memory else []
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    # one after the other: they warm up alone
    said = child.stdout.readline().strip()
    if said == "ready":
        return child
    child.communicate()
    if not said or child.returncode:
        raise SystemExit(f"{step.name} failed")
    result.missing = said
    return None


def report(model: str, results: dict[Step, Result], paths: dict[str, Path], arguments: argparse.Namespace) -> None:
    done = [step for step, result in results.items() if result.missing is None]
    floats = [step for step in done if step.precision == "fp32"]
    reference = next((s for s in floats if s.program == "openvino"), floats[0] if floats else None)
    exact = None if reference is None else np.load(results[reference].output).astype(np.float64)
    print(f"\n### {model}\n")
    print("| step | k multiply-adds / output px | seconds (spread) | faster than the first | PSNR to fp32 | peak MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for step, result in results.items():
        if result.missing is not None:
            print(f"| {step.name} | | not available here | | | |")
            print(f"{step.name}: {result.missing}", file=sys.stderr)
            continue
        middle = statistics.median(result.seconds)
        base = statistics.median(results[done[0]].seconds)
        spread = f"{middle:.2f} ({min(result.seconds):.2f}..{max(result.seconds):.2f})"
        psnr = "–"
        if exact is not None and step != reference and model != RANDOM_B:
            error = np.square(np.load(result.output) - exact).mean()
            psnr = f"{-10 * np.log10(error):.1f}" if error else "same"
        if step.program == "literal":
            adds = literal_adds(paths["original"], arguments)
        else:
            adds = multiply_adds_per_output(paths[step.file], arguments.scale)
        print(
            f"| {step.name} | {adds / 1e3:.0f} | {spread} | {base / middle:.1f}x | {psnr} | {result.peak >> 20} |",
            flush=True,
        )


def literal_adds(path: Path, arguments: argparse.Namespace) -> float:
    """Multiply-adds per output pixel of the literal form: four times the MLP on 9 F features and 4 coordinates."""
    from edge_liif.model.liif import OUTPUTS

    spec = load_network(path).spec
    encoder = sum(
        int(np.prod(shape)) for name, shape in spec.tensor_shapes.items() if len(shape) == 4 and "encoder" in name
    )
    widths = [9 * spec.encoder.features + 4, *spec.decoder.hidden, OUTPUTS]
    decoder = sum(a * b for a, b in itertools.pairwise(widths))
    return encoder / arguments.scale**2 + 4 * decoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["edsr-baseline-liif", "rdn-liif-s"])
    parser.add_argument("--picture", type=Path, default=Path(__file__).parents[1] / "examples" / "kodim23.png")
    parser.add_argument("--size", default="1024x768", help="the picture is resized to it; only its size matters")
    parser.add_argument("--scale", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prune", nargs="+", type=float, default=[0.25], help="shares of the multiply-adds")
    parser.add_argument("--recipe", type=Path, help="of the calibration pictures; by default calibration/default.toml")
    parser.add_argument("--memory", help="a cap as run takes it, such as 2GiB; by default none")
    programs = ["literal", "torch-nchw", "torch", "openvino"]
    parser.add_argument("--programs", nargs="+", choices=[*programs, "torch-compiled"], default=programs)
    parser.add_argument("--keep", type=Path, help="folder for the compressed networks; by default they are not kept")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, path, source, output = arguments.child
        step = next(s for s in steps(arguments.prune) if s.name == name)
        work(step, Path(path), np.load(source), arguments, Path(output))
        return
    import cv2

    width, height = map(int, arguments.size.split("x"))
    picture = cv2.resize(load_rgb(arguments.picture), (width, height), interpolation=cv2.INTER_CUBIC)
    threads = usable_cpus()
    facts = ", ".join(f"{k} {v}" for k, v in environment_facts().items())
    print(f"{width}x{height} x{arguments.scale:g}, {threads} threads; {facts}")
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) if arguments.keep is None else arguments.keep
            kept.mkdir(parents=True, exist_ok=True)
            compare(model, arguments, picture, Path(folder), kept)


if __name__ == "__main__":
    main()
