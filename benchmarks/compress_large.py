"""Time and memory of compressing a large network: RDN of configuration B (16 blocks of 8 convolutions, 64 channels).

    python benchmarks/compress_large.py --blocks 1
    python benchmarks/compress_large.py                  # all 16: 22 M parameters

Random weights: time does not depend on them. `--blocks 1` is a sixteenth of the work but for the decoder's.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import torch
from configuration_b import configuration_b

from edge_liif.compress.config import CompressConfig
from edge_liif.compress.pipeline import compress
from edge_liif.evaluate import environment_facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--prune", type=float, default=0.3)
    parser.add_argument("--weight-bits", type=int, default=6)
    parser.add_argument("--activation-bits", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = configuration_b(arguments.blocks)
    config = CompressConfig(
        prune=arguments.prune, weight_bits=arguments.weight_bits, activation_bits=arguments.activation_bits
    )
    # on other threads than torch's too: BLAS of numpy has its own
    begin, processor = time.perf_counter(), time.process_time()

    def tell(done: int, total: int, layer: str) -> None:
        print(f"{time.perf_counter() - begin:7.0f} s  {done:3}/{total} {layer}", file=sys.stderr, flush=True)

    _, report = compress(network, config, progress=tell)
    print(f"{arguments.blocks} blocks, {network.spec.parameters / 1e6:.1f} M parameters, {arguments.threads} threads")
    for stage, seconds in report.seconds.items():
        print(f"  {stage:18} {seconds:7.0f} s")
    print(f"  {'all of it':18} {time.perf_counter() - begin:7.0f} s")
    print(f"  {'processor time':18} {time.process_time() - processor:7.0f} s, of all threads")
    # kilobytes on Linux, bytes on a Mac
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(f"  {'peak resident':18} {peak / 2**20:7.0f} MiB")
    print("Measured on: " + ", ".join(f"{name} {value}" for name, value in environment_facts().items()))


if __name__ == "__main__":
    main()
