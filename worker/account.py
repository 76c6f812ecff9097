"""The record of one account as the engine keeps it. Pure."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from rules.contract import OpenAlert, Rule
from rules.profile import Facts
from worker.state import Timer


class Account(Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One account, decoded: layout 1 of its record is this as a map, absent where empty.

    Each handler adds one field per rule to it: the rule's code, saved as "code.version", its state
    or None. So another version of one rule leaves the rest of the record as it is.
    """

    ids: bytearray = msgspec.field(default_factory=bytearray, name="i")
    facts: Facts = msgspec.field(default_factory=Facts, name="f")
    alerts: list[OpenAlert] = msgspec.field(default_factory=list, name="a")
    timers: list[Timer] = msgspec.field(default_factory=list, name="t")


def layout_for(rules: Sequence[Rule[Any, Any]]) -> type[Account]:
    """Return the record of an account with the states of these rules."""
    fields: list[Any] = [
        (rule.code, rule.State | None, msgspec.field(default=None, name=_saved_name(rule)))
        for rule in rules
    ]
    layout = msgspec.defstruct(
        "Account",
        fields,
        bases=(Account,),
        omit_defaults=True,
        forbid_unknown_fields=True,
        gc=False,
    )
    return cast(type[Account], layout)


def _saved_name(rule: Rule[Any, Any]) -> str:
    return f"{rule.code}.{rule.version}"
