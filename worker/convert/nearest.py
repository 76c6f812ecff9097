"""Sentences about an unknown word: which one was probably meant, which are allowed."""

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, word: str, allowed: Iterable[str]) -> str:
    """Return the sentence for a key or name that does not exist."""
    return f"unknown {what} {word!r}; {_hint(word, list(allowed))}"


def choose(what: str, word: str, allowed: Iterable[str]) -> str:
    """Return the sentence for a value that is not in a closed list."""
    return f"{what} cannot be {word!r}; {_hint(word, list(allowed))}"


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word that is most similar, None if none is."""
    return next(iter(get_close_matches(word, list(allowed), n=1)), None)


def _hint(word: str, allowed: list[str]) -> str:
    meant = nearest(word, allowed)
    question = f"did you mean {meant!r}? " if meant else ""
    return f"{question}allowed: {', '.join(allowed)}"
