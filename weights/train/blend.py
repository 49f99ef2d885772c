"""Weights on the straight line between a network and what fine-tuning made of it (WiSE-FT, arXiv 2109.01903).

    python weights/train/blend.py edsr-baseline-liif RUN/edsr-baseline-liif-jpeg.pth --share 0.7 -o blended.pth

A model that learnt to see through JPEG loses some of its sharpness on clean pictures; part of the way there it has most
of what it learnt and lost little.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from edge_liif.model.checkpoint import Network, load_network, read_liif_checkpoint
from edge_liif.model.zoo import resolve


def blended(before: Network, after: Network, share: float) -> dict[str, torch.Tensor]:
    """(1 - share) * before + share * after, tensor by tensor. Raises ValueError for networks of different shapes."""
    if before.spec.tensor_shapes != after.spec.tensor_shapes:
        raise ValueError("the two networks have different shapes")
    return {
        name: torch.from_numpy(before.tensors[name]) * (1 - share) + torch.from_numpy(after.tensors[name]) * share
        for name in before.tensors
    }


def read(model: str) -> Network:
    """A checkpoint of the LIIF authors' layout, or a model by name or file."""
    return read_liif_checkpoint(Path(model), "x") if model.endswith(".pth") else load_network(resolve(model).path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--share", type=float, required=True, help="0 is the first, 1 the second")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    tensors = blended(read(arguments.before), read(arguments.after), arguments.share)
    torch.save({"model": {"name": "liif", "args": {}, "sd": tensors}}, arguments.output)


if __name__ == "__main__":
    main()
