"""The owners of tasks: one lock file per task, released by the system when its owner dies.

The lock is flock's, not POSIX's: that one would be dropped when any other descriptor of the file
is closed in the process, and would not keep two sessions of one process apart.
"""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from worker.errors import LogError, TaskTaken
from worker.private_files import make_folder, put


class Holds:
    """The tasks of one stage that a session holds."""

    def __init__(self, folder: Path, stage: str, tasks: Sequence[int]) -> None:
        """Lock all the tasks, or none.

        Raises:
            TaskTaken: a living process has one of them.
            LogError: the lock files cannot be used.
        """
        self.stage = stage
        self.tasks = tuple(tasks)
        self._descriptors: list[int] = []
        try:
            make_folder(folder)
            for task in self.tasks:
                self._take(folder, task)
        except OSError as error:
            self.release()
            raise LogError(f"Cannot lock tasks in {folder}: {error.strerror}.") from error
        except TaskTaken:
            self.release()
            raise

    def release(self) -> None:
        """Release the tasks. May be called twice."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _take(self, folder: Path, task: int) -> None:
        path = folder / f"{self.stage}-{task}"
        put(path, b"")
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        self._descriptors.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace") or "(unknown)"
            message = f"Task {task} of stage {self.stage} is already run by process {owner}."
            raise TaskTaken(message) from None
        with suppress(OSError):  # a full disk costs the message its process id, no more
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
