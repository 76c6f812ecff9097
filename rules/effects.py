"""Effects: what a rule asks for during one call. The engine applies all of them, or none.

Each is a small struct that is matched once, where it is applied.
"""

from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any, Protocol

from msgspec import Struct

from rules.alerts import SHADOW, Draft, OpenAlert
from rules.events import Event, Kind, Ref
from rules.facts import Quote
from rules.marks import Marks


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
    alert: str | None = None


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
    def alerts(self) -> Sized:
        """The open alerts of every rule; empty if there are none."""

    def open_alerts(self, code: str, naming: Sequence[str]) -> Iterable[OpenAlert]:
        """Return those of one rule, oldest first, at least those that quote a text of `naming`."""


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

    def open_alerts(self, *naming: str | None) -> Sequence[OpenAlert]:
        """This rule's open alerts on this account, oldest first.

        Args:
            naming: texts, None for none; alerts that quote none of them may be left out, which is
                cheaper.
        """
        if not self._account.alerts:
            return ()
        texts = [text for text in naming if text is not None]
        # One that an older release raised without facts cannot be judged again: it expires.
        return [a for a in self._account.open_alerts(self.code, texts) if a.facts]

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

    def set_timer(
        self, name: str, due: int, awaits: Sequence[Kind] = (), alert: str | None = None
    ) -> None:
        """Call `on_timer(name)` at `due` (milliseconds); replaces a timer of the same name.

        With `awaits` it judges absence: it fires only when those inputs are proven to have passed
        `due`. A timer may not set itself at or before its own due (ValueError).

        With `alert`, the anchor of one that this call may have raised, it is set only if that is
        open: what was found beyond `engine.max_open_alerts` is counted and has no alert. So there
        are no more such timers than open alerts.
        """
        if self._own_due is not None and due <= self._own_due:
            raise ValueError("a timer may not set itself at or before its own due")
        self.asked.append(SetTimer(name, due, tuple(awaits), alert))

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
