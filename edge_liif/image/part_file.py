"""Files that appear under their final name complete or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import secrets
import stat
import sys
import time
from pathlib import Path

from edge_liif.errors import NameTaken, OutputError
from edge_liif.image.source import printable

_PART = re.compile(r"\.(?P<pid>\d+)-[0-9a-f]{8}\.part")


def os_reason(error: OSError) -> str:
    """The operating system's reason in words, without the path."""
    return (error.strerror or str(error)).lower()


def resolve_target(path: str | Path) -> Path:
    """Where a file written as `path` ends up: the target of a symbolic link, else `path` itself.

    Raises OutputError for links that lead in a circle.
    """
    target = Path(path)
    try:
        if target.is_symlink():
            return target.resolve()
    except RuntimeError as error:
        raise OutputError(f"{printable(str(path))}: is a link that can't be followed; give another name") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OutputError(f"{printable(str(path))}: is a link that leads in a circle; give another name") from error
        raise OutputError(
            f"{printable(str(path))}: can't be written ({os_reason(error)}); give another name"
        ) from error
    return target


def check_target(path: str | Path, overwrite: bool) -> None:
    """Raise OutputError if a result can't be written as `path`: is read-only, is a directory, folder missing or
    read-only; NameTaken if it exists.

    Nothing remains on the disk; an existing file is not touched.
    """
    shown = printable(str(path))
    target = resolve_target(path)
    try:
        status = target.stat()
    except FileNotFoundError:
        status = None
    except (OSError, ValueError) as error:
        raise OutputError(f"{shown}: can't be written ({_told(error)}); give another name") from error
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{shown}: is a directory; give a file name in it")
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{shown}: is a device or pipe, not a file; write to standard output with - instead")
    if status is not None and not overwrite:
        raise NameTaken(f"{shown}: exists; use --overwrite or --resume")
    if status is not None and not os.access(target, os.W_OK):
        # replacing it would only need the folder's permission, but somebody wanted to keep this file
        raise OutputError(f"{shown}: is read-only; make it writable or give another name")
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"{shown}: the folder {printable(str(folder))} does not exist; create it first")
    # Permission bits don't tell about read-only mounts and quotas; trying does.
    probe = _part_path(target)
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise OutputError(
            f"{shown}: can't write in the folder {printable(str(folder))} ({os_reason(error)}); choose another"
        ) from error
    finally:
        # also when an interrupt arrives between the two
        with contextlib.suppress(OSError):
            probe.unlink()


def remove_stale_parts(path: str | Path) -> list[Path]:
    """Delete the unfinished `.{name}.*.part` files that processes which no longer run left beside `path`.

    Returns those deleted. Files of running processes stay; files that can't be deleted are skipped.
    """
    target = resolve_target(path)
    prefix = f".{target.name[:_NAME_KEPT]}"
    removed = []
    with contextlib.suppress(OSError):
        for part in target.parent.iterdir():
            if not part.name.startswith(prefix):
                continue
            match = _PART.fullmatch(part.name[len(prefix) :])
            if match and _abandoned(part, int(match["pid"])):
                with contextlib.suppress(OSError):
                    part.unlink()
                    removed.append(part)
    return removed


# File systems hold 255 bytes a name; the suffix and UTF-8 must fit.
_NAME_KEPT = 50


def remove_dead_claim(path: str | Path) -> bool:
    """Delete the empty file that a run which was killed left as `path` in its last moment, where neither links nor
    renaming can be had; whether there was one. What a running process holds, or nobody can lock, stays."""
    try:
        target = resolve_target(path)
        fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, OutputError):
        return False
    try:
        held = os.fstat(fd)
        if held.st_size or not stat.S_ISREG(held.st_mode):
            return False
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # a claim is replaced by the result, another file
        if not os.path.samestat(held, target.stat()):
            return False
        target.unlink()
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _part_path(target: Path) -> Path:
    return target.with_name(f".{target.name[:_NAME_KEPT]}.{os.getpid()}-{secrets.token_hex(4)}.part")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _abandoned(part: Path, pid: int) -> bool:
    """Whether nobody writes this file any more. A writer locks it, which holds across containers too; its process id
    decides where locks can't be had, and in the moment between making a file and locking it."""
    locked = _locked(part)
    if locked:
        return False
    if not _alive(pid):
        return True
    # Ids come again, in containers and after a restart: a file that can be locked and isn't, although it was made some
    # time ago or by our own id, is that of an earlier process.
    return locked is False and (pid == os.getpid() or _age(part) > _LOCKED_WITHIN)


