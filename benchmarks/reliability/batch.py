"""A batch of 1,000 pictures: memory over its course, files that fail, seconds, one digest of all results.

    python benchmarks/reliability/batch.py [--pictures 1000] [--broken 10] [--sizes 10] [--larger 1] [--plain]
        [--memory 290MiB]

Pictures have ten sizes (--larger times those of a thumbnail), three formats and three kinds (RGB, grey, RGBA), in an
order drawn by a seed; --broken of them are cut off. --plain makes PNG in RGB only, which all go to one model. Resident
memory is read from outside whenever a picture is done, and the time that the command then says is left is compared with
the time that it took. To compare two versions, run them in turns, each with an EDGE_LIIF_HOME of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image
from watched import COMMAND, resident

SIZES = ((32, 24), (24, 32), (40, 24), (33, 21), (48, 16), (16, 48), (30, 30), (41, 27), (27, 41), (20, 20))


KINDS = ((".png", "RGB"), (".png", "L"), (".png", "RGBA"), (".jpg", "RGB"), (".webp", "RGB"))


def make(path: Path, rng: random.Random, number: int, sizes: int, larger: int, plain: bool) -> None:
    width, height = (larger * side for side in rng.choice(SIZES[:sizes]))
    suffix, mode = rng.choice(KINDS[:1] if plain else KINDS)
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 4), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path.with_suffix(suffix))


def listen(stderr: IO[str], told: list[tuple[float, str]]) -> None:
    """Keep what is said of the time left, with the time at which it was said."""
    for line in stderr:
        if found := re.search(r"^  done in .*, about (.+) left$", line):
            told.append((time.perf_counter(), found[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--broken", type=int, default=10)
    parser.add_argument("--sizes", type=int, default=len(SIZES))
    parser.add_argument("--larger", type=int, default=1)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--memory")
    options = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "in")
        folder.mkdir()
        for number in range(options.pictures):
            make(folder / f"{number:05}.x", rng, number, options.sizes, options.larger, options.plain)
        paths = sorted(folder.iterdir())
        for path in rng.sample(paths, options.broken):
            path.write_bytes(path.read_bytes()[:-60])
        words = [*COMMAND, "run", str(folder), "-o", str(Path(name, "out")), "--scale", "2", "--json"]
        words += ["--memory", options.memory] if options.memory else []
        begun = time.perf_counter()
        told: list[tuple[float, str]] = []
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None and run.stderr is not None
            listener = threading.Thread(target=listen, args=(run.stderr, told))
            listener.start()
            status, held, predicted, peak = {"done": 0, "failed": 0}, [], 0, 0
            for line in run.stdout:
                report = json.loads(line)
                status[report["status"]] += 1
                predicted = max(predicted, report["predicted_peak_bytes"] or 0)
                peak = max(peak, report["peak_memory_bytes"] or 0)
                held.append(resident(run.pid, "VmRSS") / 2**20)
            run.wait()
            listener.join()
        ended = time.perf_counter()
        seconds = ended - begun
        results = sorted(Path(name, "out").iterdir())
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in results)).hexdigest()[:12]
    marks = [n for n in (1, 10, 50, 100, 200, 300, 500, 700, 1000) if n <= len(held)]
    print("| pictures done | " + " | ".join(map(str, marks)) + " |")
    print("|---|" + "---:|" * len(marks))
    print("| resident MiB | " + " | ".join(f"{held[n - 1]:.0f}" for n in marks) + " |")
    for share in (0.1, 0.5, 0.9) if told else ():
        when, left = told[int(share * len(told))]
        print(f"{share:.0%} of the pictures done: said {left} left, took {ended - when:.0f} s")
    print(f"\n{status['done']} done, {status['failed']} failed, {len(results)} results; exit status {run.returncode}")
    print(f"{seconds:.1f} s; peak {peak >> 20} MiB, predicted {predicted >> 20} MiB; results {digest}")


if __name__ == "__main__":
    main()
