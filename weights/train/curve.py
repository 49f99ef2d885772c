"""Draw the curves of training runs: loss, and PSNR on the validation pictures, against the step.

python weights/train/curve.py RUN/log.jsonl ... -o curve.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def read(path: Path) -> tuple[list[tuple[int, float]], dict[str, list[tuple[int, float]]]]:
    """(step, loss) of a log, and (step, dB) by the name of what was measured."""
    losses: list[tuple[int, float]] = []
    measured: dict[str, list[tuple[int, float]]] = {}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if "loss" in entry:
            losses.append((entry["step"], entry["loss"]))
        for name, value in entry.items():
            if name.startswith("psnr "):
                measured.setdefault(name.removeprefix("psnr "), []).append((entry["step"], value))
    return losses, measured


def draw(logs: list[Path], output: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    for path in logs:
        losses, measured = read(path)
        if losses:
            left.plot(*zip(*losses, strict=True), linewidth=0.8, label=path.parent.name)
        for name, points in measured.items():
            right.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    for axes, title in ((left, "loss of batches of all scales"), (right, "PSNR-Y, dB")):
        axes.set(xlabel="step", title=title)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(output, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=Path("curve.png"))
    arguments = parser.parse_args()
    draw(arguments.logs, arguments.output)


if __name__ == "__main__":
    main()
