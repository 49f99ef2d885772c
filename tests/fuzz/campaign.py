"""A long run of damaged files, for people; the tests make a short one.

    python -m tests.fuzz.campaign [--cases 10000] [--seed 1] [--models-share 0.3]

Every case is a file of its own in a process that may die of it: a crash, a case of more than half a minute, memory
beyond what the plan states, a result under another name, or an exception that is none of ours is a failure, and its
file is kept. `--case NUMBER` (with `--models` for a model) does a single one again, in this process.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from .cases import Seeds, case_file, model_case, picture_case
from .seeds import networks, pictures

SECONDS = 30


def do_case(seeds: Seeds, seed: int, number: int, models: bool, folder: Path) -> str:
    """What came of a case, done in `folder`, which must be as empty afterwards as before."""
    name, data = case_file(seeds, seed, number, models)
    path = folder / name
    path.write_bytes(data)
    try:
        outcome = (model_case if models else picture_case)(path, number)
    finally:
        path.unlink(missing_ok=True)
    left = [p.name for p in folder.iterdir()]
    assert not left, f"left {left}"
    return outcome


def _worker(pipe: Connection, seeds: Seeds, seed: int, folder: Path) -> None:
    # what libraries print about damaged files is not of interest here
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while True:
        number, models = pipe.recv()
        try:
            outcome = do_case(seeds, seed, number, models, folder)
        except BaseException as error:
            outcome = f"FAILED {type(error).__name__}: {str(error)[:300]}"
        pipe.send(outcome)


class _Process:
    """A worker, started again when it dies."""

    def __init__(self, seeds: Seeds, seed: int) -> None:
        self._seeds, self._seed = seeds, seed
        self._start()

    def _start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self._pipe, other = multiprocessing.Pipe()
        arguments = (other, self._seeds, self._seed, Path(self.folder.name))
        self._process = multiprocessing.get_context("spawn").Process(target=_worker, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def __call__(self, number: int, models: bool) -> str:
        self._pipe.send((number, models))
        # the first case of a process also imports everything
        if not self._pipe.poll(4 * SECONDS if number == 0 else SECONDS):
            outcome = f"FAILED: more than {SECONDS} s"
        else:
            try:
                return str(self._pipe.recv())
            except EOFError:
                self._process.join()
                outcome = f"FAILED: the process died ({self._process.exitcode})"
        self._process.kill()
        self._start()
        return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models-share", type=float, default=0.3)
    parser.add_argument("--case", type=int)
    parser.add_argument("--models", action="store_true")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="Where files of failures are kept.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        seeds = Seeds(pictures(), networks(Path(place)))
        if options.case is not None:
            (folder := Path(place) / "case").mkdir()
            print(do_case(seeds, options.seed, options.case, options.models, folder))
            return 0
    models = round(options.cases * options.models_share)
    plan = [(n, False) for n in range(options.cases - models)] + [(n, True) for n in range(models)]
    counts: dict[str, collections.Counter[str]] = {"pictures": collections.Counter(), "models": collections.Counter()}
    slowest = (0.0, "")
    process = _Process(seeds, options.seed)
    for number, is_model in plan:
        begin = time.perf_counter()
        outcome = process(number, is_model)
        name, data = case_file(seeds, options.seed, number, is_model)
        slowest = max(slowest, (time.perf_counter() - begin, f"{name} {number}"))
        kind = "models" if is_model else "pictures"
        counts[kind]["failed" if outcome.startswith("FAILED") else outcome] += 1
        if outcome.startswith("FAILED"):
            options.keep.mkdir(exist_ok=True)
            (options.keep / f"{options.seed}-{number}-{name}").write_bytes(data)
            print(f"{kind} {number} ({name}): {outcome}", flush=True)
    print(f"seed {options.seed}, {len(seeds.pictures)} kinds of pictures, {len(seeds.networks)} networks")
    for kind, counter in counts.items():
        print(f"{kind}: {sum(counter.values())} cases: " + ", ".join(f"{n} {k}" for k, n in sorted(counter.items())))
    print(f"slowest case: {slowest[0]:.1f} s ({slowest[1]})")
    return int(any(counter["failed"] for counter in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
