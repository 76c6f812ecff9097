"""The life before the simulation, and the table of the stories."""

import inspect
from collections import defaultdict
from importlib import import_module
from itertools import pairwise
from pkgutil import walk_packages

import pytest

from schemas.truth import Plant
from tests.support.events.theft_oracle import DAY, MINUTE, Event, at, in_order, is_debit
from worker import simulate as package
from worker.simulate import SimulateConfig, simulate
from worker.simulate.life.history import KNOWN_DAYS, first_seen_at, live_before
from worker.simulate.stories.assignment import ANOMALIES, INNOCENTS, STORIES, cast
from worker.simulate.world.account import open_account

RULES = {
    "failed_payment_sufficient_balance",
    "balance_mismatch",
    "unauthorized_transaction",
    "account_lockout",
    "cannot_log_in",
}
CONFIG = SimulateConfig()


def lived(index: int, days: int) -> list[Event]:
    account = open_account(index, 1, CONFIG.start_ms - days * DAY, CONFIG)
    live_before(account, days, CONFIG)
    account.agenda.run_until(CONFIG.start_ms)
    return in_order(sent[-1] for sent in account.outbox)


@pytest.mark.parametrize("index", range(12))
def test_a_life_of_known_days_makes_everything_known(index: int) -> None:
    events = lived(index, KNOWN_DAYS)
    account = open_account(index, 1, CONFIG.start_ms - KNOWN_DAYS * DAY, CONFIG)
    logins = [event for event in events if event["kind"] == "login"]
    debits = [event for event in events if is_debit(event) and event["status"] == "completed"]
    assert len(logins) >= 5
    assert len(debits) >= 10
    assert {event["device_id"] for event in logins} == {d["device_id"] for d in account.devices}
    assert {event["country"] for event in logins} == {account.country.code}
    assert {event.get("counterparty_id") for event in debits} >= set(account.payees[:6])
    assert {event["session_id"] for event in debits} == {e["session_id"] for e in logins}


def test_a_life_begins_with_a_login_at_the_told_moment() -> None:
    for days in (7, 10, KNOWN_DAYS, 90):
        account = open_account(3, 1, CONFIG.start_ms - days * DAY, CONFIG)
        first = lived(3, days)[0]
        assert (first["kind"], first["action"]) == ("login", "login")
        assert at(first) == first_seen_at(account, days, CONFIG)


def test_a_life_is_lived_every_third_day_and_not_in_the_last_ones() -> None:
    logins = [event for event in lived(5, 91) if event["kind"] == "login"]
    assert {at(b) - at(a) for a, b in pairwise(logins)} == {3 * DAY}
    assert at(logins[-1]) < CONFIG.start_ms - 2 * DAY
    assert len(logins) == 30


@pytest.mark.parametrize(("days", "logins", "debits"), [(2, 0, 0), (7, 2, 4), (10, 3, 6)])
def test_a_short_life_has_exactly_so_much_in_it(days: int, logins: int, debits: int) -> None:
    events = lived(8, days)
    assert sum(event["kind"] == "login" for event in events) == logins
    assert sum(map(is_debit, events)) == debits


def test_the_books_go_on_from_the_life_before() -> None:
    config = SimulateConfig(accounts=400, days=1, stories_per_variant=1)
    books: dict[tuple[object, object], list[Event]] = defaultdict(list)
    truth: list[Plant] = []
    for event in simulate(config, 1, truth):
        if "ledger_sequence" in event:
            books[event["account_id"], event["currency"]].append(event)
    spoiled = {p.account_id for p in truth if p.rule == "balance_mismatch"}
    checked = 0
    for (owner, _), rows in books.items():
        if owner in spoiled or at(in_order(rows)[0]) >= config.start_ms:
            continue
        unique = {int(str(row["ledger_sequence"])): row for row in rows}
        numbers = sorted(unique)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        for before, after in pairwise(unique[number] for number in numbers):
            assert before["balance_after"] == after["balance_before"]
        checked += 1
    assert checked > 30


def plots() -> set[str]:
    """The public functions of the simulator that take a story."""
    found = walk_packages(package.__path__, "worker.simulate.")
    modules = [import_module(each.name) for each in found]
    return {
        name
        for module in modules
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if value.__module__ == module.__name__
        and not name.startswith("_")
        and list(inspect.signature(value).parameters) == ["story"]
    }


def test_every_teller_is_in_the_table_once() -> None:
    names = [variant.name for variant in STORIES]
    assert len(names) == len(set(names))
    assert set(names) == plots()
    assert {*ANOMALIES, *INNOCENTS} == set(STORIES)


def test_a_story_that_begins_early_has_a_life_to_begin_in() -> None:
    for variant in STORIES:
        assert variant.begins_early == 0 or variant.begins_early < variant.history_days


def test_thirty_stories_tell_of_every_rule_what_is_and_what_only_seems() -> None:
    variants = list(cast(SimulateConfig(accounts=60), 1).values())
    assert len(variants) == 30
    assert {variant.rule for variant in variants if variant in ANOMALIES} == RULES
    assert {variant.rule for variant in variants if variant in INNOCENTS} == RULES


def test_half_of_the_accounts_have_no_story_unless_stories_are_counted() -> None:
    assert len(cast(SimulateConfig(accounts=200), 1)) == 100
    assert len(cast(SimulateConfig(accounts=7), 1)) == len(RULES)
    assert len(cast(SimulateConfig(accounts=2_000), 1)) == 2 * len(STORIES)
    assert len(cast(SimulateConfig(accounts=40, stories_per_variant=1), 1)) == 40


def test_nothing_of_a_story_is_planted_before_or_after_the_simulation_ends() -> None:
    config = SimulateConfig(accounts=400, days=1, stories_per_variant=1)
    truth: list[Plant] = []
    list(simulate(config, 2, truth))
    assert {plant.variant for plant in truth} == {variant.name for variant in STORIES}
    for plant in truth:
        assert plant.at < config.end_ms - 30 * MINUTE
