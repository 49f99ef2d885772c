"""Errors a person can act on: each message names the input, says what is wrong and what to do.

The command line prints `str(error)` as its one line and ends with `exit_status`; code that calls the Python API
catches `EdgeLiifError` or one of its kinds. Anything else that escapes is a defect of this program.
"""

from __future__ import annotations

import re


def one_line(text: str) -> str:
    """`text` on one line, unprintable characters escaped: parts of it may come from a hostile file. Spaces stay."""
    text = re.sub(r"\s*[\r\n\t\v\f]+\s*", " ", text.strip())
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class EdgeLiifError(Exception):
    """Base of every error this package raises on purpose. `str` gives one printable line."""

    exit_status = 1

    def __str__(self) -> str:
        return one_line(super().__str__())


class UsageError(EdgeLiifError):
    """The call itself is wrong (options that contradict each other, a scale of zero); nothing was done."""

    exit_status = 2


class ImageError(EdgeLiifError):
    """An input picture can't be read, or is of a kind that is refused."""


class OutputError(EdgeLiifError):
    """The result can't be written: format limits, existing file, full disk, read-only folder."""


class NameTaken(OutputError):
    """A file of the result's name is there, or appeared while it was made, and overwriting it was not asked for."""


class ModelError(EdgeLiifError):
    """A model is missing, damaged, of an unknown kind, or not the file its sha256 says."""


class DownloadError(ModelError):
    """A model could not be fetched."""


class EngineError(EdgeLiifError):
    """An engine is not installed, can't run the network, or gave a wrong result."""


class EngineFailure(EngineError):
    """A framework raised an error of no particular type while it worked; it may have been out of memory."""


class MemoryCapError(EdgeLiifError):
    """The work does not fit into the memory cap. The message states the smallest cap that does, or, of a picture that
    is not even opened, what would be held beside its pixels."""


class OutOfMemory(EdgeLiifError):
    """An engine ran out of memory on a tile. Raised by engines from the framework's own exception *types*;
    the tile walker halves the tile and does that tile again."""
