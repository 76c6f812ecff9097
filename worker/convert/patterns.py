"""Regular expressions that take bounded time on any text.

Python's engine tries every way to divide a text. Strangers write the texts, so that a pattern
is read here first: where it may divide a text in more ways than one, its repetitions are counted,
and from that follows how long a text may be (`longest`). A pattern that could only be tried on
very short texts is refused, and so is syntax whose cost is not known here.
"""

import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from math import factorial
from typing import Final

from worker.convert.syntax import ONE_OF_EACH, Char, Choice, Node, Repeat, parsed

MAX_STEPS: Final = 2**23
"""The most that a pattern may cost, in steps of the engine: about a second at worst."""
MAX_TEXT: Final = 8_192
MIN_TEXT: Final = 256
MAX_PATTERN: Final = 2_000


@dataclass(frozen=True, slots=True)
class _Rest:
    """What can follow: its first characters, and whether it may be empty, or is any text at all."""

    first: frozenset[str]
    may_be_empty: bool
    is_any_text: bool = False


@dataclass(frozen=True)
class Pattern:
    """A pattern that must match a whole text, and whose named groups are wanted.

    Raises:
        ValueError: no regular expression, or one that could take long; str() says what to do.
    """

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > MAX_PATTERN:
            raise ValueError(f"is longer than {MAX_PATTERN} characters")
        if not self.names:
            raise ValueError("has no named group, such as (?P<account>[^ ]+)")
        if self.longest < MIN_TEXT:
            raise ValueError(
                "could take too long: too many of its repetitions may also match what follows them;"
                " write for example [^ ]+ in place of .+ before a space"
            )

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of syntax that Python will read in another way
                return re.compile(self.text, re.DOTALL)
        except (re.error, OverflowError, RecursionError, Warning) as error:
            raise ValueError(f"is no regular expression: {error}") from None

    @cached_property
    def longest(self) -> int:
        """The most characters of a text that it may be tried on."""
        ways = _Ways()
        ways.before(parsed(self.text), _Rest(frozenset(), may_be_empty=True))
        return ways.longest()

    @property
    def names(self) -> list[str]:
        """The names of its groups."""
        return list(self._regex.groupindex)

    def groups(self, text: str) -> dict[str, str] | None:
        """Return the text of each named group, None if the whole text does not match.

        `text` may have `longest` characters.
        """
        match = self._regex.fullmatch(text)
        return None if match is None else match.groupdict("")


class _Ways:
    """Counts in how many ways a text can be divided among the repetitions of a pattern."""

    def __init__(self) -> None:
        self._unbounded = 0
        self._bounded = 1

    def longest(self) -> int:
        """Return how long a text may be for the steps to stay below MAX_STEPS."""
        # n characters can be divided by k marks in about n**k / k! ways; each is read once more.
        power = self._unbounded + 1
        steps = MAX_STEPS * factorial(power) // self._bounded
        length = int(steps ** (1 / power))
        return min(length, MAX_TEXT)

    def before(self, sequence: list[Node], rest: _Rest, *, in_loop: bool = False) -> _Rest:
        """Return what a sequence and the rest behind it begin with, and count its open choices."""
        for node in reversed(sequence):
            if isinstance(node, Char):
                rest = _Rest(node.chars, may_be_empty=False)
            elif isinstance(node, Choice):
                rest = self._choice(node, rest, in_loop=in_loop)
            else:
                rest = self._repeat(node, rest, in_loop=in_loop)
        return rest

    def _choice(self, choice: Choice, rest: _Rest, *, in_loop: bool) -> _Rest:
        branches = [self.before(branch, rest, in_loop=in_loop) for branch in choice.branches]
        if len(branches) == 1:
            return branches[0]
        first = frozenset[str]().union(*(branch.first for branch in branches))
        if sum(len(branch.first) for branch in branches) > len(first):
            self._open(len(branches), in_loop=in_loop)
        return _Rest(first, any(branch.may_be_empty for branch in branches))

    def _repeat(self, repeat: Repeat, rest: _Rest, *, in_loop: bool) -> _Rest:
        body = repeat.body
        once = _first(body)
        if isinstance(body, Choice):
            if repeat.most == 1:
                self.before([body], rest, in_loop=in_loop)
            elif once.may_be_empty:
                raise ValueError("repeats a group that may be empty; write + in place of * within")
            else:
                around = _Rest(once.first | rest.first, rest.may_be_empty)
                self.before([body], around, in_loop=True)
        is_open = bool(once.first & rest.first) and not rest.is_any_text
        if is_open and repeat.least != repeat.most:
            ways = None if repeat.most is None else repeat.most - repeat.least + 1
            self._open(ways, in_loop=in_loop)
        if repeat.least:
            return _Rest(once.first, may_be_empty=False)
        takes_all = (
            isinstance(body, Char) and body.chars >= set(ONE_OF_EACH) and repeat.most is None
        )
        return _Rest(
            once.first | rest.first,
            rest.may_be_empty,
            rest.is_any_text or (takes_all and rest.may_be_empty),
        )

    def _open(self, ways: int | None, *, in_loop: bool) -> None:
        if in_loop:
            raise ValueError(
                "repeats a group that may divide a text in more than one way; end the group with a"
                " character that what it repeats cannot be"
            )
        if ways is None:
            self._unbounded += 1
        else:
            self._bounded *= ways


def _first(node: Node) -> _Rest:
    """Return what a node by itself can begin with."""
    if isinstance(node, Char):
        return _Rest(node.chars, may_be_empty=False)
    if isinstance(node, Repeat):
        once = _first(node.body)
        return _Rest(once.first, once.may_be_empty or node.least == 0)
    first, may_be_empty = frozenset[str](), False
    for branch in node.branches:
        for part in map(_first, branch):
            first |= part.first
            if not part.may_be_empty:
                break
        else:
            may_be_empty = True
    return _Rest(first, may_be_empty)
