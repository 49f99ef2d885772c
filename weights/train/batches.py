"""Batches made from photographs: a crop, its bicubic reduction, and what JPEG does to that.

Pictures are decoded once and stay as uint8 on the device. Every batch has one scale, so that crops, reduction and
queries are batched operations. Batch number n depends on the seed and n alone, which makes resuming exact.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True)
class Jpeg:
    """How LR patches are damaged. share: of patches that are coded at all; twice: share of those coded a second time on
    a shifted grid; quality: lowest and highest; draw: "uniform" between them, or by their logarithm ("log"), which has
    as many from 10 to 20 as from 40 to 80; half_chroma: share coded 4:2:0 (the rest is 4:4:4)."""

    share: float = 0.0
    twice: float = 0.2
    quality: tuple[int, int] = (10, 95)
    draw: str = "uniform"
    half_chroma: float = 0.7

    def __post_init__(self) -> None:
        if self.draw not in ("uniform", "log"):
            raise SystemExit(f"train: jpeg.draw is {self.draw!r}; it is uniform or log")
        if len(self.quality) != 2 or not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise SystemExit(f"train: jpeg.quality is {list(self.quality)}; it is [LOWEST, HIGHEST], from 1 to 100")


@dataclass(frozen=True)
class Batch:
    """lr and clean (B, 3, p, p): levels 0..255 in float32, after and before JPEG; target (B, Q, 3) levels; rows,
    columns (B, Q): positions asked for, of `size` to a side."""

    lr: torch.Tensor
    clean: torch.Tensor
    target: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    size: int


def load_pictures(folders: list[Path], device: torch.device, smallest: int) -> list[torch.Tensor]:
    """Every picture below the folders as uint8 (3, H, W), in order of path; those with a side below `smallest` are
    left out. Raises SystemExit if there are none."""
    import cv2

    def load(path: Path) -> torch.Tensor | None:
        bgr = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None or min(bgr.shape[:2]) < smallest:
            return None
        return torch.from_numpy(np.ascontiguousarray(bgr[:, :, ::-1].transpose(2, 0, 1)))

    paths = sorted(p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    with ThreadPoolExecutor() as pool:
        pictures = [p.to(device) for p in pool.map(load, paths) if p is not None]
    if not pictures:
        raise SystemExit(f"train: no picture of at least {smallest} pixels a side in {', '.join(map(str, folders))}")
    return pictures


class Batches:
    """Makes batch number n. patch: LR pixels a side; queries: output positions a patch; scales: drawn uniformly between
    these; detail: share of patches that are the more detailed of two."""

    def __init__(
        self,
        pictures: list[torch.Tensor],
        seed: int,
        batch: int,
        patch: int,
        queries: int,
        scales: tuple[float, float],
        detail: float,
        jpeg: Jpeg,
    ) -> None:
        self.pictures, self.seed, self.batch, self.patch, self.queries = pictures, seed, batch, patch, queries
        self.scales, self.detail, self.jpeg = scales, detail, jpeg
        areas = np.array([p.shape[1] * p.shape[2] for p in pictures], np.float64)
        # by the square root of the area: large pictures count more, but do not drown the small ones
        self._chances = np.sqrt(areas) / np.sqrt(areas).sum()
        self.device = pictures[0].device

    @functools.cached_property
    def digest(self) -> str:
        """Of all the photographs' pixels, in their order: another one would change every batch."""
        found = hashlib.sha256()
        for picture in self.pictures:
            found.update(repr(tuple(picture.shape)).encode() + picture.cpu().numpy().tobytes())
        return found.hexdigest()

    def __getitem__(self, number: int) -> Batch:
        rng = np.random.default_rng((self.seed, number))
        scale = rng.uniform(*self.scales)
        size = round(self.patch * scale)
        crops = torch.stack([self._crop(rng, size) for _ in range(self.batch)])
        hr = crops.float()
        clean = F.interpolate(hr, (self.patch, self.patch), mode="bicubic", antialias=True, align_corners=False)
        clean = clean.round().clamp(0, 255)
        lr = self._damaged(rng, clean)
        count = min(self.queries, size * size)
        # without repetition inside a patch
        flat = np.stack([rng.permutation(size * size)[:count] for _ in range(self.batch)])
        positions = torch.from_numpy(flat).to(self.device)
        target = torch.gather(hr.flatten(2), 2, positions[:, None].expand(-1, 3, -1)).transpose(1, 2)
        return Batch(lr, clean, target, positions // size, positions % size, size)

    def _crop(self, rng: np.random.Generator, size: int) -> torch.Tensor:
        candidates = []
        for _ in range(2 if rng.random() < self.detail else 1):
            picture = self.pictures[rng.choice(len(self.pictures), p=self._chances)]
            row, column = (int(rng.integers(0, side - size + 1)) for side in picture.shape[1:])
            candidates.append(picture[:, row : row + size, column : column + size])
        crop = candidates[0] if len(candidates) == 1 else max(candidates, key=_gradient_energy)
        flips = [axis for axis in (1, 2) if rng.random() < 0.5]
        crop = crop.flip(flips) if flips else crop
        return crop.transpose(1, 2) if rng.random() < 0.5 else crop

    def _damaged(self, rng: np.random.Generator, clean: torch.Tensor) -> torch.Tensor:
        if self.jpeg.share == 0:
            return clean
        from edge_liif.evaluate.degrade import jpeg_coded

        coded = []
        for patch in clean.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8):
            if rng.random() < self.jpeg.share:
                if rng.random() < self.jpeg.twice:
                    # the first grid lies elsewhere: coded with a margin, which is cut off again
                    down, right = rng.integers(0, 8, 2)
                    wide = np.pad(patch, ((down, 0), (right, 0), (0, 0)), mode="reflect")
                    patch = jpeg_coded(wide, *self._setting(rng))[down:, right:]
                patch = jpeg_coded(np.ascontiguousarray(patch), *self._setting(rng))
            coded.append(torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1))))
        return torch.stack(coded).to(self.device).float()

    def _setting(self, rng: np.random.Generator) -> tuple[int, str]:
        low, high = self.jpeg.quality
        if self.jpeg.draw == "log":
            # half a step beyond the ends, which are drawn as often as their neighbours
            drawn = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            quality = min(max(round(drawn), low), high)
        else:
            quality = int(rng.integers(low, high + 1))
        return quality, "4:2:0" if rng.random() < self.jpeg.half_chroma else "4:4:4"


def _gradient_energy(crop: torch.Tensor) -> float:
    """Mean absolute difference of horizontal and vertical neighbours, from every third row and column."""
    x = crop[1].float()
    return float((x[::3, 1:] - x[::3, :-1]).abs().mean() + (x[1:, ::3] - x[:-1, ::3]).abs().mean())


def in_advance(batches: Batches, start: int) -> Iterator[Batch]:
    """Batches from number `start` on, without end; on a GPU the next ones are made by threads while one is learnt
    from."""
    if batches.device.type == "cpu":
        for number in itertools.count(start):
            yield batches[number]
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(batches.__getitem__, start + n) for n in range(3)]
        for number in itertools.count(start + 3):
            batch = waiting.pop(0).result()
            waiting.append(pool.submit(batches.__getitem__, number))
            yield batch
