"""Short histories of one account's balances, run through A2 in more than one order of arrival."""

from typing import Any

from rules.balance_mismatch.rule import BalanceMismatch
from rules.builders import clock, txn
from rules.testing import Scenario

Wire = dict[str, Any]
Found = list[tuple[str, int]]
"""(check, drift in minor units) of what was raised, in order."""


def ran(*events: Wire, **params: Any) -> Scenario:
    """Run events and let the day pass; in whatever order they come, the same alerts come out."""
    last = clock("23:59:59.999")
    scenario = Scenario(BalanceMismatch, **params).run([*events, last])
    mirrored = Scenario(BalanceMismatch, **params).run([*reversed(events), last])
    assert published(mirrored) == published(scenario)
    for raised in scenario.raised:
        for name, value, ref in raised.facts:
            if ref is not None:
                assert BalanceMismatch.Facts.readers()[name](scenario.event_at(ref)) == value, name
    return scenario


def published(scenario: Scenario) -> list[Any]:
    """Return what each alert record says, without the addresses of events."""
    return [
        (each.step, each.anchor, dict(each.values), each.title, dict(each.details))
        for each in scenario.alerts
    ]


def found(*events: Wire, **params: Any) -> Found:
    """Return what is raised by events."""
    return raised_by(ran(*events, **params))


def raised_by(scenario: Scenario) -> Found:
    """Return what a scenario has raised."""
    return [(raised.details["check"], raised.details["drift_minor"]) for raised in scenario.raised]


def both(
    name: str, time: str, amount: str, before: str, after: str, type_: str = "topup", **fields: Any
) -> Wire:
    """Return a completed row with both posted balances, a topup; its event_id is the name."""
    wire = after_only(name, time, amount, after, type_, **fields)
    return {**wire, "balance_before": before} | fields


def after_only(
    name: str, time: str, amount: str, after: str, type_: str = "topup", **fields: Any
) -> Wire:
    """Return a completed row that reports its posted balance after alone."""
    balances = {"balance_after": after, "balance_kind": "posted"}
    wire = txn(name, time, amount=amount, type=type_, event_id=name)
    return {**wire, **balances} | fields


def numbered(*events: Wire) -> list[Wire]:
    """Return the same rows with numbers, in the order given."""
    return [event | {"ledger_sequence": number} for number, event in enumerate(events, 1)]
