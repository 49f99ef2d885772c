"""A loaded model that enlarges arrays: the middle of the house, between pictures and engines."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .engine.select import Choice, choose, open_engine
from .errors import UsageError
from .image.pixel_file import Pixels
from .memory import resident_bytes
from .model.checkpoint import Network, load_network
from .model.zoo import default_entry, resolve
from .options import Settings
from .scale import enlargement
from .tiling.plan import Job, Plan, make_plan
from .tiling.run import Plane, Progress, RunLog, render


class Upscaler:
    """A network, ready to enlarge. Make one with `edge_liif.load`; it may be called any number of times."""

    def __init__(self, network: Network, settings: Settings) -> None:
        self.network, self.settings = network, settings
        if settings.threads is not None and settings.threads < 1:
            raise UsageError(f"threads {settings.threads} is not possible; it must be at least 1")
        self._choices: dict[bool, Choice] = {}
        self._resident_before = resident_bytes() or 0

    def __call__(
        self,
        image: NDArray,
        scale: float | str | tuple[float, float] | None = None,
        size: str | tuple[int | None, int | None] | None = None,
        progress: Progress | None = None,
    ) -> NDArray:
        """Enlarge an array (H, W), (H, W, 1..4: grey, grey+alpha, RGB, RGBA) of uint8 or uint16.

        scale: factor, or (x, y) factors; size: (width, height) in pixels. Returns the same kind of array, sides
        round(scale * side). progress(done, total) is called with output pixels.
        Raises ImageError for other arrays, UsageError for impossible scales, MemoryCapError, EngineError.
        """
        from .image.alpha import bleed_bytes
        from .image.picture import Picture

        picture = Picture.from_array(image)
        pixels = np.asarray(picture.pixels)
        height, width, bands = pixels.shape
        out_height, out_width = enlargement(scale, size).output_size(height, width)
        # Under a cap, what the calling program held when it loaded us counts too, and the result, which here is not
        # streamed.
        others = max(0, self._resident_before - self.choice(pixels.itemsize == 2).engine.memory.base)
        held = others + pixels.nbytes + out_height * out_width * bands * pixels.itemsize
        alpha = (pixels.nbytes, bleed_bytes(height, width)) if bands in (2, 4) else (0, 0)
        job = Job(height, width, out_height, out_width, bands, pixels.itemsize, held + alpha[0], alpha[1])
        plan = self.plan(job)
        result = _gathered(self.rows(pixels, plan, progress), np.empty((out_height, out_width, bands), pixels.dtype))
        return result.reshape(out_height, out_width, *image.shape[2:])

    def enlarge_float(self, image: NDArray[np.uint8], out_size: tuple[int, int]) -> NDArray[np.float32]:
        """Enlarge uint8 RGB (H, W, 3) to float32 (*out_size, 3) in 0..1, clamped and not rounded, for measurements."""
        height, width, _ = image.shape
        plan = self.plan(Job(height, width, *out_size, 3, 4, image.nbytes))
        plane = Plane(window_reader(image, slice(0, 3)), lambda colour: colour.clip(0, 1), slice(0, 3))
        engine = self.choice(False).engine
        return _gathered(render(plan, engine, [plane], np.float32), np.empty((*out_size, 3), np.float32))

    def choice(self, sixteen_bit: bool) -> Choice:
        """The engine for 8-bit or for 16-bit pictures, chosen once."""
        if sixteen_bit not in self._choices:
            s = self.settings
            # one engine at a time: the plan counts the memory of one
            self._choices.clear()
            self._choices[sixteen_bit] = choose(
                self.network, s.engine, s.precision, s.device, s.threads, exact_colours=sixteen_bit
            )
        return self._choices[sixteen_bit]

    @property
    def halo(self) -> int:
        """LR pixels around each tile: what was measured for this model, or the exact halo where nothing was. At least
        one, because the ensemble reads the cell beside the core."""
        asked = self.settings.halo
        if isinstance(asked, int):
            return max(1, min(asked, self.network.spec.exact_halo))
        if asked == "auto" and self.network.spec.halo is not None:
            return min(self.network.spec.halo.pixels, self.network.spec.exact_halo)
        return self.network.spec.exact_halo

    def plan(self, job: Job) -> Plan:
        """Tiles for a job within the memory cap, and room for them: what the engine keeps of other jobs may have to go.

        Raises MemoryCapError."""
        engine = self.choice(job.sample_bytes == 2).engine
        plan = make_plan(job, engine.memory, self.halo, self.settings.memory)
        # What the engine keeps of earlier pictures goes now as far as it must: opening this one comes before its tiles.
        kept = engine.keep(plan.shape if plan.waits_beside_opening else None, plan.room_bytes)
        return replace(plan, parts={**plan.parts, "kept": kept}) if kept else plan

    def rows(
        self, pixels: Pixels, plan: Plan, progress: Progress | None = None, log: RunLog | None = None
    ) -> Iterator[NDArray]:
        """Enlarged rows (n, width, bands) of `pixels` (H, W, bands), in order; the array is reused between them."""
        engine = self.choice(pixels.itemsize == 2).engine
        spare = None
        if engine.precision != "fp32":
            spare = functools.partial(
                open_engine, self.network, engine.name, "fp32", engine.device, self.settings.threads
            )
        yield from render(plan, engine, _planes(pixels), pixels.dtype.type, progress, log, spare)


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    memory: str | int | None = None,
    halo: str | int = "auto",
    threads: int | None = None,
) -> Upscaler:
    """Load a model by name (`edge-liif models list`), by file, or the default one.

    One call gives one model for all arrays: what `edge-liif run` does by itself, taking another model for pictures
    that JPEG damaged, needs their files. For those, name the `jpeg_variant` of the default model if it has one.
    memory: cap for the whole process, "1GiB" or bytes; halo: "auto" (measured, below 1/255), "exact", or LR pixels.
    Raises ModelError, UsageError.
    """
    settings = Settings.parsed(engine, precision, device, memory, halo, threads)
    return open_upscaler(str(model) if model is not None else default_entry().name, settings)


def open_upscaler(model: str, settings: Settings) -> Upscaler:
    """The upscaler of a model given by name or by file. Raises ModelError, UsageError."""
    resolved = resolve(model)
    return Upscaler(load_network(resolved.path, resolved.sha256_expected), settings)


def _gathered(pieces: Iterator[NDArray], result: NDArray) -> NDArray:
    """Rows, as they come, into `result`: allocated first, because small arrays that stay between a tile's tensors would
    keep their memory from going back."""
    row = 0
    for rows in pieces:
        result[row : row + len(rows)] = rows
        row += len(rows)
    return result


def _planes(pixels: Pixels) -> list[Plane]:
    """Colour and alpha of a picture (H, W, 1..4), each to go through the network by itself."""
    from .image.write import quantise

    bands = pixels.shape[2]
    colours = 3 if bands >= 3 else 1
    depth = 8 * pixels.itemsize

    def store(block: NDArray[np.float32]) -> NDArray:
        return quantise(block, depth)

    def store_grey(block: NDArray[np.float32]) -> NDArray:
        return store(block.mean(axis=2, keepdims=True))

    colour = pixels
    if bands in (2, 4):
        from .image.alpha import bled

        # What lies under full transparency is arbitrary, often black; enlarged with its neighbours it would darken
        # the rim of everything visible.
        colour = bled(pixels)
    planes = [Plane(window_reader(colour, slice(0, colours)), store if colours == 3 else store_grey, slice(0, colours))]
    if bands in (2, 4):
        alpha = slice(colours, colours + 1)
        planes.append(Plane(window_reader(pixels, alpha), store_grey, alpha, constant=True))
    return planes


def window_reader(pixels: Pixels, bands: slice):  # type: ignore[no-untyped-def]
    """Windows of some bands of a picture as the network takes them; a single band is repeated three times."""
    scale = np.float32(1 / np.iinfo(pixels.dtype).max)

    def window(row: int, column: int, height: int, width: int) -> NDArray[np.float32]:
        part = pixels[row : row + height, column : column + width, bands].transpose(2, 0, 1)
        part = np.broadcast_to(part, (3, *part.shape[1:]))
        return np.multiply(part, scale, dtype=np.float32)[None]

    return window
