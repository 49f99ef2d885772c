"""Runs killed at random moments: what lies on the disk afterwards, and what --resume makes of it.

    python benchmarks/reliability/kills.py [--kills 100] [--seed 1]

A batch of three pictures is killed (SIGKILL) at a moment drawn evenly from its whole duration, start-up included, and
then run again with --resume. After the kill every file under a result's name must be whole, byte for byte what an
undisturbed run makes; after --resume all three must be there, and nothing else.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from watched import COMMAND

RESULTS = ("0.png", "1.png", "2.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, result in enumerate(RESULTS):
            pixels = np.random.default_rng(number).integers(0, 256, (90, 64, 3), np.uint8)
            cv2.imwrite(str(folder / result), cv2.GaussianBlur(pixels, (0, 0), 1.5))
        inputs = [str(folder / result) for result in RESULTS]

        def words(out: Path, *more: str) -> list[str]:
            return [*COMMAND, "run", *inputs, "-o", f"{out}/", "--scale", "3", "--quiet", *more]

        whole, out = folder / "whole", folder / "out"
        subprocess.run(words(whole), check=True)
        shutil.rmtree(whole)
        begin = time.perf_counter()
        subprocess.run(words(whole), check=True)
        duration = time.perf_counter() - begin
        found: list[int] = []
        parts = ended = 0
        for _ in range(options.kills):
            process = subprocess.Popen(words(out))
            time.sleep(rng.uniform(0, duration))
            process.kill()
            ended += process.wait() == 0
            left = sorted(out.iterdir()) if out.is_dir() else []
            results = [p for p in left if p.name in RESULTS]
            for path in results:
                assert path.read_bytes() == (whole / path.name).read_bytes(), f"{path.name} is not whole"
            parts += len(left) - len(results)
            found.append(len(results))
            subprocess.run(words(out, "--resume"), check=True)
            assert sorted(p.name for p in out.iterdir()) == sorted(RESULTS), sorted(out.iterdir())
            for result in RESULTS:
                assert (out / result).read_bytes() == (whole / result).read_bytes(), f"{result} differs"
            shutil.rmtree(out)
    print(
        f"{options.kills} kills within {duration:.1f} s (seed {options.seed}): {ended} came too late; whole results "
        f"found afterwards: {', '.join(f'{found.count(n)} times {n}' for n in range(4))} (mean "
        f"{statistics.mean(found):.2f}), never one that was not whole; {parts} unfinished files, all gone after "
        f"--resume, which {options.kills} times made all results byte for byte"
    )


if __name__ == "__main__":
    main()
