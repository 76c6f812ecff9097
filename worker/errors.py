"""Everything that ends a command, with its exit code.

WalletwatchError            something the user must know; str() is a whole sentence
├── UsageError              2   a wrong argument, a file that is not there
├── CheckFailed             1   it found what it was asked to look for, or input could not be read
├── ConfigError             78  bad configuration: file, key, allowed range; or others have changed
│                               the log, and an operator must decide: it names the command
├── DeadLetterLimit         1   too many bad records; names them, and how to see and pass them
└── LogError                70  the log cannot be used; nothing was lost
    ├── TaskTaken           another worker has the task
    └── LogInDoubt          a commit may or may not have happened: drop the task and rebuild it
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FOUND = 1
    USAGE = 2
    INTERNAL = 70
    CONFIG = 78


class WalletwatchError(Exception):
    """Ends a command with one clear sentence.

    Attributes:
        lines: the sentence, and what is listed below it: each is printed as a line.
    """

    exit_code = Exit.INTERNAL

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class UsageError(WalletwatchError):
    """The command line is wrong, or names a file that cannot be opened."""

    exit_code = Exit.USAGE


class CheckFailed(WalletwatchError):
    """A check failed, or a part of the input could not be processed."""

    exit_code = Exit.FOUND


class ConfigError(WalletwatchError):
    """The configuration is wrong, or others have changed the log: an operator must correct it.

    The message names file, key and allowed range, or the command that decides.
    """

    exit_code = Exit.CONFIG


class DeadLetterLimit(WalletwatchError):
    """Too many of the latest records of input partitions are bad: stop instead of draining."""

    exit_code = Exit.FOUND


class LogError(WalletwatchError):
    """The log cannot be used (locked, full, corrupt); what was committed is safe."""


class TaskTaken(LogError):
    """Another worker owns the task."""


class LogInDoubt(LogError):
    """The outcome of a commit is unknown, or another owner committed in between."""
