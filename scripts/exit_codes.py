"""The exit codes that the help of a command names, for the table in docs/commands.md."""

import re
from typing import Any, Final

from worker.errors import Exit

CODES: Final = tuple(code.value for code in Exit)
_BEGINS: Final = "Exit code"


def exit_codes(command: Any) -> list[int]:
    """Return the codes that a command may end with, as its help says; 130 and 141 left out.

    Raises:
        ValueError: its help names none.
    """
    paragraphs = (command.help or "").split("\n\n")
    said = [each for each in paragraphs if each.strip().startswith(_BEGINS)]
    if len(said) != 1:
        raise ValueError(f"The help of {command.name} lacks the paragraph that begins {_BEGINS}.")
    named = {int(number) for number in re.findall(r"\b\d+\b", said[0])}
    return [code for code in CODES if code in named]
