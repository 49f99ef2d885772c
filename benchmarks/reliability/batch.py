"""A batch of 1,000 pictures: memory over its course, files that fail, graphs compiled.

    python benchmarks/reliability/batch.py [--pictures 1000] [--broken 10]

Pictures have ten sizes, three formats and three kinds (RGB, grey, RGBA), in an order drawn by a seed; --broken of them
are cut off. Resident memory is read from outside whenever a picture is done.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from watched import COMMAND, resident

SIZES = ((32, 24), (24, 32), (40, 24), (33, 21), (48, 16), (16, 48), (30, 30), (41, 27), (27, 41), (20, 20))


def make(path: Path, rng: random.Random, number: int) -> None:
    width, height = rng.choice(SIZES)
    suffix, mode = rng.choice(((".png", "RGB"), (".png", "L"), (".png", "RGBA"), (".jpg", "RGB"), (".webp", "RGB")))
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 4), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path.with_suffix(suffix))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--broken", type=int, default=10)
    options = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "in")
        folder.mkdir()
        for number in range(options.pictures):
            make(folder / f"{number:05}.x", rng, number)
        paths = sorted(folder.iterdir())
        for path in rng.sample(paths, options.broken):
            path.write_bytes(path.read_bytes()[:-60])
        words = [*COMMAND, "run", str(folder), "-o", str(Path(name, "out")), "--scale", "2", "--json"]
        with subprocess.Popen([*words, "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
            assert run.stdout is not None
            status, held = {"done": 0, "failed": 0}, []
            for line in run.stdout:
                status[json.loads(line)["status"]] += 1
                held.append(resident(run.pid, "VmRSS") / 2**20)
            run.wait()
        results = len(list(Path(name, "out").iterdir()))
    marks = [n for n in (1, 10, 50, 100, 200, 300, 500, 700, 1000) if n <= len(held)]
    print("| pictures done | " + " | ".join(map(str, marks)) + " |")
    print("|---|" + "---:|" * len(marks))
    print("| resident MiB | " + " | ".join(f"{held[n - 1]:.0f}" for n in marks) + " |")
    print(f"\n{status['done']} done, {status['failed']} failed, {results} results; exit status {run.returncode}")


if __name__ == "__main__":
    main()
