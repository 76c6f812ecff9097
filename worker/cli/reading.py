"""Files that the command line names: checked before anything is done, then read in turn."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from worker.cli.printing.output import source_name, visible
from worker.codec.files import STDIN
from worker.codec.lines import read_lines
from worker.errors import CheckFailed, UsageError


def refuse_unreadable(files: Sequence[str], effect: str) -> None:
    """Check that every file can be opened; `effect` says what was not done.

    Raises:
        UsageError: one is a folder, is missing, or may not be read.
    """
    for name in files:
        path = Path(name)
        if name != STDIN and (path.is_dir() or not os.access(path, os.R_OK)):
            reason = "is a folder" if path.is_dir() else "cannot be read, or is not there"
            raise UsageError(f"{visible(name)}: {reason}. {effect}")


class Reading:
    """Reads files one after the other; one that breaks off does not stop the others.

    Args:
        at_most: of a line of more bytes only the beginning is read.
    """

    def __init__(self, files: Sequence[str], at_most: int) -> None:
        self._files = files
        self._at_most = at_most
        self.failures: list[str] = []
        """A sentence for each file that broke off."""

    def lines(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield (name of the file as dead letters have it, number of the line, line).

        Raises:
            UsageError: a file cannot be opened or read.
        """
        for name in self._files:
            source = source_name(name)
            try:
                for number, line in read_lines(name, self._at_most):
                    yield source, number, line
            except CheckFailed as error:
                self.failures.append(f"{error}. The lines before that were replayed.")
