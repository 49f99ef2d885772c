"""Kernels of two commits, in turns on this machine, as ratios.

    python benchmarks/kernels/compare.py BASE [HEAD] [--rounds 3] [-k EXPRESSION]

BASE, HEAD: commits; without HEAD, the files as they lie here. The suites are those that lie here, for both: each round
runs them once with the package of BASE and once with that of HEAD, so that a machine that drifts favours none. What a
commit can't do, because it lacks what the suite calls, is left out and named. Printed: by kernel, the median of each
commit's rounds, and the ratio of the times (above 1: HEAD is faster) with its spread over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SUITES = Path(__file__).parent
HERE = "files here"


def medians(package: Path, words: Sequence[str], result: Path) -> dict[str, tuple[str, float]]:
    """Group and median seconds by test, of the package in this folder."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(SUITES),
        "-q",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
        "--rootdir",
        str(SUITES),
    ]
    command += ["--benchmark-json", str(result), "--benchmark-warmup=on", *words]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(package)},
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )
    # 1: some failed, or a file could not be imported, which is told by their absence
    if done.returncode not in (0, 1) or not result.is_file():
        raise SystemExit(f"{package}: {done.stdout[-500:]}{done.stderr[-500:]}")
    found = json.loads(result.read_text())["benchmarks"]
    return {b["fullname"].split("/")[-1]: (b["group"], b["stats"]["median"]) for b in found}


def checked_out(commit: str, folder: Path) -> Path:
    """A folder with the package of a commit, and the weights and calibration that it finds beside itself."""
    subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(folder), commit], cwd=REPOSITORY, check=True)
    return folder


def table(rounds: list[tuple[dict, dict]], names: tuple[str, str]) -> list[str]:
    lines = [f"| kernel | {names[0]}, ms | {names[1]}, ms | faster (spread) |", "|---|---:|---:|---:|"]
    order = dict.fromkeys(name for pair in rounds for found in pair for name in found)
    group_of = {name: found[name][0] for pair in rounds for found in pair for name in found}
    missing = []
    for name in sorted(order, key=lambda n: (str(group_of[n]), n)):
        if not all(name in found for pair in rounds for found in pair):
            missing.append(name)
            continue
        before, after = ([pair[i][name][1] for pair in rounds] for i in (0, 1))
        ratios = [a / b for a, b in zip(before, after, strict=True)]
        lines.append(
            f"| {group_of[name]}: {name.split('::')[1]} | {1e3 * statistics.median(before):.3g} | "
            f"{1e3 * statistics.median(after):.3g} | {statistics.median(ratios):.2f}x "
            f"({min(ratios):.2f}..{max(ratios):.2f}) |"
        )
    return [*lines, "", *(f"Not in both: {name}" for name in missing)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("head", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-k", default="", help="Only tests that fit, as pytest's -k.")
    options = parser.parse_args()
    words = ["-k", options.k] if options.k else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            packages = [checked_out(options.base, folder / "base")]
            packages.append(checked_out(options.head, folder / "head") if options.head else REPOSITORY)
            rounds = []
            for number in range(options.rounds):
                base, head = (medians(p, words, folder / f"{number}-{i}.json") for i, p in enumerate(packages))
                rounds.append((base, head))
                print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        finally:
            for tree in ("base", "head"):
                if (folder / tree).exists():
                    subprocess.run(
                        ["git", "worktree", "remove", "--force", str(folder / tree)], cwd=REPOSITORY, check=True
                    )
    print("\n".join(table(rounds, (options.base, options.head or HERE))))


if __name__ == "__main__":
    main()
