"""Reading an account that an older release has saved. Pure.

Only an account that is not of today's layout comes here.

Layouts of an account:
1. No number. A known balance had offset, event_id, input and time of its event one by one, a hold
   its transaction_id, an alert a list to match events with.
2. Number under "v". Addresses are a `Ref`, a hold keeps a mark, an alert the facts it quotes;
   there are habits. An alert of layout 1 quotes no facts: it can only expire.
3. The open alerts of a rule are encoded apart, behind what the engine reads of them. Habits count
   the failures since the last success: of a layout before their number is not known.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec

from rules.alerts import OpenAlert
from rules.codes import is_from_outside
from rules.contract import AnyRule
from rules.habits import MAX_FAILED
from rules.profile import Profile, mark_of
from worker.detect.kept_alerts import KeptAlerts
from worker.engine.outcomes import Counts, StateDropped
from worker.engine.packing import Unpacker
from worker.engine.saved import damaged, downgrade
from worker.errors import LogError


class _HasAlerts(Protocol):
    profile: Profile
    alerts: dict[str, KeptAlerts]


T = TypeVar("T", bound=_HasAlerts)
Rules = Mapping[str, AnyRule]
"""Every rule of this release by its state code, live and in shadow."""

LAYOUT_FIELD: Final = "v"
_RULE_VERSION: Final = "."
"""Separates the code of a rule and its version, and in no other name of a field."""
_ALERTS_BY_THEMSELVES: Final = 3
_FAILURES_COUNTED: Final = 3
_MATCH: Final = 12
"""Where an alert of layout 1 has what it matched events with."""

_TEXT: Final = b"{"
_MAP: Final[Unpacker[dict[str, Any]]] = Unpacker(dict)


def upgraded(
    stored: bytes | memoryview, into: type[T], layout: int, rules: Rules
) -> tuple[int, T, Counts]:
    """Return an account of an older layout, or with states of older rules, in today's layout.

    Returns its layout, the account, and how many states started afresh, by rule.

    Raises:
        LogError: a newer release has written it, or it is damaged.
    """
    try:
        saved = _MAP(stored)
        found = saved.pop(LAYOUT_FIELD, 1)
        if found > layout:
            raise downgrade("accounts")
        if found == 1:
            _from_layout_1(saved)
        alerts = saved.pop("a", []) if found < _ALERTS_BY_THEMSELVES else []
        afresh = _upgrade_rules(saved, rules)
        text = bytes(memoryview(stored)[:1]) == _TEXT
        account = msgspec.convert(
            saved | {LAYOUT_FIELD: layout}, into, builtin_types=() if text else (bytes, bytearray)
        )
        habits = account.profile.habits
        if found < _FAILURES_COUNTED and habits.logins_since is not None:
            habits.failed = MAX_FAILED  # as many or more: until a success, no lock is unjustified
        for alert in msgspec.convert(alerts, list[OpenAlert]):
            account.alerts.setdefault(alert.rule, KeptAlerts()).add(alert)
    except (msgspec.MsgspecError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise damaged("an account") from error
    return found, account, afresh


def _upgrade_rules(saved: dict[str, Any], rules: Rules) -> Counts:
    """Bring states to today's version of their rule; leave those of other rules alone."""
    afresh = Counts()
    for name in [name for name in saved if _RULE_VERSION in name]:
        code, _, text = name.partition(_RULE_VERSION)
        rule, version = rules.get(code), int(text)
        if rule is None:
            raise unreadable(f"states of a rule {code}", code, known=False)
        if version > rule.version:
            raise unreadable(f"states of version {version} of rule {code}", code, known=True)
        if version < rule.version:
            state = rule.upgrade(version, saved.pop(name))
            if state is None:
                afresh[StateDropped(rule.id)] += 1
            else:
                saved[saved_name(rule)] = state
    return afresh


def unreadable(what: str, code: str, known: bool) -> LogError:
    """Return the refusal of what a rule has saved that is not known, or only in an older version.

    Args:
        code: of the rule, as saved state has it.
        known: whether an older version of the rule is there.
    """
    if not is_from_outside(code):
        return downgrade(what)
    if known:
        return LogError(
            f"A newer version of the package of that rule has saved {what}: install that version. "
            "Nothing was changed."
        )
    return LogError(
        f"The log holds {what}, which is from outside walletwatch and is missing here: install its "
        "package, or name its module in rules.modules; mode off stops a rule. Nothing was changed."
    )


def saved_name(rule: AnyRule) -> str:
    """Return the name under which an account saves the state of this version of a rule."""
    return f"{rule.state_code}{_RULE_VERSION}{rule.version}"


def _from_layout_1(saved: dict[str, Any]) -> None:
    facts = saved.get("f", [])
    if facts:
        facts[0] = [_known(*known) for known in facts[0]]
    if len(facts) > 1:
        facts[1] = [[mark_of(hold[0]), *hold[1:]] for hold in facts[1]]
    saved["a"] = [alert[:_MATCH] + alert[_MATCH + 1 :] for alert in saved.get("a", [])]


def _known(
    currency: str,
    kind: str,
    minor: int,
    at: int,
    offset: int,
    event_id: str,
    source: int,
    occurred_at: int,
) -> list[Any]:
    return [currency, kind, minor, at, [source, offset, event_id, occurred_at]]
