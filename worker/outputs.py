"""The files that commands write for their users: private, and never through a link.

What is written holds personal data. A link that somebody else has put in its place would lead it
elsewhere, or overwrite another file of the user.
"""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO, Final

from worker.errors import ConfigError
from worker.private_files import create, is_wider, refused

_DESCRIPTOR: Final = re.compile(r"/dev/(?:stdout|stderr|fd/(\d+))|/proc/self/fd/(\d+)")
"""Names of what the process has open already, such as the pipe of a shell's >(command)."""
LINK: Final = "is a link, which no output follows: name the file itself, or remove the link."
_STANDARD: Final = {"/dev/stdout": 1, "/dev/stderr": 2}


def open_output(path: Path) -> BinaryIO:
    """Open a file to write bytes to: a new one, or an old one of its owner alone, emptied.

    A pipe, a device or an open descriptor is written to as it is.

    Raises:
        ConfigError: it is a link, has another name, or others can reach it.
        OSError: it cannot be opened.
    """
    return os.fdopen(_descriptor(path), "wb")


def refuse_output(path: Path) -> None:
    """Check what a path has before it is replaced by a file that was written beside it.

    Raises:
        ConfigError: it is a link, has another name, or others can reach it.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    _refuse(path, found)


def _descriptor(path: Path) -> int:
    name = _DESCRIPTOR.fullmatch(str(path))
    if name is not None:
        return os.dup(_STANDARD.get(name[0]) or int(name[1] or name[2]))
    try:
        return create(path)
    except FileExistsError:
        refuse_output(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        _refuse(path, found)
        if stat.S_ISREG(found.st_mode):
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise ConfigError(f"{path}: {LINK}")
    if not stat.S_ISREG(found.st_mode):
        return
    if found.st_nlink > 1:
        raise ConfigError(f"{path}: has another name too (a hard link): remove it first.")
    if is_wider(found.st_mode):
        raise refused("output", [path])
