"""The Dockerfile, read as far as tests need it."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.support.commands import ROOT

DOCKERFILE: Final = ROOT / "Dockerfile"
VENV: Final = "/opt/walletwatch"
"""Where the image has its venv."""


class Instruction(NamedTuple):
    """One instruction, its lines joined."""

    name: str
    text: str


def arguments() -> dict[str, str]:
    """Return the arguments of the build that come before its stages, with their defaults."""
    texts = (each.text for each in _instructions() if each.name == "ARG")
    return dict(text.split("=", 1) for text in texts)


def stages() -> list[list[Instruction]]:
    """Return the instructions of each stage; the first of each is its FROM."""
    found: list[list[Instruction]] = []
    for instruction in _instructions():
        if instruction.name == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def environment() -> dict[str, str]:
    """Return what the image sets, but for its PATH."""
    texts = [each.text for each in stages()[-1] if each.name == "ENV"]
    pairs = (pair.partition("=") for text in texts for pair in shlex.split(text))
    return {name: value for name, _, value in pairs if name != "PATH"}


def exec_form(name: str) -> list[str]:
    """Return the words of the last stage's ENTRYPOINT, CMD, or command of its HEALTHCHECK."""
    (text,) = [each.text for each in stages()[-1] if each.name == name]
    words: list[str] = json.loads(text[text.index("[") :])
    return words


def _instructions() -> Iterator[Instruction]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield Instruction(name, " ".join(rest.split()))
