"""Which model enlarges which picture, and the one upscaler in memory for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ModelError
from .model.zoo import default_entry, load_manifest, resolve
from .options import AUTO_MODEL, Settings
from .upscaler import Upscaler, open_upscaler

if TYPE_CHECKING:
    from .image.jpeg_traces import JpegTraces
    from .image.picture import Header

LARGEST_ROBUST_QUALITY = 93
"""Up to this libjpeg quality a JPEG file goes to the model trained on JPEG. On Kodak at x3 it gains 0.08 dB at quality
90, 0.05 at 93 and 0.02 at 95, and loses 0.02 at 98 (benchmarks/results/quality.md): above, there is next to nothing
to gain."""


class AnotherModel(Exception):
    """This picture's model is not the one in memory, and now is not the time to change it; not an error."""


@dataclass(frozen=True)
class Chosen:
    """The upscaler for a picture and why, in a sentence; what was found of JPEG: libjpeg quality 1..100 by the file's
    tables, and score 0..1 of the blocking, each None if there is none or it was not looked for."""

    upscaler: Upscaler
    why: str
    jpeg_quality: int | None
    blocking: float | None


class ModelChooser:
    """Loads models when pictures need them. Let go of what `for_picture` gave before calling it again: the memory plan
    counts one model, and a second one is loaded only after the first is gone.

    grouping: whoever asks wants to do the pictures of one model first; files of the other get AnotherModel until the
    next `change`. What can be read only once never does.
    """

    def __init__(self, model: str, settings: Settings, grouping: bool = False) -> None:
        """model: a name or a file, for all pictures; or "auto": the default model, and its `jpeg_variant` for JPEG.

        Raises ModelError if there is no such model, UsageError for impossible settings.
        """
        self.settings = settings
        self._grouping, self._fixed = grouping, False
        self._loaded: tuple[str, Upscaler] | None = None
        self._robust = self._absent = ""
        if model != AUTO_MODEL:
            self._model, self._reason = model, "named with --model"
        else:
            entry = default_entry()
            self._model, self._reason = entry.name, "the default model"
            self._robust, self._absent = _variant(entry.jpeg_variant)
        if self._robust:
            resolve(self._model)
        else:
            # Nothing to wait for: what is wrong with it is said once, not for every picture.
            self._upscaler(self._model)

    def for_picture(self, source: bytes | Path, header: Header) -> Chosen:
        """The model for a picture, `header` as `probe` gave it. Raises ModelError if its file is damaged, AnotherModel
        (see `grouping`); that the picture is damaged raises nothing here."""
        may_wait = self._grouping and isinstance(source, Path)
        if not (self._robust or self._absent):
            return Chosen(self._upscaler(self._model), self._reason, header.jpeg_quality, None)
        from .image.jpeg_traces import jpeg_traces

        traces = jpeg_traces(source, header, LARGEST_ROBUST_QUALITY)
        found = _found(traces)
        if found is None:
            model, why = self._model, f"the default model: {_nothing(traces)}"
        elif self._absent:
            model, why = self._model, f"the default model: {found}, but {self._absent} is not on this machine"
        else:
            model, why = self._robust, f"the model for JPEG pictures: {found}"
        return Chosen(self._upscaler(model, may_wait), why, traces.quality, traces.score)

    def change(self) -> None:
        """Where pictures are grouped: the next one decides which model works now."""
        self._fixed = False

    def _upscaler(self, name: str, may_wait: bool = False) -> Upscaler:
        if self._loaded is None or self._loaded[0] != name:
            if may_wait and self._fixed:
                raise AnotherModel(name)
            self._loaded = None  # before the next one is loaded
            self._loaded = name, open_upscaler(name, self.settings)
        self._fixed = True
        return self._loaded[1]


def _variant(name: str) -> tuple[str, str]:
    """(name, "") of a variant that can be used, ("", name) of one that was not fetched, ("", "") of none."""
    if not name:
        return "", ""
    try:
        resolve(name)
    except ModelError:
        if load_manifest()[name].bundled:
            raise
        return "", name
    return name, ""


def _found(traces: JpegTraces) -> str | None:
    """What speaks for the robust model."""
    if traces.quality is not None and traces.quality <= LARGEST_ROBUST_QUALITY:
        return f"JPEG quality {traces.quality}"
    if traces.blocked_quality is not None:
        return f"blocks of an earlier JPEG compression, about quality {traces.blocked_quality} (score {traces.score})"
    return None


def _nothing(traces: JpegTraces) -> str:
    """What speaks against it."""
    if traces.quality is not None:
        return f"JPEG quality {traces.quality}, above {LARGEST_ROBUST_QUALITY}"
    return "no JPEG blocks found" if traces.score is not None else "whether JPEG was used can't be told"
