"""Whether torchao's int8 makes the decoder's MLP faster than bf16 in torch, here or on a GPU.

    python benchmarks/torchao_int8.py [--model edsr-baseline-liif] [--device cpu] [--evaluations 32768] [--rounds 9]

torchao quantizes linear layers, to int8 weights and, by itself for every row of its input, int8 activations
(`Int8DynamicActivationInt8WeightConfig`); it has nothing for convolutions, so the encoder, most of a large network,
stays as it is. The MLP alone is timed, on a block of the default model's size, eager and by torch.compile (which
torchao is written for), all cases in turns. PSNR is of the block's colours to fp32's, where the hidden map is that of
the self-check's picture.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

from edge_liif.engine.select import open_engine
from edge_liif.geometry import axis_queries
from edge_liif.model import selfcheck
from edge_liif.model.checkpoint import Network, load_network
from edge_liif.model.liif import first_layer, layer_names
from edge_liif.model.zoo import resolve

WARM_UP = 3


def perceptron(network: Network) -> nn.Sequential:
    """The MLP behind the decoder's first layer, in fp32."""
    layers: list[nn.Module] = []
    for name in layer_names(network.spec.decoder)[1:]:
        weight, bias = (torch.from_numpy(network.tensors[f"{name}.{kind}"]) for kind in ("weight", "bias"))
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


def hidden_rows(network: Network, evaluations: int) -> torch.Tensor:
    """What the MLP reads, (evaluations, H1), of the self-check's picture at x2, repeated as often as it takes."""
    engine = open_engine(network, "torch", "fp32", "cpu")
    hidden = engine.encode(selfcheck.picture())
    rows, columns = (axis_queries(side, 2 * side, 0, 2 * side) for side in selfcheck.SIZE)
    first = first_layer(network.tensors)
    along_rows = torch.from_numpy(rows.offset[:, None] * first.offset[:, 0])
    along_columns = torch.from_numpy(columns.offset[:, None] * first.offset[:, 1] + first.bias_for((1.0, 1.0)))
    read = hidden[rows.index][:, columns.index] + along_rows[:, None] + along_columns[None]
    read = torch.relu(read.float()).reshape(-1, hidden.shape[-1])
    return read.repeat(-(-evaluations // len(read)), 1)[:evaluations].contiguous()


def cases(mlp: nn.Sequential, rows: torch.Tensor, device: str) -> dict[str, Callable[[], torch.Tensor]]:
    """Name to a call that computes the block."""
    half, half_rows = copy.deepcopy(mlp).to(device, torch.bfloat16), rows.to(device, torch.bfloat16)
    integer = copy.deepcopy(half)
    quantize_(integer, Int8DynamicActivationInt8WeightConfig())
    whole, whole_rows = copy.deepcopy(mlp).to(device), rows.to(device)
    return {
        "torch fp32": lambda: whole(whole_rows),
        "torch bf16": lambda: half(half_rows),
        "torch bf16, compiled": _compiled(half, half_rows),
        "torchao int8": lambda: integer(half_rows),
        "torchao int8, compiled": _compiled(integer, half_rows),
    }


def _compiled(mlp: nn.Sequential, rows: torch.Tensor) -> Callable[[], torch.Tensor]:
    run = torch.compile(mlp)
    return lambda: run(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="edsr-baseline-liif")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--evaluations", type=int, default=32_768)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    network = load_network(resolve(arguments.model).path)
    rows = hidden_rows(network, arguments.evaluations)
    mlp = perceptron(network)
    adds = sum(layer.weight.numel() for layer in mlp if isinstance(layer, nn.Linear)) * arguments.evaluations
    wait = torch.cuda.synchronize if arguments.device == "cuda" else lambda: None
    seconds: dict[str, list[float]] = {}
    answers: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        calls = cases(mlp, rows, arguments.device)
        for name, call in calls.items():
            for _ in range(WARM_UP):
                answers[name] = call().float().cpu().numpy()
        for _ in range(arguments.rounds):
            for name, call in calls.items():
                wait()
                start = time.perf_counter()
                call()
                wait()
                seconds.setdefault(name, []).append(time.perf_counter() - start)
    print(f"{arguments.model}, {arguments.evaluations} evaluations on {arguments.device}, {arguments.rounds} rounds")
    print("| MLP | ms, median (spread) | TOP/s | faster than bf16 | PSNR to fp32 |")
    print("|---|---:|---:|---:|---:|")
    base = statistics.median(seconds["torch bf16"])
    for name, times in seconds.items():
        middle = statistics.median(times)
        # colours are -1..1 here, half of that in the picture
        error = np.square((answers[name] - answers["torch fp32"]) / 2).mean()
        psnr = f"{-10 * np.log10(error):.1f}" if error else "–"
        print(
            f"| {name} | {1e3 * middle:.1f} ({1e3 * min(times):.1f}..{1e3 * max(times):.1f}) "
            f"| {2 * adds / middle / 1e12:.2f} | {base / middle:.2f}x | {psnr} |"
        )


if __name__ == "__main__":
    main()
