"""The destination of NDJSON lines."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from worker.errors import CheckFailed, UsageError
from worker.outputs import open_output
from worker.terminal import json_line

STDOUT = "-"


class Sink:
    """A file to write lines to, or stdout for `-`; errors are CheckFailed with a sentence."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._file = sys.stdout.buffer if name == STDOUT else _open(name)

    def __enter__(self) -> "Sink":
        return self

    def __exit__(self, *_: object) -> None:
        with self._failures():
            if self._name == STDOUT:
                self._file.flush()
            else:
                self._file.close()

    def write(self, record: object) -> None:
        """Append one record as a line of JSON."""
        with self._failures():
            self._file.write(json_line(record) + b"\n")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # The reader has closed the pipe; what is still buffered must not fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise CheckFailed("the output was closed before everything was written") from None
        except OSError as error:
            reason = error.strerror or "unknown error"
            raise CheckFailed(f"{self._name}: writing failed: {reason}") from None


def _open(name: str) -> BinaryIO:
    try:
        return open_output(Path(name))
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror or 'cannot be written'}") from None
