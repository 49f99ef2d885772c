"""Which files go in, and what each result is called."""

from __future__ import annotations

import glob
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .errors import ImageError, OutputError, UsageError
from .image.formats import FORMATS, format_for
from .image.sniff import SNIFF_BYTES, sniff
from .image.source import printable
from .scale import Enlargement

# What a folder is searched for; a file named by itself is judged by its content alone.
PICTURE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".gif", ".bmp", ".pnm", ".ppm", ".pgm", ".pbm")
)
STREAM = "-"


@dataclass(frozen=True)
class Input:
    """One input. path: None for standard input; inside: where it lay under the folder that was named."""

    path: Path | None
    inside: Path = Path()

    @property
    def name(self) -> str:
        """As it was given, for programs."""
        return "standard input" if self.path is None else str(self.path)

    @property
    def shown(self) -> str:
        """The name on one line, for people."""
        return printable(self.name)


def collect(words: Iterable[str], recursive: bool, output: str | None = None) -> list[Input]:
    """Inputs in the order given: files, folders (their pictures, sorted), glob patterns, `-` for standard input.

    A name that exists is never taken as a pattern; a file that comes twice is done once. A file that does not exist
    stays in the list, so that it fails by itself and the others are done. Of a folder searched, the folder `output`
    in it is left out: it holds results. Raises UsageError for an empty name, when nothing is left to do, or for `-`
    beside anything else.
    """
    found: list[Input] = []
    for word in words:
        path = Path(word)
        if not word:
            raise UsageError("an input is an empty name (an unset variable?); name a picture, or . for this folder")
        if word == STREAM:
            found.append(Input(None))
        elif is_folder(path):
            found += _in_folder(path, recursive, output)
        elif not os.path.lexists(path) and glob.has_magic(word):
            matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
            if not matches:
                raise UsageError(f"{printable(word)}: no file matches this pattern")
            for match in map(Path, matches):
                if not is_folder(match):
                    found.append(Input(match))
                elif recursive:
                    found += _in_folder(match, recursive, output)
        else:
            found.append(Input(path))
    if len(found) > 1 and any(item.path is None for item in found):
        raise UsageError("standard input (-) can be given once, and not with other inputs")
    once: dict[str, Input] = {}
    for item in found:
        once.setdefault("" if item.path is None else _absolute(item.path), item)
    if not once:
        raise UsageError("no pictures found; give files, folders with pictures, patterns, or - for standard input")
    return list(once.values())


def is_folder(path: str | Path) -> bool:
    """Whether this is a folder; False, not an error, for names that no file can have."""
    return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises for names that are too long)


def _in_folder(folder: Path, recursive: bool, output: str | None) -> list[Input]:
    own = None if output is None or output == STREAM else Path(os.path.realpath(output))
    if own is not None and Path(os.path.realpath(folder)).is_relative_to(own):
        own = None  # the folder of results itself was named: it is meant
    pictures: list[Path] = []

    def unreadable(error: OSError) -> None:
        # It stays in the list, so that it fails by itself and is not passed over in silence.
        pictures.append(Path(error.filename))

    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        if own is not None and Path(os.path.realpath(place)).is_relative_to(own):
            folders.clear()
            continue
        paths = (Path(place, name) for name in names if not name.startswith("."))
        pictures += [p for p in paths if p.suffix.lower() in PICTURE_SUFFIXES and os.path.isfile(p)]  # noqa: PTH113
    if not pictures:
        hint = "" if recursive else " (--recursive looks into its folders)"
        raise UsageError(f"{printable(str(folder))}: no pictures in this folder{hint}")
    return [Input(path, path.relative_to(folder).parent) for path in sorted(pictures)]


def encoded(item: Input, max_pixels: int, room: int | None) -> bytes | Path:
    """The path of a file; the bytes of what can be read only once: standard input and named pipes.

    max_pixels, room (bytes that --memory leaves): bound what is read of those. Raises ImageError where that is
    exceeded.
    """
    if item.path is None:
        return _drain(sys.stdin.buffer, item.shown, max_pixels, room)
    try:
        if not stat.S_ISFIFO(item.path.stat().st_mode):
            return item.path
        with item.path.open("rb") as pipe:
            return _drain(pipe, item.shown, max_pixels, room)
    except OSError:
        return item.path  # `probe` says what is wrong with it


def _drain(stream: BinaryIO, shown: str, max_pixels: int, room: int | None) -> bytes:
    # A raw picture of max_pixels at 16 bits and four bands is the most that could be meant.
    limit = max_pixels * 8 + 2**20
    option = "--max-pixels"
    if room is not None and room < limit:
        limit, option = room, "--memory"
    data = io.BytesIO()
    try:
        while block := stream.read(1 << 20):
            data.write(block)
            if data.tell() > limit:
                raise ImageError(
                    f"{shown}: more bytes than {option} allows; save it to a file first, or raise {option}"
                )
    except OSError as error:
        raise ImageError(f"{shown}: can't be read ({(error.strerror or str(error)).lower()})") from error
    return data.getvalue()


