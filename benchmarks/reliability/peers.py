"""What other networks take for one large picture: peak resident memory and time, beside ours.

    python benchmarks/reliability/peers.py [--size 2000x1500] [--scale 3] [--memory 1GiB] [--seconds 900] [--only NAME]

Each peer of `edge-liif bench --peers` that is installed and has the scale, in a process of its own: from an array of
noise to an array. Ours is `edge-liif run` on the same picture as a file, to a file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
from watched import resident, watch

from edge_liif.bench.peers.table import ENLARGING
from edge_liif.bench.timed import textured


def run_peer(name: str, scale: int, width: int, height: int, seconds: float) -> tuple[str, int, float]:
    """How it ended, its peak in bytes, and how long it took."""
    words = ["-m", "edge_liif.bench.timed", f"peer:{name}", "", "", str(scale), str(width), str(height), "0"]
    begin, peak = time.perf_counter(), 0
    process = subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        if time.perf_counter() - begin > seconds:
            process.kill()
            break
        time.sleep(0.05)
    _, errors = process.communicate()
    took = time.perf_counter() - begin
    if process.returncode == 0:
        return "done", peak, took
    reason = (errors.strip().splitlines() or [f"status {process.returncode}"])[-1][:100]
    return "stopped" if took > seconds else f"failed: {reason}", peak, took


def run_ours(scale: int, width: int, height: int, memory: str, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        picture = Path(name) / "in.png"
        cv2.imwrite(str(picture), textured(height, width))
        words = ["run", str(picture), "--scale", str(scale), "--memory", memory, "--quiet"]
        done = watch([*words, "-o", str(Path(name) / "out.png")], lambda passed: passed > seconds)
    ended = {0: "done", 130: "stopped"}.get(done.status, f"failed: {done.errors.strip()[-100:]}")
    print(f"| edge-liif --memory {memory} | {ended} | {done.peak >> 20} | {done.seconds:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="2000x1500")
    parser.add_argument("--scale", type=int, default=3)
    parser.add_argument("--memory", default="1GiB", help="Our cap.")
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--only", default="", help="Rows whose name contains this.")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    print("| | ended | peak MiB | seconds |\n|---|---|---:|---:|")
    if options.only in "edge-liif":
        run_ours(options.scale, width, height, options.memory, options.seconds)
    for peer in ENLARGING:
        if options.only not in peer.name:
            continue
        if (reason := peer.why_not()) is not None or not peer.has(options.scale):
            print(f"| {peer.name} | {reason or f'has no x{options.scale}'} | – | – |", flush=True)
            continue
        ended, peak, took = run_peer(peer.name, options.scale, width, height, options.seconds)
        print(f"| {peer.name} | {ended} | {peak >> 20} | {took:.0f} |", flush=True)


if __name__ == "__main__":
    main()
