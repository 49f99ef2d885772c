"""Post-training quantization to 8 bits by others, on the same float network: `edge-liif compress` against NNCF.

    pip install nncf 'edge-liif[eval]'
    edge-liif compress edsr-baseline-liif --weight-bits 8 --activation-bits 8 -o ours.safetensors
    edge-liif compress edsr-baseline-liif --weight-bits 8 --activation-bits 8 --calibrate-on TRAIN -o real.safetensors
    python benchmarks/peers_int8.py --ours ours.safetensors --real real.safetensors --calibrate-on TRAIN \
        --data kodak Urban100-20 --limit 6

NNCF quantizes the graphs that the fp32 engine executes, calibrated on the crops that `--calibrate-on` of `edge-liif
compress` takes. Everything runs in OpenVINO through one path: NNCF wants fixed shapes, so every picture is enlarged in
windows of 96 x 96 LR pixels, the fp32 network's too. Times are therefore good for their ratios; the tiles of
`edge-liif run` are larger. Pictures smaller than a window are left out. x3, LR by MATLAB bicubic.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from edge_liif.compress.real_pictures import crops
from edge_liif.engine.base import MemoryFacts, TileShape
from edge_liif.engine.openvino import OpenVINOEngine
from edge_liif.engine.openvino_graphs import FloatGraphs
from edge_liif.evaluate import Dataset, environment_facts, find_datasets, load_rgb, low_resolution
from edge_liif.evaluate.fidelity import Fidelity, measure_fidelity
from edge_liif.geometry import cell_pattern
from edge_liif.model.checkpoint import Network, load_network
from edge_liif.model.zoo import resolve
from edge_liif.options import Settings
from edge_liif.tiling.plan import Job, Plan, plan_for_core
from edge_liif.tiling.run import Plane, render
from edge_liif.upscaler import Upscaler, window_reader

SCALE = 3
# The crops' side; the halo is the model's own.
WINDOW, HALO = 96, 24
CORE = WINDOW - 2 * HALO
PATTERN = cell_pattern(WINDOW, SCALE * WINDOW)
# Output rows of a block, and its evaluations: along both axes five for three pixels; columns beside the core come too.
BLOCK_ROWS = 36
SHAPE = TileShape(WINDOW, WINDOW, BLOCK_ROWS // SCALE * PATTERN.per_cell, (CORE + 2) * PATTERN.per_cell, PATTERN)
# Of a crop's blocks, every so many calibrates the decoder; the crops take turns.
BLOCK_STEP = 4
# The fixed tiles may change the fp32 network's output by this much of full scale.
SAME = 1e-3
REFERENCE = "fp32"


@dataclass(frozen=True)
class Peer:
    """A way that NNCF quantizes. as_ours: what edge-liif leaves in floats, NNCF leaves too."""

    name: str
    preset: str
    as_ours: bool = False


PEERS = [
    Peer("NNCF, default preset", "performance"),
    Peer("NNCF, mixed preset", "mixed"),
    Peer("NNCF, mixed preset, sums and first convolution in floats as in edge-liif", "mixed", True),
]


def fixed_plan(height: int, width: int) -> Plan:
    """The plan of a picture in windows and blocks of SHAPE."""
    job = Job(height, width, height * SCALE, width * SCALE, 3, 4)
    plan = plan_for_core(job, MemoryFacts(0, 0, 0), HALO, (CORE, CORE))
    assert plan.shape.pattern == PATTERN, "the same for all pictures at an integer scale"
    # cores that are cut evenly may be smaller: the window grows beyond their halo
    rows, columns = replace(plan.rows, window=WINDOW), replace(plan.columns, window=WINDOW)
    return replace(plan, rows=rows, columns=columns, shape=SHAPE, block_rows=BLOCK_ROWS)


def enlarger(engine: OpenVINOEngine) -> Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.float32]]:
    """As `Upscaler.enlarge_float`, in fixed tiles."""

    def enlarge(lr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
        plan = fixed_plan(*lr.shape[:2])
        assert size == (plan.job.out_height, plan.job.out_width)
        plane = Plane(window_reader(lr, slice(0, 3)), lambda colour: colour.clip(0, 1), slice(0, 3))
        return np.concatenate([rows.copy() for rows in render(plan, engine, [plane], np.float32)])

    return enlarge


class Recorder:
    """An inference request of the decoder that remembers what it was given, the hidden map apart."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._given: dict[int, NDArray] = {}
        self.blocks: list[list[NDArray]] = []

    def set_input_tensor(self, index: int, tensor: ov.Tensor) -> None:
        if index:
            self._given[index] = tensor.data.copy()
        self._request.set_input_tensor(index, tensor)

    def infer(self) -> None:
        self.blocks.append([self._given[i] for i in sorted(self._given)])
        self._request.infer()

    def get_output_tensor(self) -> ov.Tensor:
        return self._request.get_output_tensor()


