"""The process that `turns.py` starts: a model, an engine, a picture; a line of JSON for each line that it reads.

    python -m edge_liif.bench.timed MODEL ENGINE PRECISION SCALE WIDTH HEIGHT THREADS

MODEL: a file, or the name of a peer after `peer:`; THREADS: 0 for all.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

import numpy as np

from ..errors import EdgeLiifError
from ..memory import peak_resident_bytes
from .enlargers import enlarger

SMALL = 64


def main(arguments: list[str]) -> None:
    model, engine, precision, scale, width, height, threads = arguments
    # what libraries print is no answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    picture = textured(int(height), int(width))

    def opened() -> Callable[[np.ndarray], None]:
        enlarge = enlarger(model, engine, precision, int(threads) or None)

        def run(lr: np.ndarray) -> None:
            enlarge(lr, (round(lr.shape[0] * float(scale)), round(lr.shape[1] * float(scale))))

        return run

    opened()(textured(SMALL, SMALL))
    print("{}", file=answers, flush=True)
    # opened anew: what is kept of the small picture is not of the large one's memory
    run = opened()
    run(picture)
    print("{}", file=answers, flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        run(picture)
        seconds = time.perf_counter() - begin
        print(json.dumps({"seconds": seconds, "peak": peak_resident_bytes()}), file=answers, flush=True)


def textured(height: int, width: int) -> np.ndarray:
    """uint8 (H, W, 3), always the same: only its size matters for the time, but nothing should be constant."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except EdgeLiifError as error:
        raise SystemExit(str(error)) from error
