"""A batch of 1,000 pictures: memory over its course, files that fail, seconds, one digest of all results.

    python benchmarks/reliability/batch.py [--pictures 1000] [--broken 10] [--sizes 10] [--plain] [--memory 290MiB]

Pictures have ten sizes, three formats and three kinds (RGB, grey, RGBA), in an order drawn by a seed; --broken of them
are cut off. --plain makes PNG in RGB only, which all go to one model. Resident memory is read from outside whenever a
picture is done. To compare two versions, run them in turns, each with an EDGE_LIIF_HOME of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from watched import COMMAND, resident

SIZES = ((32, 24), (24, 32), (40, 24), (33, 21), (48, 16), (16, 48), (30, 30), (41, 27), (27, 41), (20, 20))


KINDS = ((".png", "RGB"), (".png", "L"), (".png", "RGBA"), (".jpg", "RGB"), (".webp", "RGB"))


def make(path: Path, rng: random.Random, number: int, sizes: int, plain: bool) -> None:
    width, height = rng.choice(SIZES[:sizes])
    suffix, mode = rng.choice(KINDS[:1] if plain else KINDS)
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 4), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path.with_suffix(suffix))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--broken", type=int, default=10)
    parser.add_argument("--sizes", type=int, default=len(SIZES))
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--memory")
    options = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "in")
        folder.mkdir()
        for number in range(options.pictures):
            make(folder / f"{number:05}.x", rng, number, options.sizes, options.plain)
        paths = sorted(folder.iterdir())
        for path in rng.sample(paths, options.broken):
            path.write_bytes(path.read_bytes()[:-60])
        words = [*COMMAND, "run", str(folder), "-o", str(Path(name, "out")), "--scale", "2", "--json"]
        words += ["--memory", options.memory] if options.memory else []
        begun = time.perf_counter()
        with subprocess.Popen([*words, "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
            assert run.stdout is not None
            status, held, predicted, peak = {"done": 0, "failed": 0}, [], 0, 0
            for line in run.stdout:
                report = json.loads(line)
                status[report["status"]] += 1
                predicted = max(predicted, report["predicted_peak_bytes"] or 0)
                peak = max(peak, report["peak_memory_bytes"] or 0)
                held.append(resident(run.pid, "VmRSS") / 2**20)
            run.wait()
        seconds = time.perf_counter() - begun
        results = sorted(Path(name, "out").iterdir())
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in results)).hexdigest()[:12]
    marks = [n for n in (1, 10, 50, 100, 200, 300, 500, 700, 1000) if n <= len(held)]
    print("| pictures done | " + " | ".join(map(str, marks)) + " |")
    print("|---|" + "---:|" * len(marks))
    print("| resident MiB | " + " | ".join(f"{held[n - 1]:.0f}" for n in marks) + " |")
    print(f"\n{status['done']} done, {status['failed']} failed, {len(results)} results; exit status {run.returncode}")
    print(f"{seconds:.1f} s; peak {peak >> 20} MiB, predicted {predicted >> 20} MiB; results {digest}")


if __name__ == "__main__":
    main()
