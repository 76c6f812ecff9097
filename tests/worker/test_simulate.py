"""The simulator: believable, repeatable, and right about what it plants.

Everything is checked from the events alone, by arithmetic written here.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import typer
from pydantic import BaseModel
from typer.testing import CliRunner

from schemas.balance import Balance
from schemas.login import Login
from schemas.money import ISO_4217, to_minor
from schemas.time import parse_time
from schemas.transaction import Transaction
from worker.cli.simulate import simulate as command
from worker.errors import UsageError
from worker.simulate import Planted, SimulateConfig, Truth, simulate

Event = dict[str, object]
SEEDS = (1, 2, 3)
CONFIG = SimulateConfig(accounts=160, days=2, stories_per_variant=10)
DEBITS = {"payment", "transfer_out", "withdrawal", "fee"}
SERVICE_REASONS = {"service_error", "otp_not_delivered", "timeout", "network"}
CODES = {
    "insufficient_funds": {"51", "insufficient_funds", "AM04"},
    "technical": {"91", "processing_error", "AB05"},
}
MINUTE = 60_000


class Run:
    """One simulation, with its events once each in the order of time."""

    def __init__(self, config: SimulateConfig, seed: int) -> None:
        self.truth: Truth = []
        self.arrived = list(simulate(config, seed, self.truth))
        self.by_id = {str(event["event_id"]): event for event in self.arrived}
        self.events = sorted(self.by_id.values(), key=at)

    def planted(self, *variants: str) -> list[Planted]:
        found = [plant for plant in self.truth if plant.variant in variants]
        assert {plant.variant for plant in found} == set(variants)
        return found

    def anchors(self, variant: str) -> set[str]:
        return {plant.event_ids[-1] for plant in self.planted(variant)}

    def anchor(self, plant: Planted) -> Event:
        return self.by_id[plant.event_ids[-1]]

    def of_account(self, account_id: str, kind: str) -> list[Event]:
        return [e for e in self.events if e["account_id"] == account_id and e["kind"] == kind]

    def balance_at(self, account_id: object, currency: object, moment: int) -> object:
        """What the last row booked by then says; None when there is none."""
        rows = [
            event
            for event in self.of_account(str(account_id), "transaction")
            if event["currency"] == currency and "ledger_sequence" in event and at(event) <= moment
        ]
        last = max(rows, key=lambda row: int(str(row["ledger_sequence"])), default={})
        return last.get("balance_after")


def at(event: Event) -> int:
    return parse_time(str(event["occurred_at"]))


def minor(event: Event, name: str) -> int:
    return to_minor(str(event.get(name, "0")), ISO_4217[str(event["currency"])])


def effect(event: Event) -> int:
    """What a completed row must move of the balance, from its other fields."""
    if event["type"] not in DEBITS:
        return minor(event, "amount")
    if event["funding"] != "balance":
        return 0
    fee = minor(event, "fee") if event.get("fee_mode") == "in_row" else 0
    return -minor(event, "amount") - fee


def wrong_rows(events: list[Event]) -> dict[str, list[str]]:
    """Return by kind of fault the event_ids of the rows that do not add up."""
    wrong: dict[str, list[str]] = {"row": [], "chain": [], "gap": []}
    books: dict[tuple[object, object], list[Event]] = defaultdict(list)
    for event in events:
        if "ledger_sequence" in event:
            books[event["account_id"], event["currency"]].append(event)
    for rows in books.values():
        rows.sort(key=lambda event: int(str(event["ledger_sequence"])))
        for before, row in zip([None, *rows], rows, strict=False):
            if minor(row, "balance_before") + effect(row) != minor(row, "balance_after"):
                wrong["row"].append(str(row["event_id"]))
            if before is None:
                continue
            step = int(str(row["ledger_sequence"])) - int(str(before["ledger_sequence"]))
            if step != 1:
                wrong["gap"].append(str(row["event_id"]))
            elif before["balance_after"] != row["balance_before"]:
                wrong["chain"].append(str(row["event_id"]))
    return wrong


@pytest.fixture(scope="module")
def crowd() -> Run:
    """So many stories that visits would run into some of them, were they not kept away."""
    return Run(SimulateConfig(accounts=960, days=1, stories_per_variant=60), 1)


@pytest.fixture(scope="module", params=SEEDS)
def run(request: pytest.FixtureRequest) -> Run:
    return Run(CONFIG, request.param)


def test_equal_seeds_give_equal_bytes_and_other_seeds_others() -> None:
    config = SimulateConfig(accounts=20, days=1)
    encode = msgspec.json.encode
    first, again, other = (Run(config, seed) for seed in (5, 5, 6))
    assert encode(first.arrived) == encode(again.arrived) != encode(other.arrived)
    assert first.truth == again.truth != other.truth


def test_every_line_is_a_valid_record(run: Run) -> None:
    models: dict[str, type[BaseModel]] = {
        "transaction": Transaction,
        "login": Login,
        "balance": Balance,
    }
    for event in run.arrived:
        models[str(event["kind"])].model_validate_json(msgspec.json.encode(event))
    assert {event["kind"] for event in run.arrived} == set(models)


def test_every_amount_has_no_more_decimals_than_its_currency(run: Run) -> None:
    names = ("amount", "fee", "balance_before", "balance_after", "available_balance", "balance")
    money = [event for event in run.events if "currency" in event]
    assert {event["currency"] for event in money} == {"EUR", "USD", "JPY", "BHD"}
    for event in money:
        for name in names:
            assert minor(event, name) >= 0


def test_rows_and_sequences_are_right_except_where_planted(run: Run) -> None:
    wrong = wrong_rows(run.events)
    assert sorted(wrong["row"]) == sorted(run.anchors("row"))
    assert sorted(wrong["gap"]) == sorted(run.anchors("missing_entry"))


def test_books_chain_exactly_except_where_planted(run: Run) -> None:
    spoiled = run.anchors("row")
    wrong = wrong_rows([event for event in run.events if event["event_id"] not in spoiled])
    assert wrong["row"] == []
    assert sorted(wrong["chain"]) == sorted(run.anchors("chain"))


def test_the_rows_around_a_wrong_row_show_which_figure_is_wrong(run: Run) -> None:
    """Of before, after and amount exactly one contradicts the neighbours."""
    checked = 0
    for plant in run.planted("row"):
        wrong = run.anchor(plant)
        rows = {
            event["ledger_sequence"]: event
            for event in run.of_account(plant.account_id, "transaction")
            if event["currency"] == wrong["currency"] and "ledger_sequence" in event
        }
        sequence = int(str(wrong["ledger_sequence"]))
        if sequence - 1 not in rows or sequence + 1 not in rows:
            continue
        start = minor(rows[sequence - 1], "balance_after")
        end = minor(rows[sequence + 1], "balance_before")
        right = [
            start == minor(wrong, "balance_before"),
            end == minor(wrong, "balance_after"),
            end - start == effect(wrong),
        ]
        assert sum(right) == 2
        checked += 1
    assert checked


def test_a_wrong_row_is_off_by_one_minor_unit(run: Run) -> None:
    for plant in run.planted("row"):
        row = run.anchor(plant)
        drift = minor(row, "balance_before") + effect(row) - minor(row, "balance_after")
        assert abs(drift) == 1
        assert plant.severity == ("error" if row["currency"] == "JPY" else "warning")


def test_every_booked_row_says_its_balances_and_debits_what_was_available(run: Run) -> None:
    for event in run.events:
        if event["kind"] != "transaction":
            continue
        booked = event["status"] == "completed"
        assert booked == ("ledger_sequence" in event) == ("balance_before" in event)
        assert event.get("balance_kind") == ("posted" if booked else None)
        if event["type"] in DEBITS:
            assert "available_balance" in event
        if booked and event["type"] in DEBITS and event["funding"] == "balance":
            assert minor(event, "available_balance") >= minor(event, "amount") - 1


def test_reported_balances_are_those_of_the_ledger(run: Run) -> None:
    checked = 0
    spoiled = {plant.account_id for plant in run.planted("row")}
    for report in (event for event in run.events if event["kind"] == "balance"):
        if report["account_id"] in spoiled:
            continue
        as_of = parse_time(str(report["as_of"]))
        booked = run.balance_at(report["account_id"], report["currency"], as_of)
        if booked is not None:
            assert report["balance"] == booked
            checked += 1
    assert checked > 100


def test_arrival_is_disordered_within_the_lateness() -> None:
    run = Run(SimulateConfig(accounts=300, days=1, stragglers_per_10_000=0), 1)
    newest, late_at_most = 0, 0
    behind = 0
    seen = set()
    for event in run.arrived:
        if event["event_id"] in seen:
            continue
        seen.add(event["event_id"])
        behind += at(event) < newest
        late_at_most = max(late_at_most, newest - at(event))
        newest = max(newest, at(event))
    assert behind > len(seen) // 20
    assert 1_000 < late_at_most < 5_000


def test_stragglers_come_after_the_lateness_and_only_from_accounts_without_a_story() -> None:
    run = Run(SimulateConfig(accounts=300, days=1, stragglers_per_10_000=100), 1)
    told = {plant.account_id for plant in run.truth}
    newest = 0
    seen = set()
    late = []
    for event in run.arrived:
        if event["event_id"] not in seen and newest - at(event) >= 5_000:
            late.append(event)
            assert newest - at(event) <= 40_000
        seen.add(event["event_id"])
        newest = max(newest, at(event))
    assert late
    assert not told & {str(event["account_id"]) for event in late}


def test_redeliveries_are_the_same_bytes(run: Run) -> None:
    lines: dict[object, list[bytes]] = defaultdict(list)
    for event in run.arrived:
        lines[event["event_id"]].append(msgspec.json.encode(event))
    twice = [copies for copies in lines.values() if len(copies) > 1]
    assert all(len(set(copies)) == 1 for copies in twice)
    assert len(lines) // 33 < len(twice) < len(lines) // 14


def test_a_contradicted_decline_had_the_money(run: Run) -> None:
    for plant in run.planted("contradicted"):
        event = run.anchor(plant)
        assert event["status"] == "failed"
        assert event["funding"] == "balance"
        assert event["initiator"] == "customer"
        assert event["failure_code"] in CODES["insufficient_funds"]
        needed = minor(event, "amount") + minor(event, "fee")
        assert minor(event, "available_balance") >= needed
        assert (plant.severity, plant.earliest_at) == ("error", at(event))


def test_only_the_planted_declines_contradict_the_balance(run: Run) -> None:
    found = {
        str(event["event_id"])
        for event in run.events
        if event.get("status") == "failed"
        and event["funding"] == "balance"
        and event["initiator"] == "customer"
        and event["failure_code"] in CODES["insufficient_funds"] | CODES["technical"]
        and minor(event, "available_balance") >= minor(event, "amount") + minor(event, "fee")
    }
    assert found == {
        plant.event_ids[-1]
        for plant in run.planted("contradicted", "technical_uncured", "technical_cured")
    }


def test_a_technical_failure_is_cured_by_a_retry_or_by_none(run: Run) -> None:
    for plant in run.planted("technical_uncured", "technical_cured"):
        failed = run.anchor(plant)
        assert failed["failure_code"] in CODES["technical"]
        cures = [
            at(event)
            for event in run.of_account(plant.account_id, "transaction")
            if event["status"] == "completed"
            and event.get("external_reference") == failed["external_reference"]
        ]
        if plant.variant == "technical_cured":
            assert cures == [plant.cured_at]
            assert cures[0] < at(failed) + 2 * MINUTE
            assert plant.severity == "info"
        else:
            assert cures == []
            assert plant.severity_at == at(failed) + 2 * MINUTE


def test_who_cannot_log_in_fails_five_times_and_has_no_success_after(crowd: Run) -> None:
    for plant in crowd.planted("bad_credentials", "service_failing"):
        failures = [crowd.by_id[event_id] for event_id in plant.event_ids]
        anchor = at(failures[-1])
        assert len(failures) == 5
        assert anchor - at(failures[0]) < 10 * MINUTE
        logins = crowd.of_account(plant.account_id, "login")
        since = [e for e in logins if at(failures[0]) <= at(e) <= anchor + 10 * MINUTE]
        assert all(event["outcome"] == "failure" for event in since)
        service = sum(event["reason"] in SERVICE_REASONS for event in failures)
        assert plant.severity == ("warning" if service * 2 >= len(failures) else "info")
        assert (plant.at, plant.earliest_at) == (anchor, anchor + 10 * MINUTE)


def test_only_the_planted_accounts_cannot_log_in(crowd: Run) -> None:
    logins: dict[object, list[Event]] = defaultdict(list)
    for event in crowd.events:
        if event["kind"] == "login" and event["action"] == "login":
            logins[event["account_id"]].append(event)
    found = {account for account, events in logins.items() if any(_shut_out(events))}
    assert found == {
        plant.account_id for plant in crowd.planted("bad_credentials", "service_failing")
    }


def _shut_out(logins: list[Event]) -> Iterator[bool]:
    failures = [at(event) for event in logins if event["outcome"] == "failure"]
    successes = [at(event) for event in logins if event["outcome"] == "success"]
    for first, fifth in zip(failures, failures[4:], strict=False):
        cured = any(fifth < success <= fifth + 10 * MINUTE for success in successes)
        yield fifth - first <= 10 * MINUTE and not cured


def _truly_insufficient(event: Event) -> bool:
    return minor(event, "available_balance") < minor(event, "amount") + minor(event, "fee")


LOOK_ALIKES: dict[str, Callable[[Event], bool]] = {
    "insufficient_then_retry": _truly_insufficient,
    "held_funds": _truly_insufficient,
    "limit": lambda event: event["failure_code"] in {"61", "card_velocity_exceeded", "AM02"},
    "fraud": lambda event: event["failure_code"] in {"59", "fraudulent", "FRAD"},
    "card_funded": lambda event: event["funding"] == "card",
    "merchant_initiated": lambda event: event["initiator"] == "merchant",
}


@pytest.mark.parametrize("variant", LOOK_ALIKES)
def test_innocent_declines_are_there_and_innocent(run: Run, variant: str) -> None:
    for plant in run.planted(variant):
        event = run.anchor(plant)
        assert plant.expect == "silent"
        assert event["status"] == "failed"
        assert LOOK_ALIKES[variant](event)
        if not _truly_insufficient(event):
            continue
        rows = run.of_account(plant.account_id, "transaction")
        retried = [e for e in rows if e.get("external_reference") == event["external_reference"]]
        assert len(retried) == (2 if variant == "insufficient_then_retry" else 1)


def test_held_funds_would_suffice_without_the_hold(run: Run) -> None:
    for plant in run.planted("held_funds"):
        event = run.anchor(plant)
        balance = run.balance_at(plant.account_id, event["currency"], at(event))
        exponent = ISO_4217[str(event["currency"])]
        assert to_minor(str(balance), exponent) >= minor(event, "amount")


def test_innocent_logins_get_in_or_are_too_few(crowd: Run) -> None:
    for plant in crowd.planted("typing_errors", "few_failures"):
        logins = crowd.of_account(plant.account_id, "login")
        after = [e for e in logins if plant.at < at(e) <= plant.at + 10 * MINUTE]
        got_in = any(event["outcome"] == "success" for event in after)
        assert got_in == (plant.variant == "typing_errors")
        assert len(plant.event_ids) == (5 if got_in else 4)


def test_traffic_has_what_a_wallet_has() -> None:
    run = Run(SimulateConfig(accounts=200, days=3), 1)
    rows = [event for event in run.events if event["kind"] == "transaction"]
    assert {event["type"] for event in rows} >= DEBITS | {"topup", "transfer_in", "refund"}
    assert {event["status"] for event in rows} == {"completed", "pending", "cancelled", "failed"}
    assert {event.get("fee_mode") for event in rows} == {"in_row", "separate", None}
    assert {event.get("initiator") for event in rows} == {"customer", "merchant", "platform"}
    assert len({event["provider"] for event in rows}) >= 3
    holds = {e["transaction_id"] for e in rows if e["status"] == "pending"}
    assert holds & {e["transaction_id"] for e in rows if e["status"] == "completed"}


def test_most_of_the_default_traffic_is_not_planted() -> None:
    run = Run(SimulateConfig(), 1)
    planted = {event_id for plant in run.truth for event_id in plant.event_ids}
    assert len(planted) * 10 < len(run.by_id)
    assert len({plant.account_id for plant in run.truth}) == len(run.truth) == 48


def test_a_tiny_world_tells_the_anomalies_first() -> None:
    run = Run(SimulateConfig(accounts=3, days=1), 1)
    assert {plant.rule for plant in run.truth} == {
        "failed_payment_sufficient_balance",
        "balance_mismatch",
        "cannot_log_in",
    }
    assert {plant.expect for plant in run.truth} == {"alert"}


@pytest.mark.parametrize(
    ("option", "value"),
    [("accounts", 0), ("days", 0), ("lateness_ms", 0), ("redelivered_percent", 101)],
)
def test_an_option_out_of_range_is_named(option: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{option} must be from"):
        SimulateConfig(**{option: value})


APP = typer.Typer()
APP.command()(command)


def test_the_command_writes_events_and_truth(tmp_path: Path) -> None:
    events, truth = tmp_path / "events.ndjson", tmp_path / "truth.ndjson"
    result = CliRunner().invoke(
        APP, ["--accounts", "20", "--days", "1", "--output", str(events), "--truth", str(truth)]
    )
    assert result.exit_code == 0
    assert "must alert" in result.stderr
    assert result.stdout == ""
    run = Run(SimulateConfig(accounts=20, days=1), 1)
    assert [json.loads(line) for line in events.read_text().splitlines()] == run.arrived
    plants = [json.loads(line) for line in truth.read_text().splitlines()]
    assert sorted(plant["event_ids"] for plant in plants) == sorted(
        list(plant.event_ids) for plant in run.truth
    )


def test_gz_compresses_and_equal_seeds_give_equal_files(tmp_path: Path) -> None:
    plain, first, again = (tmp_path / name for name in ("a.ndjson", "b.gz", "c.gz"))
    for path in (plain, first, again):
        CliRunner().invoke(APP, ["--accounts", "5", "--days", "1", "--output", str(path)])
    assert gzip.decompress(first.read_bytes()) == plain.read_bytes() != b""
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--start", "yesterday"], "--start is not RFC 3339"),
        (["--accounts", "0"], "--accounts must be from 1"),
        (["--days", "0"], "--days must be from 1"),
        (["--output", "no/such/place"], "Cannot write no/such/place: No such file"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(APP, arguments)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith(sentence)
