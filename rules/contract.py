"""What a rule is, what it may see, and what it may do.

A rule sees one account: its own state, the event or timer, the account's profile. It changes its
own state and asks for effects; nothing else. The engine calls it once per event in order of event
time, isolates it when it raises, and keeps what outlives a call: open alerts, timers, states.

A *late* event (older than what the engine has already released) goes to the `late_*` handlers: it
may cure or retract, or be judged by itself, never against facts newer than it.

Handlers only notice. `judge` decides what is found, from the facts that the alert quotes and the
parameters, and from nothing else: so `explain` can decide it again from the alert alone. The engine
keeps facts as quotes, and gives them to the rule as its own struct (`rules.facts`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

from msgspec import Struct
from pydantic import BaseModel, ConfigDict

from rules.alerts import SHADOW, Verdict
from rules.effects import Effects
from rules.events import Balance, Event, Kind, Login, Transaction
from rules.facts import Facts, Value
from rules.profile import Profile
from schemas.base import Category


class Params(BaseModel):
    """Thresholds of one rule. Every field has a description with unit, reason and source, a
    default, and bounds."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )


class State(Struct, array_like=True, omit_defaults=True, gc=False):
    """What one rule remembers of one account: small, bounded, all fields with defaults.

    A state that equals its defaults is not stored. Saved as a list of values: add fields at the
    end only, and raise the rule's version when their meaning changes.
    """


Mode = Literal["live", "shadow"]
P = TypeVar("P", bound=Params)
S = TypeVar("S", bound=State)
F = TypeVar("F", bound=Facts)


class Example(Struct, kw_only=True, frozen=True):
    """A short sequence of events and the alerts it must give, run through the real engine."""

    name: str
    """A sentence: what is true here."""
    events: tuple[dict[str, Any], ...]
    """Wire records with `kind`; `rules.builders` makes them."""
    expect: tuple[str, ...] = ()
    """In order of publication: "raised error", "updated warning", "cured error", ..."""
    params: dict[str, Any] = {}
    details: tuple[dict[str, Any], ...] | None = None
    """If given: a subset of each expected alert's details."""


class Otherwise(Struct, kw_only=True, frozen=True):
    """What would have made a finding milder or none."""

    sentence: str
    facts: Mapping[str, Value] = {}
    """The facts that would have been different."""
    params: Mapping[str, Any] = {}
    """The parameters that would have been different."""


class Rule(Generic[P, S, F]):
    """One detector. Subclasses set the class attributes, `judge`, and the handlers they need."""

    id: ClassVar[str]
    code: ClassVar[str]
    """The short name of the rule in saved state and in documents: A1."""
    version: ClassVar[int] = 1
    category: ClassVar[Category]
    Params: ClassVar[type[Any]]
    State: ClassVar[type[Any]]
    Facts: ClassVar[type[Any]]
    """The struct that declares what its alerts quote."""
    reads: ClassVar[Mapping[Kind, Mapping[str, Collection[str]]]] = {}
    """By kind the values of its DISPATCH_FIELDS that concern the rule: it is called for no others.
    What is not named is not restricted."""
    EXAMPLES: ClassVar[tuple[Example, ...]] = ()

    def __init__(self, params: P, mode: Mode = "live") -> None:
        self.params = params
        self.mode: Mode = mode
        self.state_code = self.code + (SHADOW if mode == "shadow" else "")
        """Names the rule in saved state."""

    # -- deciding: from quoted facts and parameters alone ---------------------------------

    def judge(self, facts: F) -> Verdict | None:
        """Decide from the facts an alert quotes; None: nothing is wrong."""
        raise NotImplementedError

    def answers(self, facts: F, event: Event) -> bool:
        """Return whether the event closes an alert with these facts."""
        return False

    def disproved(
        self, facts: F, sources: Mapping[str, Event], cited: Sequence[tuple[str, Event]]
    ) -> Sequence[str]:
        """Return the names of facts, worked out from several events, that these contradict.

        Args:
            sources: by fact with an address the event it was read from.
            cited: all events that the alert cites, each with its role.
        """
        return ()

    def because(self, facts: F) -> Sequence[str]:
        """Return sentences that say why an alert with these facts was raised."""
        return ()

    def otherwise(self, facts: F) -> Sequence[Otherwise]:
        """Return what would have made an alert with these facts milder or none."""
        return ()

    @classmethod
    def upgrade(cls, version: int, saved: Sequence[Any]) -> S | None:  # noqa: ARG003
        """Return today's state for the values that an older version has saved of its own.

        None: nothing can be made of them, the rule starts afresh on that account, which is
        counted. Its open alerts and timers stay.
        """
        return None

    # -- noticing -------------------------------------------------------------------------

    def on_transaction(self, state: S, event: Transaction, profile: Profile, fx: Effects) -> None:
        """Handle a transaction event in its order."""

    def on_login(self, state: S, event: Login, profile: Profile, fx: Effects) -> None:
        """Handle a login event in its order."""

    def on_balance(self, state: S, event: Balance, profile: Profile, fx: Effects) -> None:
        """Handle a reported balance in its order."""

    def late_transaction(self, state: S, event: Transaction, profile: Profile, fx: Effects) -> None:
        """Handle a transaction event that came late."""

    def late_login(self, state: S, event: Login, profile: Profile, fx: Effects) -> None:
        """Handle a login event that came late."""

    def late_balance(self, state: S, event: Balance, profile: Profile, fx: Effects) -> None:
        """Handle a reported balance that came late."""

    def on_timer(self, state: S, name: str, due: int, profile: Profile, fx: Effects) -> None:
        """Handle a timer that this rule has set."""


AnyRule = Rule[Any, Any, Any]
