"""Which rules are called for an event: a table by the fields that rules declare to read. Pure.

An event that concerns no rule costs one look-up, however many rules there are.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

from rules.contract import AnyRule, Rule
from rules.effects import Effects
from rules.events import DISPATCH_FIELDS, Event, Kind
from rules.profile import Profile
from schemas.topics import INPUTS
from worker.engine.packing import Unpacker

Handle = Callable[[Any, Any, Profile, Effects], None]


class Bound:
    """A rule with what the handler needs of it at every call.

    Attributes:
        empty: a state of which nothing is known, to compare with.
        blank: another one, for calls on accounts that have no state of the rule.
    """

    __slots__ = ("blank", "code", "empty", "new", "rule", "unpack")

    def __init__(self, rule: AnyRule) -> None:
        self.rule = rule
        self.code = rule.state_code
        self.new = rule.State
        self.empty = rule.State()
        self.blank = rule.State()
        self.unpack = Unpacker(rule.State)

    def state_of(self, live: Any) -> Any:
        """Return the account's state of the rule; a new one if it has none."""
        state = getattr(live, self.code)
        if state is None:
            state = self.new()
            setattr(live, self.code, state)
        return state

    def keep_blank(self, live: Any) -> None:
        """Let the account have the blank state, which its rule has written to."""
        setattr(live, self.code, self.blank)
        self.blank = self.new()


Calls = tuple[tuple[Bound, str, Handle], ...]
"""(rule, its state code, its handler of the event) in the order of the rules."""


class _Table(dict[Any, Calls]):
    """The calls for events of one kind, by the values of its dispatch fields."""

    def __init__(self, kind: Kind, calls: Calls) -> None:
        super().__init__()
        self._kind = kind
        self._calls = calls

    def __missing__(self, values: tuple[str, str]) -> Calls:
        found = tuple(each for each in self._calls if self._reads(each[0].rule, values))
        self[values] = found
        return found

    def _reads(self, rule: AnyRule, values: tuple[str, str]) -> bool:
        wanted = rule.reads.get(self._kind, {})
        named = zip(DISPATCH_FIELDS[self._kind], values, strict=True)
        return all(name not in wanted or value in wanted[name] for name, value in named)


class Dispatch:
    """Finds the rules that are called for an event.

    Args:
        rules: in the order in which they are called.
        prefix: of the names of their handlers: `on` or `late`.
    """

    __slots__ = ("_tables",)

    def __init__(self, rules: Sequence[Bound], prefix: str) -> None:
        self._tables = [
            (_VALUES[kind], _Table(kind, _overriding(rules, f"{prefix}_{each.kind}")))
            for kind, each in enumerate(INPUTS)
        ]

    def calls(self, kind: Kind, event: Event) -> Calls:
        """Return the calls for an event."""
        values_of, table = self._tables[kind]
        return table[values_of(event)]


_VALUES: Final = [attrgetter(*fields) for fields in DISPATCH_FIELDS]


def _overriding(rules: Sequence[Bound], name: str) -> Calls:
    return tuple(
        (bound, bound.code, getattr(bound.rule, name))
        for bound in rules
        if getattr(type(bound.rule), name) is not getattr(Rule, name)
    )
