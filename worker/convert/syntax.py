"""The syntax of patterns that is allowed, as a tree; what is not known here is refused."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from sys import maxunicode
from typing import Final

_MAX_DEPTH: Final = 10
ONE_OF_EACH: Final = "".join(map(chr, range(128))) + "\x85\xa0\u2003é\u0663²€中"
"""Where two sets of characters overlap, they do so within these or near those of the pattern."""
_TOKEN: Final = re.compile(
    r"""(?P<atom>\\(?:[dDwWsStnr]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^0-9A-Za-z])
        |\[\^?\]?(?:[^\]\\]|\\.)*\]
        |[^\\\[(){*+?|^$])
    |(?P<open>\((?:\?:|\?P<\w+>|(?!\?)))
    |(?P<close>\))
    |(?P<or>\|)
    |(?P<repeat>(?:[*+?]|\{(?!\})(?P<least>\d{0,4})(?:(?P<comma>,)(?P<most>\d{0,4}))?\})\??(?!\+))
    """,
    re.VERBOSE | re.DOTALL,
)
_END: Final = re.compile(r"(?<!\\)(?:\\\\)*\$\Z")
"""A $ at the end, before which are none or two backslashes, or four."""


@dataclass(frozen=True, slots=True)
class Char:
    """One character out of a set."""

    chars: frozenset[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """A group: one of several sequences."""

    branches: "list[list[Node]]"


@dataclass(frozen=True, slots=True)
class Repeat:
    """From `least` to `most` rounds of a character or a group; None: any number."""

    body: Char | Choice
    least: int
    most: int | None


Node = Char | Choice | Repeat
"""A part of a pattern."""


class _Parser:
    """Reads the syntax that is allowed, by recursive descent over tokens."""

    def __init__(self, text: str, offset: int, flags: re.RegexFlag) -> None:
        codes = {ord(char) + step for char in text if ord(char) > 127 for step in (-1, 0, 1)}
        self._alphabet = frozenset(ONE_OF_EACH) | {
            chr(code) for code in codes if code <= maxunicode
        }
        self._flags = flags
        self._tokens = deque(_tokens(text, offset))

    def choice(self, depth: int = 0) -> Choice:
        """Read a group without its brackets, or the whole pattern."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"has groups that are nested more than {_MAX_DEPTH} deep")
        branches: list[list[Node]] = [[]]
        while self._tokens and self._tokens[0].lastgroup != "close":
            token = self._tokens.popleft()
            if token["or"]:
                branches.append([])
            elif token["open"]:
                inner = self.choice(depth + 1)
                self._tokens.popleft()
                branches[-1].append(self._repeated(inner))
            else:
                branches[-1].append(self._repeated(Char(self._chars(token["atom"]))))
        return Choice(branches)

    def _repeated(self, body: Char | Choice) -> Node:
        if not self._tokens or not self._tokens[0]["repeat"]:
            return body
        token = self._tokens.popleft()
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(
            token["repeat"][0], _counts(token)
        )
        return Repeat(body, least, most)

    def _chars(self, atom: str) -> frozenset[str]:
        one = re.compile(atom, self._flags)
        return frozenset(char for char in self._alphabet if one.fullmatch(char))


def _counts(token: re.Match[str]) -> tuple[int, int | None]:
    """Return the least and the most rounds of {2}, {2,}, {,3} or {2,3}."""
    least = int(token["least"] or 0)
    if not token["comma"]:
        return least, least
    return least, int(token["most"]) if token["most"] else None


def _tokens(text: str, offset: int) -> Iterator[re.Match[str]]:
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise ValueError(
                f"has at character {offset + place + 1} what is not supported: only characters,"
                r" classes such as [^ ] and \d, groups (?:...) and (?P<name>...), | and"
                r" repetitions; write a backslash before others, as in \{"
            )
        yield token
        place = token.end()


def parsed(text: str) -> list[Node]:
    """Return the sequence that a regular expression is.

    Raises:
        ValueError: it has syntax that is not known here; str() says where, and what may be.
    """
    flags, offset = re.RegexFlag.DOTALL, 0
    if text.startswith("(?i)"):
        flags, offset = flags | re.RegexFlag.IGNORECASE, 4
    # The whole text is matched anyhow.
    if text.startswith("^", offset):
        offset += 1
    end = len(text) - (_END.search(text) is not None)
    return [_Parser(text[offset:end], offset, flags).choice()]
