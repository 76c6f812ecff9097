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

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, Literal, Protocol, TypeVar

from msgspec import Struct
from pydantic import BaseModel, ConfigDict

from rules.events import Balance, Event, Kind, Login, Ref, Transaction
from rules.facts import Facts, Quote, Value
from rules.marks import Marks
from rules.profile import Profile
from schemas.base import Category, RootCause, Severity


class Params(BaseModel):
    """Thresholds of one rule. Every field has a description with unit, reason and source, a
    default, and bounds."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class State(Struct, array_like=True, omit_defaults=True, gc=False):
    """What one rule remembers of one account: small, bounded, all fields with defaults.

    A state that equals its defaults is not stored. Saved as a list of values: add fields at the
    end only, and raise the rule's version when their meaning changes.
    """


class Amount(Struct, array_like=True, frozen=True, gc=False):
    """Money: `minor` minor units of a currency with `exponent` decimals."""

    currency: str
    minor: int
    exponent: int


Mode = Literal["live", "shadow"]
SHADOW: Final = "_shadow"
"""Ends the code of a rule that runs in shadow: it has a state of its own."""


class Verdict(Struct, kw_only=True):
    """What a rule makes of facts: all of an alert that follows from them."""

    at: int
    """Milliseconds: when what was found was true."""
    severity: Severity
    title: str
    """At most 130 characters, without personal data."""
    details: dict[str, Any] = {}
    amount_at_stake: Sequence[Amount] = ()
    suspected_root_cause: RootCause = "unknown"
    owner_advice: Sequence[str] = ()


class Draft(Struct, kw_only=True):
    """An alert as a rule raises it; `judge` adds the verdict, the engine ids and addresses."""

    anchor: str
    """Distinguishes this alert from others of the rule on this account: usually an event_id."""
    cause: str
    """`provider:<id>`, `payments`, `auth`, `ledger`; the coarsest thing that may explain it.
    ACCOUNT_CAUSE: the account itself."""
    facts: Sequence[Quote]
    """All that `judge` reads, each name once; every address is cited in `evidence`."""
    evidence: Sequence[tuple[Ref, str]]
    """(address, role), the newest last; beyond 50 the first and the newest are kept."""
    subject: str | None = None
    """The transaction_id where the incident is about one transaction; None: the account."""
    transaction_ids: Sequence[str] = ()
    provider: str | None = None
    dedup_rule: str | None = None
    """Joins the incidents of another rule."""


ACCOUNT_CAUSE: Final = "account:"
"""The cause of an alert that nothing but its own account explains; its token is added."""


class OpenAlert(Struct, array_like=True, gc=False):
    """An alert that is neither cured, retracted nor expired, as the engine remembers it."""

    rule: str
    anchor: str
    at: int
    severity: Severity
    sequence: int
    alert_id: str
    cause: str
    dedup_key: str
    title: str
    raised_at: int
    """Order time (milliseconds) of the raising; it expires `max_open` after that."""
    first_event_at: int
    last_event_at: int
    transaction_ids: list[str] = []
    provider: str | None = None
    amount_at_stake: list[Amount] = []
    rule_version: int = 1
    facts: list[Quote] = []

    @property
    def in_shadow(self) -> bool:
        """Whether a rule in shadow raised it."""
        return self.rule.endswith(SHADOW)

    def fact(self, name: str) -> Value:
        """Return a fact that the alert quotes; None if it quotes none of that name."""
        for each, value, _ in self.facts:
            if each == name:
                return value
        return None


class RaiseAlert(Struct, frozen=True, gc=False):
    """See `Effects.alert`."""

    draft: Draft


class UpdateAlert(Struct, frozen=True, gc=False):
    """See `Effects.update`."""

    alert: OpenAlert | str
    facts: Sequence[Quote]
    evidence: Sequence[tuple[Ref, str]]


class SettleAlert(Struct, frozen=True, gc=False):
    """See `Effects.settle`."""

    alert: OpenAlert | str
    ref: Ref
    role: str


class LapseAlert(Struct, frozen=True, gc=False):
    """See `Effects.lapse`."""

    alert: OpenAlert


class ExpireAlert(Struct, frozen=True, gc=False):
    """See `Effects.expire`."""

    alert: OpenAlert


class SetTimer(Struct, frozen=True, gc=False):
    """See `Effects.set_timer`."""

    name: str
    due: int
    awaits: tuple[Kind, ...]


class CancelTimer(Struct, frozen=True, gc=False):
    """See `Effects.cancel_timer`."""

    name: str


class CountReason(Struct, frozen=True, gc=False):
    """See `Effects.count`."""

    reason: str


class SendSignal(Struct, frozen=True, gc=False):
    """See `Effects.signal`."""

    measure: str
    event: Event


Effect = (
    RaiseAlert
    | UpdateAlert
    | SettleAlert
    | LapseAlert
    | ExpireAlert
    | SetTimer
    | CancelTimer
    | CountReason
    | SendSignal
)
Tally = tuple[str, str]
"""(cause, measure) of one event in a volume: a plain key, since most payments give one."""


class HasAlerts(Protocol):
    """The account of a call, as far as effects read it."""

    @property
    def alerts(self) -> Sequence[OpenAlert]:
        """The open alerts of every rule, oldest first."""


class Effects:
    """Collects what a rule asks for during one call; the engine applies all of it, or nothing.

    One object serves all calls of a task: the engine sets `code` and calls `begin`.

    Args:
        marks: makes the keyed hashes by which state may remember a device, session or payee.
        address_of: returns the address of an event as the engine passes it to `begin`.

    Attributes:
        now: order time of the call, in milliseconds.
        code: state code of the rule that is called.
        entry: the event as the engine has it; None in the call of a timer.
        asked: what the rule has asked for, in its order; the engine empties it.
        tallies: what the rules have asked to be counted for this event; the engine empties it.
    """

    __slots__ = (
        "_account",
        "_address_of",
        "_own_due",
        "_ref",
        "asked",
        "code",
        "entry",
        "marks",
        "now",
        "tallies",
    )

    def __init__(self, marks: Marks, address_of: Callable[[Any], Ref]) -> None:
        self.marks = marks
        self.code = ""
        self.asked: list[Effect] = []
        self.tallies: list[Tally] = []
        self._address_of = address_of

    def begin(self, now: int, account: HasAlerts, entry: Any, own_due: int | None) -> None:
        """Begin the calls for an event (`entry`), or the call of a timer that was due."""
        self.now = now
        self._account = account
        self.entry = entry
        self._own_due = own_due
        self._ref: Ref | None = None

    @property
    def ref(self) -> Ref:
        """The address of the event being handled (timers have none: AssertionError)."""
        ref = self._ref
        if ref is None:  # few rules ask for it, and it has a checksum
            assert self.entry is not None, "a timer has no event"
            ref = self._ref = self._address_of(self.entry)
        return ref

    def open_alerts(self) -> Sequence[OpenAlert]:
        """This rule's open alerts on this account, oldest first."""
        if not self._account.alerts:
            return ()
        # One that an older release raised without facts cannot be judged again: it expires.
        return [a for a in self._account.alerts if a.rule == self.code and a.facts]

    def alert(self, draft: Draft) -> None:
        """Raise an alert if `judge` finds one; one open under the same anchor stays as it is."""
        self.asked.append(RaiseAlert(draft))

    def update(
        self,
        alert: OpenAlert | str,
        facts: Sequence[Quote] = (),
        evidence: Sequence[tuple[Ref, str]] = (),
    ) -> None:
        """Judge an open alert (or by its anchor one raised in this call) again with more facts.

        They are laid over those it quotes. If the verdict differs it is published as a change.
        """
        self.asked.append(UpdateAlert(alert, facts, evidence))

    def settle(self, alert: OpenAlert | str, role: str, ref: Ref | None = None) -> None:
        """Close an open alert, or by its anchor one raised in this call, because of an event.

        The event is the present one, or that of `ref`. `cured` if it happened after the alert's
        `at`, else `retracted`: evidence of that time or before proves that the alert was wrong.
        """
        self.asked.append(SettleAlert(alert, ref or self.ref, role))

    def lapse(self, alert: OpenAlert) -> None:
        """Close an open alert as cured because the time has come, without an event."""
        self.asked.append(LapseAlert(alert))

    def expire(self, alert: OpenAlert) -> None:
        """Close an open alert because nothing has come for long."""
        self.asked.append(ExpireAlert(alert))

    def set_timer(self, name: str, due: int, awaits: Sequence[Kind] = ()) -> None:
        """Call `on_timer(name)` at `due` (milliseconds); replaces a timer of the same name.

        With `awaits` it judges absence: it fires only when those inputs are proven to have passed
        `due`. A timer may not set itself at or before its own due (ValueError).
        """
        if self._own_due is not None and due <= self._own_due:
            raise ValueError("a timer may not set itself at or before its own due")
        self.asked.append(SetTimer(name, due, tuple(awaits)))

    def cancel_timer(self, name: str) -> None:
        """Forget a timer, if it is set."""
        self.asked.append(CancelTimer(name))

    def count(self, reason: str) -> None:
        """Count something that was seen but not judged, by its reason."""
        self.asked.append(CountReason(reason))

    def signal(self, measure: str, event: Event) -> None:
        """Send triage one rare event: for rules over many accounts."""
        self.asked.append(SendSignal(measure, event))

    def tally(self, cause: str, measure: str) -> None:
        """Count the present event for a cause: triage gets the counts, by ten seconds."""
        if not self.code.endswith(SHADOW):
            self.tallies.append((cause, measure))


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
