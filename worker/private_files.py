"""Files and folders that only their owner may read or write, whatever the umask is.

They hold personal data or secrets. One that others may reach is refused, with the command that
mends it.
"""

import os
import secrets
import shlex
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker.errors import ConfigError

_FILE: Final = 0o600
_FOLDER: Final = 0o700
_OTHERS: Final = 0o077


def create(path: Path) -> int:
    """Create a file and return its descriptor, for reading and writing.

    Raises:
        OSError: it cannot be created, or the path has something already, be it a dangling link.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, _FILE)
    os.fchmod(descriptor, _FILE)  # the umask may have taken bits of the owner
    return descriptor


def put(path: Path, content: bytes) -> bool:
    """Make a file with this content unless the path has one; it appears complete or not at all.

    Returns whether it was made.

    Raises:
        OSError: it cannot be made.
    """
    if os.path.lexists(path):
        return False
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with os.fdopen(create(new), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was faster: its file is the file
            os.link(new, path)
            return True
    finally:
        new.unlink(missing_ok=True)
    return False


def make_folder(path: Path) -> None:
    """Make a folder and those above it, as far as they are missing.

    Raises:
        OSError: one cannot be made, or the path is no folder.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    try:
        path.mkdir(_FOLDER)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        make_private(path)


def make_private(folder: Path) -> None:
    """Give a folder that this process has made the mode that it should have, despite the umask."""
    folder.chmod(_FOLDER)


def is_wider(mode: int) -> bool:
    """Return whether others than the owner of a file or folder of this mode can reach it."""
    return bool(mode & _OTHERS)


def wider(paths: Iterable[Path]) -> list[Path]:
    """Return those of the files and folders that others can reach; some may not exist."""
    return [path for path in paths if path.exists() and is_wider(path.stat().st_mode)]


def refused(what: str, paths: Sequence[Path]) -> ConfigError:
    """Return the error about files and folders that others can reach, with what mends it.

    Args:
        what: begins the sentence: the setting or option that names them.
    """
    mode = ("-R", "go=") if any(path.is_dir() for path in paths) else ("600",)
    command = shlex.join(["chmod", *mode, *map(str, paths)])
    names = ", ".join(map(str, paths))
    return ConfigError(f"{what}: {names}: others can read or write it; mend that with: {command}")


def read_secret(path: Path, what: str) -> bytes:
    """Return the content of a file that only its owner can reach, without space around it.

    Args:
        what: begins each sentence: the setting that names the file.

    Raises:
        ConfigError: it cannot be read, is no regular file, or others can reach it.
    """
    try:
        # A pipe without a writer must not block the start.
        with open(path, "rb", opener=lambda name, how: os.open(name, how | os.O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{what}: {path}: is not a regular file.")
            if is_wider(mode):
                raise refused(what, [path])
            return file.read().strip()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            reason = "is a link to a file that is not there"
        raise ConfigError(f"{what}: {path}: {reason}.") from None
