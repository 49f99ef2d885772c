"""A made-up but realistic bench report: two scales, two data sets, two networks, settings that collapse, peers."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
from PIL import Image

EDSR, RDN = "edsr-baseline-liif", "rdn-liif-s"
REAL_BICUBIC = {2.0: (30.32, 31.79), 3.0: (27.63, 29.01)}

# model, recipe, method, engine, precision, bytes, multiply-adds per output pixel, dB lost at x3, HR MP/s, fidelity dB
SETTINGS = [
    (EDSR, "original", None, "openvino", "fp32", 6_270_000, 692_000, 0.0, 0.083, math.inf),
    (EDSR, "original", None, "torch", "fp32", 6_270_000, 692_000, 0.0, 0.041, 118.0),
    (EDSR, "original", None, "onnx", "fp32", 6_270_000, 692_000, 0.0, 0.071, 117.5),
    (EDSR, "original", None, "openvino", "bf16", 3_130_000, 692_000, 0.010, 0.155, 53.0),
    (EDSR, "W8A8", "lockstep", "openvino", "int8", 1_600_000, 692_000, 0.014, 0.251, 54.8),
    (EDSR, "W8A8", "lockstep", "onnx", "int8", 1_600_000, 692_000, 0.016, 0.170, 54.1),
    (EDSR, "W6A8", "lockstep", "openvino", "int8", 1_220_000, 692_000, 0.019, 0.250, 52.2),
    (EDSR, "W4A8", "lockstep", "openvino", "int8", 840_000, 692_000, 0.060, 0.249, 48.8),
    (EDSR, "W3A8", "lockstep", "openvino", "int8", 660_000, 692_000, 0.310, 0.250, 41.3),
    (EDSR, "12.5 %", "lockstep", "openvino", "bf16", 2_740_000, 605_000, 0.012, 0.168, 54.0),
    (EDSR, "25 %", "lockstep", "openvino", "bf16", 3_010_000, 517_000, 0.021, 0.189, 52.5),
    (EDSR, "25 % + W8A8", "lockstep", "openvino", "int8", 1_530_000, 517_000, 0.043, 0.302, 50.1),
    (EDSR, "37.5 % + W8A8", "lockstep", "openvino", "int8", 1_240_000, 432_000, 0.112, 0.344, 45.4),
    (EDSR, "50 % + W8A8", "lockstep", "openvino", "int8", 1_010_000, 346_000, 0.385, 0.398, 39.9),
    (EDSR, "25 % + W4A8", "lockstep", "openvino", "int8", 780_000, 517_000, 0.098, 0.301, 46.0),
    (EDSR, "25 %", "magnitude", "openvino", "fp32", 6_010_000, 517_000, 13.98, 0.104, 14.2),
    (EDSR, "25 %", "udfc", "openvino", "fp32", 6_010_000, 517_000, 12.88, 0.104, 15.3),
    (EDSR, "25 % + W8A8", "dfq", "openvino", "int8", 1_530_000, 517_000, 13.48, 0.302, 14.7),
    (EDSR, "W4A8", "udfc", "openvino", "int8", 840_000, 692_000, 1.72, 0.249, 32.5),
    (EDSR, "W8A8", "lockstep, real pictures", "openvino", "int8", 1_600_000, 692_000, 0.008, 0.251, 57.7),
    (EDSR, "W8A8 PTQ", "others, real pictures", "openvino", "int8", 1_640_000, 692_000, 0.055, 0.243, 47.2),
    (EDSR, "W8A8 PTQ", "others, dynamic", "onnx", "int8", 1_650_000, 692_000, None, None, None),
    (RDN, "original", None, "openvino", "fp32", 7_050_000, 921_000, 0.22, 0.069, math.inf),
    (RDN, "W8A8", "lockstep", "openvino", "int8", 1_840_000, 921_000, 0.25, 0.181, 50.3),
]


def made_up_report() -> dict[str, Any]:
    """A report of 48 points, 24 at each of x2 and x3; the last peer was not measured but for its size."""
    points = [_point(*setting, scale) for scale in (3.0, 2.0) for setting in SETTINGS]
    rng = np.random.default_rng(7)
    layers = ["encoder.head", *(f"encoder.body.{b}.conv{c}" for b in range(8) for c in (1, 2)), "imnet.layers.0"]
    return {
        "title": "Compression lab: edsr-baseline-liif and rdn-liif-s",
        "command": "edge-liif bench edsr-baseline-liif rdn-liif-s --data data/eval/Set14 --data data/kodak --scale 2,3",
        "created": "2026-11-25",
        "commit": "82ab63e",
        "environment": {"cpu": "AMD EPYC", "logical cores": "2", "python": "3.11.7", "openvino": "2026.4.1"},
        "protocol": "HR cropped top-left to fit the scale; LR by MATLAB bicubic; results clamped, not rounded; PSNR-Y "
        "in dB, a border of ceil(scale) px left out; means of per-image values.",
        "datasets": [{"name": "Set14", "n": 14}, {"name": "Kodak", "n": 6}],
        "scales": [3.0, 2.0],
        "bicubic": [
            {
                "scale": scale,
                "quality": {"Set14": {"psnr_y": a, "ssim": 0.774}, "Kodak": {"psnr_y": b, "ssim": 0.801}},
                "mean": {"psnr_y": (14 * a + 6 * b) / 20, "ssim": 0.782, "fidelity": None},
            }
            for scale, (a, b) in REAL_BICUBIC.items()
        ],
        "points": points,
        "sensitivity": {
            EDSR: [
                {"layer": name, "share": float(loss)}
                for name, loss in zip(layers, rng.exponential(0.02, 18), strict=True)
            ],
            RDN: [{"layer": name, "share": None if name == layers[3] else 0.01} for name in layers[:6]],
        },
        "crops": [_crops("kodim23", 3.0, points[:24], 1), _crops("baboon", 3.0, points[:24], 2)],
        "missing": [
            {"name": "edsr-baseline-liif, fp16 on CUDA", "reason": "no GPU at hand"},
            {"name": "rdn-liif-s, 50 % + W8A8", "reason": "compression stopped: the bound was not reached"},
        ],
        "answers": [
            {
                "question": "Are we ahead of post-training quantization with real data?",
                "answer": "Yes: W8A8 without data loses 0.01 dB, the others' PTQ with 300 real pictures 0.06 dB.",
            }
        ],
    }


def _point(model, recipe, method, engine, precision, size, work, loss, rate, fidelity, scale) -> dict[str, Any]:
    peer = method is not None and method.startswith("others")
    told = ", ".join(part for part in (recipe, method) if part)
    gain = {3.0: (30.34, 31.58), 2.0: (33.66, 35.37)}[scale]
    seconds = None if rate is None else 1.18 / rate
    values = None if loss is None else [g - loss * (1 if scale == 3.0 else 1.4) for g in gain]

    def quality(psnr: float) -> dict[str, Any]:
        ssim = 0.842 - (loss or 0) / 40
        return {
            "psnr_y": psnr,
            "ssim": ssim,
            "ms_ssim": ssim + 0.1,
            "lpips": 0.21 + (loss or 0) / 50,
            "fidelity": fidelity,
        }

    return {
        "id": f"{model}|{recipe}|{method}|{engine}|{precision}|{scale:g}",
        "name": f"{model}, {told}, {engine} {precision}",
        "model": model,
        "recipe": recipe,
        "method": method,
        "data_free": method is None or "real" not in method,
        "peer": peer,
        "note": "real pictures, not data-free" if peer and "real" in method else None,
        "engine": engine,
        "precision": precision,
        "device": "cpu",
        "scale": scale,
        "bytes": size,
        "multiply_adds": float(work) * (9 / 4 if scale == 2.0 else 1),
        "quality": values and {"Set14": quality(values[0]), "Kodak": quality(values[1])},
        "mean": values and quality((14 * values[0] + 6 * values[1]) / 20),
        "speed": seconds
        and {"seconds": seconds, "low": seconds * 0.97, "high": seconds * 1.06, "rounds": 5}
        | {"ratio": rate / 0.083, "ratio_low": rate / 0.083 * 0.95, "ratio_high": rate / 0.083 * 1.04}
        | {"lr_mp_s": rate / scale**2, "hr_mp_s": rate},
        "start_seconds": None if peer else 0.9,
        "peak_bytes": None if peer else 610_000_000,
        "commands": {
            "compress": None if method is None or peer else f"edge-liif compress {model} -o small.safetensors",
            "run": f"edge-liif run --scale {scale:g} --engine {engine} --precision {precision} photo.jpg",
        },
    }


def _crops(name: str, scale: float, points: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Crops of 192x144 pixels: rings, which every enlargement blurs a little differently."""
    rows, columns = np.mgrid[0:144, 0:192]
    rings = 128 + 110 * np.sin(((rows - 70) ** 2 + (columns - 90 - 9 * seed) ** 2) / (140 + 40 * seed))
    original = Image.fromarray(np.stack([rings, 255 - rings, 0 * rings + 90], axis=2).astype(np.uint8))
    small = original.resize((64, 48), Image.Resampling.BICUBIC)
    images = {"original": _uri(original), "bicubic": _uri(small.resize((192, 144), Image.Resampling.BICUBIC))}
    for point in points[4:9]:
        images[point["id"]] = _uri(small.resize((192, 144), Image.Resampling.LANCZOS))
    return {"name": name, "scale": scale, "images": images}


def _uri(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