@dataclass(frozen=True)
class Calibration:
    """Inputs of both graphs. windows: (1, 3, H, W); hidden: the fp32 encoder's output for each; blocks: the other
    inputs of the decoder, which are the same for all windows."""

    windows: list[NDArray[np.float32]]
    hidden: list[NDArray[np.float32]]
    blocks: list[list[NDArray]]

    def decoder_inputs(self) -> list[list[NDArray]]:
        return [
            [hidden, *block]
            for i, hidden in enumerate(self.hidden)
            for block in self.blocks[i % BLOCK_STEP :: BLOCK_STEP]
        ]


def calibration(engine: OpenVINOEngine, pictures: NDArray[np.uint8]) -> Calibration:
    """What the fp32 engine gives its graphs when it enlarges these crops of a window's size."""
    engine.prepare(SHAPE)
    request = engine._decode
    recorder = engine._decode = Recorder(request)
    enlarger(engine)(pictures[0], (WINDOW * SCALE, WINDOW * SCALE))
    engine._decode = request
    windows = [window_reader(picture, slice(0, 3))(0, 0, WINDOW, WINDOW) for picture in pictures]
    return Calibration(windows, [engine.encode(window).data.copy() for window in windows], recorder.blocks)


class PeerGraphs(FloatGraphs):
    """The float graphs of a network, quantized by NNCF."""

    def __init__(self, network: Network, peer: Peer, data: Calibration) -> None:
        super().__init__(network)
        self._peer, self._data = peer, data

    def encoder(self, height: int, width: int) -> ov.Model:
        return self._quantized(super().encoder(height, width), [[window] for window in self._data.windows])

    def decoder(self, shape: TileShape) -> ov.Model:
        assert shape == SHAPE
        return self._quantized(super().decoder(shape), self._data.decoder_inputs())

    def _quantized(self, model: ov.Model, inputs: list[list[NDArray]]) -> ov.Model:
        import nncf

        ignored = nncf.IgnoredScope(names=float_in_ours(model)) if self._peer.as_ours else None
        preset = nncf.QuantizationPreset(self._peer.preset)
        return nncf.quantize(model, nncf.Dataset(inputs), preset=preset, subset_size=len(inputs), ignored_scope=ignored)


def float_in_ours(model: ov.Model) -> list[str]:
    """Names of the nodes that edge-liif computes in floats: sums of two computed values, and what reads the picture."""

    def computed(value: Any) -> bool:
        return value.get_source_output().get_node().get_type_name() != "Constant"

    names = []
    for node in model.get_ordered_ops():
        kind, inputs = node.get_type_name(), node.inputs()
        first = kind == "Convolution" and inputs[1].get_shape()[1] == 3
        if first or (kind == "Add" and all(map(computed, inputs))):
            names.append(node.get_friendly_name())
    return names


