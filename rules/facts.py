"""Facts: what an alert quotes, and what a rule judges. Each is declared once, by its rule.

A fact is read from one cited event, or the rule has worked it out from several. An alert saves and
publishes it as a `Quote`; a rule judges it as a field of its `Facts`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, Self, get_type_hints

import msgspec
from msgspec import Struct

from rules.events import Event, Ref

Value = str | int | bool | None
Values = Mapping[str, Value]
"""Facts by name. Amounts are minor units; names of amounts and times carry a unit."""
Quote = tuple[str, Value, Ref | None]
"""A fact: its name, its value, and the cited event it was read from (None: from none)."""
FactReader = Callable[[Any], Value]
"""Returns the value of a fact from the event that is cited for it."""


class Declaration(NamedTuple):
    """What a rule declares of one fact beside its name, type and default."""

    read: FactReader | None
    """None: the rule works it out, no single event shows it."""
    compared_with: Sequence[str]
    """Names of the parameters that decide by it."""


def quoted(
    read: str | FactReader | None = None, *, compared_with: str | Sequence[str] = ()
) -> Declaration:
    """Declare a fact: `amount_minor: Annotated[int, quoted("amount")]`.

    Args:
        read: an attribute of the cited event, or a function of the event; None: it is worked out.
        compared_with: the parameter, or the parameters, that decide by it.
    """
    names = (compared_with,) if isinstance(compared_with, str) else compared_with
    return Declaration(attrgetter(read) if isinstance(read, str) else read, names)


class Facts(Struct, kw_only=True):
    """The facts of one alert. A field with a default may be absent: it is not always known.

    A rule whose alerts differ in their facts derives a struct of each from a common one.
    """

    @classmethod
    def of(cls, values: Values) -> Self:
        """Return the facts with these values; those that are not declared are ignored.

        Raises msgspec.ValidationError if a value is of another type, or one without default is
        missing.
        """
        return msgspec.convert(values, cls)

    @classmethod
    def of_quotes(cls, quotes: Sequence[Quote]) -> Self:
        """Return the facts that an alert quotes; raises as `of`."""
        return cls.of({name: value for name, value, _ in quotes})

    @classmethod
    def quote(cls, event: Event, ref: Ref | None, *names: str) -> list[Quote]:
        """Return facts read from one event, with its address."""
        read = cls.readers()
        return [(name, read[name](event), ref) for name in names]

    @classmethod
    @cache
    def readers(cls) -> Mapping[str, FactReader]:
        """Return by fact how it is read from the event that is cited for it."""
        return {name: each.read for name, each in _declared(cls) if each.read is not None}

    @classmethod
    @cache
    def deciding(cls) -> Mapping[str, str]:
        """Return by parameter the fact that it is compared with."""
        return {name: fact for fact, each in _declared(cls) for name in each.compared_with}


def _declared(facts: type[Facts]) -> Iterator[tuple[str, Declaration]]:
    """Yield what a struct of facts and those derived from it declare."""
    for name, hint in get_type_hints(facts, include_extras=True).items():
        for each in getattr(hint, "__metadata__", ()):
            if isinstance(each, Declaration):
                yield name, each
    for derived in facts.__subclasses__():
        yield from _declared(derived)