_LOCKED_WITHIN = 3600.0
"""Seconds after which a writer surely has locked the file that it made."""


def _age(part: Path) -> float:
    try:
        return time.time() - part.stat().st_mtime
    except OSError:
        return 0.0


def _locked(part: Path) -> bool | None:
    """Whether a writer still holds the file; None if that can't be told."""
    try:
        fd = os.open(part, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(fd)
    return False


_AT_FDCWD, _RENAME_NOREPLACE = -100, 1  # fcntl.h, linux/fs.h


def _renamed(old: Path, new: Path) -> bool:
    """Rename in one step if that can be had without replacing anything; FileExistsError if the name is taken."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE) == 0:
        return True
    if ctypes.get_errno() == errno.EEXIST:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new))
    return False


def _told(error: Exception) -> str:
    return os_reason(error) if isinstance(error, OSError) else str(error)


class PartFile:
    """A temporary file beside its target, made at once; `commit` gives it the final name, `discard` deletes it."""

    def __init__(self, path: str | Path, overwrite: bool) -> None:
        self.shown = printable(str(path))
        self.overwrite = overwrite
        check_target(path, overwrite)
        self.target = resolve_target(path)
        self.path = _part_path(self.target)
        try:
            # 0o666 less the umask: what an ordinary new file gets.
            self.fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OutputError(f"{self.shown}: can't be created ({os_reason(error)}); choose another folder") from error
        with contextlib.suppress(OSError):
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def commit(self) -> None:
        """Flush to the disk and give the file its final name in one step.

        Raises OutputError if that fails, NameTaken if a file of that name appeared meanwhile and overwrite is False;
        the temporary file is deleted then.
        """
        try:
            if self.overwrite:
                with contextlib.suppress(OSError):
                    os.fchmod(self.fd, stat.S_IMODE(self.target.stat().st_mode))
            os.fsync(self.fd)
            if self.overwrite:
                self.path.replace(self.target)
            else:
                self._link()
        except FileExistsError as error:
            self.discard()
            raise NameTaken(f"{self.shown}: appeared while the result was made; use --overwrite") from error
        except OSError as error:
            self.discard()
            raise OutputError(
                f"{self.shown}: can't be finished ({os_reason(error)}); check the folder and run again"
            ) from error
        # only now: the lock is what tells other runs that somebody writes this file
        fd, self.fd = self.fd, -1
        with contextlib.suppress(OSError):  # all of it was flushed before
            os.close(fd)
        self._sync_folder()

    def _link(self) -> None:
        """Rename without replacing: a hard link fails if the name is taken, where a rename would not."""
        try:
            os.link(self.path, self.target)
        except (FileExistsError, FileNotFoundError):  # the name is taken, or somebody removed the unfinished file
            raise
        except OSError:
            # no hard links here: FAT, some network mounts
            if not _renamed(self.path, self.target):
                self._claim()
            return
        with contextlib.suppress(OSError):  # the result is there; what stays is removed by a later run
            self.path.unlink()

    def _claim(self) -> None:
        """Claim the name with an empty file of ours, then replace that; if that fails, the claim goes away again.

        The claim is locked, so that `remove_dead_claim` of another run can't take it, or the result, for a dead one;
        if it was taken for one before that, another is made.
        """
        while not self._claimed():
            pass

    def _claimed(self) -> bool:
        """Whether the result is there; False if our claim was removed before it was locked."""
        fd = os.open(self.target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX)
            try:
                ours = os.path.samestat(os.fstat(fd), self.target.stat())
            except FileNotFoundError:
                return False
            if not ours:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.target))
            self.path.replace(self.target)
            return True
        except BaseException:
            # an interrupt may also come when the result is there
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(fd), self.target.stat()):
                    self.target.unlink()
            raise
        finally:
            os.close(fd)

    def _sync_folder(self) -> None:
        # The new name itself must survive a power cut; not every file system lets folders be synced.
        with contextlib.suppress(OSError):
            folder = os.open(self.target.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Close and delete the temporary file; does nothing after `commit`."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.path.unlink(missing_ok=True)
