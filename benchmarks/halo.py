"""How large must a tile's halo be? Largest difference from the untiled picture against the halo, over a folder.

    python benchmarks/halo.py edge-liif-model-name --data DIR [DIR ...] --halos 8,12,16 [--side 48] [--scale 3]
                              [--lr-scale 3] [--limit N] [--precision fp32] [--write PIXELS]

LR pictures are the data's own divided by --lr-scale (PIL bicubic; 1 takes them as they are). Tiles of --side LR pixels
are smaller than any the planner would take, so there are more seams than in use. In integers a value next to the border
of two levels tips, wherever the first float that differs in its last bits meets it: the share of samples that a person
could find (more than half a level of 255) is given beside the largest difference. --write stores the measured error of
that halo in the model's file, which makes it the model's default.
"""

from __future__ import annotations

import argparse

import numpy as np
from safetensors import safe_open

from edge_liif.engine.select import open_engine
from edge_liif.evaluate import find_datasets, load_rgb, pil_bicubic
from edge_liif.model.checkpoint import load_network, save_network, with_spec
from edge_liif.model.spec import HaloMeasurement
from edge_liif.model.zoo import resolve
from edge_liif.tiling.plan import Job, plan_for_core
from edge_liif.tiling.run import Plane, render
from edge_liif.upscaler import window_reader


def enlarge(engine, picture: np.ndarray, scale: float, halo: int, side: int) -> np.ndarray:
    height, width, _ = picture.shape
    job = Job(height, width, round(height * scale), round(width * scale), 3, 4)
    plan = plan_for_core(job, engine.memory, halo, (side, side))
    plane = Plane(window_reader(picture, slice(0, 3)), lambda colour: colour.clip(0, 1), slice(0, 3))
    return np.concatenate([rows.copy() for rows in render(plan, engine, [plane], np.float32)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--halos", default="8,12,16,20,24")
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--scale", type=float, default=3)
    parser.add_argument("--lr-scale", type=float, default=3)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--precision", choices=("fp32", "bf16", "int8"), default="fp32")
    parser.add_argument("--write", type=int)
    options = parser.parse_args()
    path = resolve(options.model).path
    network = load_network(path)
    engine = open_engine(network, "openvino", options.precision, "cpu")
    halos = [int(h) for h in options.halos.split(",")]
    if options.write is not None and (options.write not in halos or not options.model.endswith(".safetensors")):
        parser.error("--write takes one of --halos, and a model given by its file")
    if options.write is not None and options.precision != "fp32":
        parser.error("--write is for --precision fp32; integers want the exact halo")
    worst = dict.fromkeys(halos, 0.0)
    changed = dict.fromkeys(halos, 0)
    samples = 0
    pictures = 0
    sets = find_datasets(options.data)
    for dataset in sets:
        for file in dataset.paths[: options.limit]:
            picture = load_rgb(file)
            size = tuple(int(side / options.lr_scale) for side in picture.shape[:2])
            if options.lr_scale != 1:
                picture = pil_bicubic(picture, size)
            whole = enlarge(engine, picture, options.scale, 0, 10**6)
            row = []
            for halo in halos:
                errors = np.abs(enlarge(engine, picture, options.scale, halo, options.side) - whole) * 255
                worst[halo] = max(worst[halo], float(errors.max()))
                changed[halo] += np.count_nonzero(errors > 0.5)
                row.append(f"{halo}: {errors.max():.3f}")
            pictures += 1
            samples += whole.size
            print(f"{dataset.name}/{file.name}  " + "  ".join(row), flush=True)
    if not pictures:
        parser.error("no pictures in --data")
    print(
        f"\n{network.spec.name}: exact halo {network.spec.exact_halo}, {pictures} pictures, x{options.scale:g}, "
        f"{options.precision}"
    )
    print("| halo (LR px) | largest error (levels of 255) | samples above 0.5 |\n|---|---|---|")
    for halo in halos:
        print(f"| {halo} | {worst[halo]:.3f} | {changed[halo] / samples:.2g} |")
    if options.write is not None:
        names = ", ".join(dataset.name for dataset in sets)
        halo = HaloMeasurement(options.write, round(worst[options.write] / 255, 6), f"{pictures} pictures of {names}")
        with safe_open(path, "numpy") as stored:
            half = stored.get_tensor("imnet.layers.0.bias").dtype == np.float16
        save_network(with_spec(network, halo=halo), path, np.float16 if half else np.float32)


if __name__ == "__main__":
    main()