def engines(arguments: argparse.Namespace, network: Network) -> Iterator[tuple[str, OpenVINOEngine]]:
    """Every candidate by name, ready to work, the fp32 network first."""
    reference = OpenVINOEngine(network, "fp32", cache=False)
    yield REFERENCE, reference
    for name, path in (
        ("edge-liif lockstep, data-free", arguments.ours),
        ("edge-liif lockstep, real pictures (not data-free)", arguments.real),
    ):
        engine = OpenVINOEngine(load_network(path), "int8", cache=False)
        engine.prepare(SHAPE)
        yield name, engine
    data = calibration(reference, crops(arguments.calibrate_on, size=WINDOW))
    for peer in PEERS:
        start = time.perf_counter()
        # with floats beside int8 in fp32, as the int8 engine has them
        engine = OpenVINOEngine(network, "fp32", cache=False)
        engine._graphs = PeerGraphs(network, peer, data)
        engine.prepare(SHAPE)
        print(f"{peer.name}: quantized in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        yield f"{peer.name}, real pictures", engine


@dataclass(frozen=True)
class Times:
    """wall: seconds of each round; cpu: of all threads, which other work on the machine hardly changes."""

    wall: list[float]
    cpu: list[float]


def interleaved_times(methods: dict[str, Callable], lr: NDArray[np.uint8], rounds: int) -> dict[str, Times]:
    """Times of each method for one picture; they take turns, so that a machine that drifts favours none."""
    size = (lr.shape[0] * SCALE, lr.shape[1] * SCALE)
    times = {name: Times([], []) for name in methods}
    for _ in range(rounds):
        for name, enlarge in methods.items():
            wall, cpu = time.perf_counter(), time.process_time()
            enlarge(lr, size)
            times[name].wall.append(time.perf_counter() - wall)
            times[name].cpu.append(time.process_time() - cpu)
    return times


def integer_layers(engine: OpenVINOEngine) -> str:
    """How many convolutions and matrix products OpenVINO executes on integers, of how many."""
    products = [layer for layer in engine.executed() if layer.kind in {"Convolution", "FullyConnected", "MatMul"}]
    return f"{sum(layer.precision in {'i8', 'u8'} for layer in products)} of {len(products)}"


def large_enough(dataset: Dataset) -> Dataset:
    """Those pictures whose LR has a whole window."""
    paths = tuple(p for p in dataset.paths if min(load_rgb(p).shape[:2]) // SCALE >= WINDOW)
    if not paths:
        raise SystemExit(f"{dataset.name}: no picture of at least {SCALE * WINDOW} pixels a side")
    return replace(dataset, paths=paths)


def table(rows: list[Fidelity], times: dict[str, Times], layers: dict[str, str], datasets: list[Dataset]) -> list[str]:
    """Methods down; PSNR-Y to the originals / to the fp32 network for each data set."""
    by = {(row.dataset, row.method): row for row in rows}
    names = [d.name for d in datasets]
    heads = [f"{name} ({by[name, REFERENCE].n})" for name in names]
    lines = [
        f"| network | {' | '.join(heads)} | s (spread) | CPU s | layers on integers |",
        "|---|" + "---:|" * (len(heads) + 3),
    ]
    for method in dict.fromkeys(row.method for row in rows):
        each = [by[name, method] for name in names]
        cells = [f"{r.psnr_y:.3f} / " + ("–" if np.isinf(r.fidelity) else f"{r.fidelity:.2f}") for r in each]
        cells += time_cells(times[method]) if method in times else ["–", "–"]
        lines.append(f"| {method} | {' | '.join(cells)} | {layers.get(method, '–')} |")
    return lines


def time_cells(times: Times) -> list[str]:
    wall = times.wall
    return [f"{statistics.median(wall):.2f} ({min(wall):.2f}..{max(wall):.2f})", f"{statistics.median(times.cpu):.2f}"]


def check_reference(network: Network, enlarge: Callable, lr: NDArray[np.uint8]) -> float:
    """Largest difference of the fp32 network in fixed tiles from the product's own path; exits if it is too large."""
    size = (lr.shape[0] * SCALE, lr.shape[1] * SCALE)
    own = Upscaler(network, Settings(engine="openvino", precision="fp32")).enlarge_float(lr, size)
    error = float(np.abs(enlarge(lr, size) - own).max())
    if not error <= SAME:
        raise SystemExit(f"fixed tiles change the fp32 output by {error:.2g} of full scale")
    return error


def say_progress(done: int, total: int) -> None:
    print(f"\r{done} of {total} pictures enlarged", end="" if done < total else "\n", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="edsr-baseline-liif", help="the float network that both files come from")
    parser.add_argument("--ours", type=Path, required=True, help="compressed without data")
    parser.add_argument("--real", type=Path, required=True, help="compressed with --calibrate-on")
    parser.add_argument("--calibrate-on", type=Path, nargs="+", required=True, help="folders of pictures for NNCF")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of pictures to measure on")
    parser.add_argument("--limit", type=int, help="only the first pictures of each folder of --data")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    try:
        import nncf
    except ImportError:
        raise SystemExit("the peers are made by NNCF, which is not installed: pip install nncf") from None
    nncf.set_log_level(logging.WARNING)
    resolved = resolve(arguments.model)
    network = load_network(resolved.path, resolved.sha256_expected)
    datasets = [large_enough(d) for d in find_datasets(arguments.data)]
    ready = dict(engines(arguments, network))
    methods = {name: enlarger(engine) for name, engine in ready.items()}
    layers = {name: integer_layers(engine) for name, engine in ready.items()}
    timed = low_resolution(load_rgb(datasets[0].paths[0]), SCALE, "matlab").lr
    error = check_reference(network, methods[REFERENCE], timed)
    times = interleaved_times(methods, timed, arguments.rounds)
    others = {name: enlarge for name, enlarge in methods.items() if name != REFERENCE}
    rows = []
    for dataset in datasets:
        reference = (REFERENCE, methods[REFERENCE])
        rows += measure_fidelity(reference, others, [dataset], SCALE, limit=arguments.limit, progress=say_progress)
        # a long run that is stopped has said what it knew
        print("\n".join(table(rows, times, layers, datasets[: datasets.index(dataset) + 1])), file=sys.stderr)
    print("\n".join(table(rows, times, layers, datasets)))
    size = f"{timed.shape[1]}x{timed.shape[0]}"
    print(
        f"\n{network.spec.name}, x{SCALE}, LR by MATLAB bicubic. PSNR-Y in dB: to the originals / to the fp32 network."
    )
    print(f"Times: a picture of {size} LR pixels, median of {arguments.rounds} rounds in turns; CPU: all threads.")
    print(f"The fp32 network in these tiles differs from its usual ones by {error:.1e} of full scale at most.")
    facts = environment_facts() | {"nncf": importlib.metadata.version("nncf")}
    print("Measured on: " + ", ".join(f"{k} {v}" for k, v in facts.items()) + ".\n")
    print(f"    {shlex.join(['python', *sys.argv])}")


if __name__ == "__main__":
    main()