@dataclass(frozen=True)
class Naming:
    """Where results go. output: -o as given, or None; many: more than one input may come; format: --format or None."""

    output: str | None
    enlargement: Enlargement
    many: bool
    format: str | None = None

    def __post_init__(self) -> None:
        if self.output is None:
            return
        shown = printable(self.output)
        if not self.output:
            raise UsageError("-o is an empty name (an unset variable?); give a file, a folder or -")
        if self.output == STREAM and self.many:
            raise UsageError("several results can't go to standard output; give -o FOLDER")
        if self.many and not self._is_folder_name and os.path.lexists(self.output):
            raise UsageError(f"{shown}: is a file, but several inputs were given; give -o FOLDER")
        if self.many and not self._is_folder_name and _known_format(self.output) is not None:
            raise UsageError(f"{shown}: is the name of one file, but several inputs were given; give -o FOLDER")
        named = None if self.output == STREAM or self._to_folder else _known_format(self.output)
        if self.format is not None and named not in (None, format_for(None, self.format, None)):
            raise UsageError(f"--format {self.format} contradicts the name {shown}; leave one of them out")

    @property
    def _is_folder_name(self) -> bool:
        return self.output is not None and (self.output.endswith(("/", os.sep)) or is_folder(self.output))

    @property
    def _to_folder(self) -> bool:
        return self.output is not None and (self.many or self._is_folder_name)

    @property
    def is_file_name(self) -> bool:
        """Whether -o names the result itself; else its name is made from the input's."""
        return self.output is not None and self.output != STREAM and not self._to_folder

    def result(self, item: Input, input_format: str) -> tuple[Path | None, str]:
        """(path or None for standard output, format) of an input's result; input_format: a `Header.format`.

        Without -o: `photo_x3.png` beside the input, in the input's own format where that can be written, else PNG;
        to a folder: the same name there; standard input goes to standard output unless -o says otherwise.
        """
        own = input_format if input_format in FORMATS else "png"
        if self.output == STREAM or (self.output is None and item.path is None):
            return None, self._format(own)
        if self.output is not None and not self._to_folder:
            path = Path(self.output)
            special = os.path.lexists(path) and not os.path.isfile(path)  # noqa: PTH113 (refused as what it is, not by name)
            if self.format is None and not path.suffix and not special:
                raise OutputError(f"{printable(self.output)}: has no extension; use {_suffixes()}, or say --format")
            return path, self._format(own) if self.format is not None or special else format_for(path, None, None)
        name = item.path.name if item.path is not None else "picture"
        fmt = self._format(own)
        suffix = Path(name).suffix
        if suffix.lower() not in FORMATS[fmt].extensions:
            suffix = FORMATS[fmt].extensions[0]
        stem = Path(name).stem
        if self.output is None:
            assert item.path is not None
            return item.path.with_name(f"{stem}_{self.enlargement.tag}{suffix}"), fmt
        return Path(self.output) / item.inside / f"{stem}{suffix}", fmt

    def _format(self, own: str) -> str:
        return own if self.format is None else format_for(None, self.format, None)

    def needs_folder(self, path: Path) -> bool:
        """Whether `make_folder` has something to do for this result."""
        return self._to_folder and not is_folder(path.parent)

    def make_folder(self, path: Path) -> None:
        """Create the output folder of a batch; a folder of a single named file must exist already."""
        if self._to_folder:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise OutputError(f"{printable(str(path.parent))}: can't be created ({reason})") from error


def settle(items: list[Input], naming: Naming) -> tuple[list[Input], list[Input]]:
    """(inputs to do, inputs left out). Left out is what an earlier run made of another input, photo_x3.png beside
    photo.png, so that running the same command again does not enlarge its own results.

    Raises UsageError if two inputs would get the same result, or one the name of another: one would be lost.
    """
    if len(items) == 1:
        return items, []
    results = dict(_results(items, naming))
    made = set(results.values()) if naming.output is None else set()
    earlier = {item.path for item in items if item.path is not None and _absolute(item.path) in made}
    there = {os.path.realpath(path) for path in earlier}

    def is_earlier(path: Path | None) -> bool:
        # also under another name, which is a link to it
        return path in earlier or (path is not None and os.path.islink(path) and os.path.realpath(path) in there)  # noqa: PTH114

    left_out = {item: None for item in items if is_earlier(item.path)}
    todo = [item for item in items if item not in left_out]
    taken: dict[str, Input] = {}
    inputs = {os.path.realpath(item.path): item for item in todo if item.path is not None}
    for item in todo:
        result = results.get(item)
        own = inputs.get(os.path.realpath(result), item) if result is not None else item
        if own is not item:
            raise UsageError(
                f"the result of {item.shown} would take the place of the input {own.shown}; give another -o"
            )
        other = taken.setdefault(result, item) if result is not None else item
        if other is not item:
            raise UsageError(
                f"{other.shown} and {item.shown} would both become {printable(str(result))}; "
                "rename one, or run them apart into different folders"
            )
    return todo, list(left_out)


def _results(items: list[Input], naming: Naming) -> Iterator[tuple[Input, str]]:
    """Every input's result as an absolute path; inputs that can't be recognised will fail by themselves later."""
    for item in items:
        try:
            if item.path is None or not os.path.isfile(item.path):  # noqa: PTH113
                continue
            with item.path.open("rb") as file:
                target, _ = naming.result(item, sniff(file.read(SNIFF_BYTES), item.name))
        except (OSError, ImageError):
            continue
        if target is not None:
            yield item, _absolute(target)


def _absolute(path: str | Path) -> str:
    """Absolute and without `..`, but with links as they are: a link and its target are two names for results."""
    return os.path.abspath(path)  # noqa: PTH100


def _known_format(name: str) -> str | None:
    """The format that the extension of `name` stands for, if it stands for one that is written."""
    suffix = Path(name).suffix.lower()
    return next((f.name for f in FORMATS.values() if suffix in f.extensions), None)


def _suffixes() -> str:
    return ", ".join(f.extensions[0] for f in FORMATS.values())
