"""The record of one account as the engine keeps it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from rules.alerts import OpenAlert
from rules.contract import AnyRule
from rules.profile import Profile
from worker.detect.account_upgrade import LAYOUT_FIELD, saved_name, unreadable, upgraded
from worker.detect.kept_alerts import KeptAlerts
from worker.detect.redelivery import ROWS
from worker.detect.unkeyed_ids import UNKEYED
from worker.engine.keyed_state import Timer
from worker.engine.outcomes import Counts
from worker.engine.packing import Unpacker

LAYOUT: Final = 3
KNOWN_FIELDS_SINCE: Final = 3
"""The first layout whose rows of ids cover all fields of events that are known today. A field more
raises both: rows of a layout before are then recognised by their id alone."""
_MANY_FIELDS: Final = 0xDE
"""Begins a map of more than 15 fields in msgpack: two bytes more in front of the first field."""
_LAYOUT_AT: Final = 4
_FIELD: Final = ord(LAYOUT_FIELD)


class Account(
    Struct,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
    tag_field=LAYOUT_FIELD,
    tag=LAYOUT,
):
    """One account, decoded: its record is this as a map, absent where empty.

    Each handler adds one field per rule to it: the rule's code, saved as "code.version", its state
    or None. So another version of one rule leaves the rest of the record as it is.
    """

    ids: bytearray = msgspec.field(default_factory=bytearray, name="r")
    """Rows of recent events, see `redelivery.ROWS`."""
    unkeyed_ids: bytes = msgspec.field(default=b"", name="i")
    """Rows of the time before ids were hashed with a key, until they are forgotten."""
    segments: tuple[int, int] | None = msgspec.field(default=None, name="s")
    """Numbers of the first segment of older rows and of the next one, see `id_segments`."""
    profile: Profile = msgspec.field(default_factory=Profile, name="f")
    alerts: dict[str, KeptAlerts] = msgspec.field(default_factory=dict, name="a")
    """The open ones, by the state code of their rule; none is empty."""
    timers: list[Timer] = msgspec.field(default_factory=list, name="t")

    def open_alerts(self, code: str, naming: Sequence[str] = ()) -> Iterator[OpenAlert]:
        """Yield the open alerts of a rule, oldest first.

        Args:
            naming: those that quote none of these texts may be left out; empty: leave out none.
        """
        kept = self.alerts.get(code)
        if kept is None:
            return iter(())
        return kept.naming(naming) if naming else iter(kept)

    def drop_if_empty(self, code: str) -> None:
        """Keep nothing of a rule without alerts."""
        if not self.alerts[code]:
            del self.alerts[code]


def layout_for(rules: Sequence[AnyRule]) -> type[Account]:
    """Return the record of an account with the states of these rules."""
    fields: list[Any] = [
        (rule.state_code, rule.State | None, msgspec.field(default=None, name=saved_name(rule)))
        for rule in rules
    ]
    layout = msgspec.defstruct(
        "Account",
        fields,
        bases=(Account,),
        omit_defaults=True,
        forbid_unknown_fields=True,
        gc=False,
        tag_field=LAYOUT_FIELD,
        tag=LAYOUT,
    )
    return cast(type[Account], layout)


def _has_layout(payload: bytes | memoryview) -> bool:
    """Return whether a saved account says its layout: it is the first field of the map.

    One of layout 1 does not, and may look like one of today that lacks it.
    """
    if len(payload) <= _LAYOUT_AT:
        return False
    return payload[2] == _FIELD or (payload[0] == _MANY_FIELDS and payload[_LAYOUT_AT] == _FIELD)


class SavedAccounts:
    """Reads accounts that this or an older release has saved.

    Attributes:
        new: makes an account of which nothing is known.
        afresh: how many states were dropped since somebody last emptied this, by rule: those of
            older versions that their rules cannot use.
    """

    def __init__(self, rules: Sequence[AnyRule]) -> None:
        self.new = layout_for(rules)
        self.afresh = Counts()
        self._unpack = Unpacker(self.new)
        self._rules = {rule.state_code: rule for rule in rules}

    def read(self, payload: bytes | memoryview) -> Account:
        """Decode an account.

        Raises:
            LogError: a newer release has written it, or it is damaged.
        """
        try:
            if not _has_layout(payload):
                raise msgspec.ValidationError("an account of layout 1")
            account = self._unpack(payload)
        except msgspec.MsgspecError:
            layout, account, afresh = upgraded(payload, self.new, LAYOUT, self._rules)
            self.afresh.update(afresh)
            if layout < KNOWN_FIELDS_SINCE:
                account.ids = ROWS.without_content(account.ids)
                account.unkeyed_ids = bytes(UNKEYED.without_content(account.unkeyed_ids))
        if account.alerts:
            self._refuse_unknown(account.alerts)
        return account

    def _refuse_unknown(self, alerts: Mapping[str, KeptAlerts]) -> None:
        for code, kept in alerts.items():
            rule = self._rules.get(code)
            if rule is None or kept.version > rule.version:
                what = f"alerts of version {kept.version} of rule {code}"
                raise unreadable(what, code, known=rule is not None)
