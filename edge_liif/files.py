"""Which files go in, and what each result is called."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import OutputError, UsageError
from .image.formats import FORMATS, format_for
from .image.picture import Header
from .scale import Enlargement

# What a folder is searched for; a file named by itself is judged by its content alone.
PICTURE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .tif .tiff .webp .gif .bmp .pnm .ppm .pgm .pbm".split()
)
STREAM = "-"


@dataclass(frozen=True)
class Input:
    """One input. path: None for standard input; inside: where it lay under the folder that was named."""

    path: Path | None
    inside: Path = Path()

    @property
    def name(self) -> str:
        return "standard input" if self.path is None else str(self.path)


def collect(words: Iterable[str], recursive: bool) -> list[Input]:
    """Inputs in the order given: files, folders (their pictures, sorted), glob patterns, `-` for standard input.

    A name that exists is never taken as a pattern. A file that does not exist stays in the list, so that it fails by
    itself and the others are done. Raises UsageError when nothing is left to do or `-` is given twice.
    """
    found: list[Input] = []
    for word in words:
        path = Path(word)
        if word == STREAM:
            found.append(Input(None))
        elif path.is_dir():
            found += _in_folder(path, recursive)
        elif not path.exists() and glob.has_magic(word):
            matches = sorted(glob.glob(word, recursive=True))
            if not matches:
                raise UsageError(f"{word}: no file matches this pattern")
            for match in map(Path, matches):
                found += _in_folder(match, recursive) if match.is_dir() and recursive else [Input(match)]
        else:
            found.append(Input(path))
    found = list(dict.fromkeys(found))
    if sum(item.path is None for item in found) and len(found) > 1:
        raise UsageError("standard input (-) can't be mixed with other inputs")
    if not found:
        raise UsageError("no pictures found; give files, folders with pictures, patterns, or - for standard input")
    return found


def _in_folder(folder: Path, recursive: bool) -> list[Input]:
    entries = sorted(folder.rglob("*") if recursive else folder.iterdir())
    pictures = [
        p for p in entries if p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith(".") and p.is_file()
    ]
    if not pictures:
        hint = "" if recursive else " (--recursive looks into its folders)"
        raise UsageError(f"{folder}: no pictures in this folder{hint}")
    return [Input(p, p.relative_to(folder).parent) for p in pictures]


@dataclass(frozen=True)
class Naming:
    """Where results go. output: -o as given, or None; many: more than one input may come; format: --format or None."""

    output: str | None
    enlargement: Enlargement
    many: bool
    format: str | None = None

    def __post_init__(self) -> None:
        if self.output == STREAM and self.many:
            raise UsageError("several results can't go to standard output; give -o FOLDER")
        if self.many and self.output is not None and Path(self.output).is_file():
            raise UsageError(f"{self.output}: is a file, but several inputs were given; give -o FOLDER")

    @property
    def _to_folder(self) -> bool:
        return self.output is not None and (
            self.many or self.output.endswith(("/", "\\")) or Path(self.output).is_dir()
        )

    def result(self, item: Input, header: Header) -> tuple[Path | None, str]:
        """(path or None for standard output, format) of an input's result.

        Without -o: `photo_x3.png` beside the input, in the input's own format where that can be written, else PNG;
        to a folder: the same name there; standard input goes to standard output unless -o says otherwise.
        """
        if self.output == STREAM or (self.output is None and item.path is None):
            return None, format_for(None, self.format, header)
        if self.output is not None and not self._to_folder:
            path = Path(self.output)
            if self.format is None and not path.suffix:
                raise OutputError(f"{path}: has no extension; use {_suffixes()}, or say --format")
            return path, format_for(path, self.format, header)
        name = item.path.name if item.path is not None else "picture"
        fmt = format_for(None, self.format, header)
        suffix = Path(name).suffix
        if suffix.lower() not in FORMATS[fmt].extensions:
            suffix = FORMATS[fmt].extensions[0]
        stem = Path(name).stem
        if self.output is None:
            assert item.path is not None
            return item.path.with_name(f"{stem}_x{self.enlargement}{suffix}" if self.enlargement.factors else
                                       f"{stem}_{self.enlargement}{suffix}"), fmt
        return Path(self.output) / item.inside / f"{stem}{suffix}", fmt

    def make_folder(self, path: Path) -> None:
        """Create the output folder of a batch; a folder of a single named file must exist already."""
        if self._to_folder:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{path.parent}: can't be created ({error.strerror or error})") from error


def _suffixes() -> str:
    return ", ".join(f.extensions[0] for f in FORMATS.values())
