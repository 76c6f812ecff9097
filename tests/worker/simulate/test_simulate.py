"""The simulator: believable, repeatable, and innocent where nothing is planted.

Everything is checked from the events alone; what is planted has tests of its own.
"""

import gzip
import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from pydantic import BaseModel
from typer.testing import CliRunner

from schemas.balance import Balance
from schemas.login import Login
from schemas.time import parse_time
from schemas.transaction import Transaction
from tests.support.events.simulated_books import (
    DAY,
    DEBITS,
    MINUTE,
    Event,
    SimulatedBooks,
    at,
    cost,
    drift,
    minor,
)
from tests.support.events.theft_oracle import judged_payments, kilometres
from worker.cli import pace
from worker.cli.simulate import simulate as command
from worker.errors import UsageError
from worker.logs.sqlite.log import wall_clock
from worker.run.open_log import open_log
from worker.simulate import SimulateConfig

BACKGROUND = SimulateConfig(accounts=150, days=14, stories_per_variant=0)
TOPICS = {"wallet.transactions", "wallet.logins", "wallet.balances"}


@pytest.fixture(scope="module", params=(1, 2))
def run(request: pytest.FixtureRequest) -> SimulatedBooks:
    """Two weeks without any story."""
    return SimulatedBooks(BACKGROUND, request.param)


def test_equal_seeds_give_equal_bytes_and_other_seeds_others() -> None:
    config = SimulateConfig(accounts=20, days=1)
    encode = msgspec.json.encode
    first, again, other = (SimulatedBooks(config, seed) for seed in (5, 5, 6))
    assert encode(first.arrived) == encode(again.arrived) != encode(other.arrived)
    assert first.truth == again.truth != other.truth


def test_more_accounts_change_nothing_about_those_there_were() -> None:
    few, more = (
        SimulatedBooks(SimulateConfig(accounts=accounts, days=2, stories_per_variant=0), 1)
        for accounts in (10, 25)
    )
    kept = [event for event in more.arrived if str(event.get("account_id", "")) < "acc-000010"]
    assert kept == few.arrived


def test_every_line_is_a_valid_record(run: SimulatedBooks) -> None:
    models: dict[str, type[BaseModel]] = {
        "transaction": Transaction,
        "login": Login,
        "balance": Balance,
    }
    for event in run.events:
        models[str(event["kind"])].model_validate_json(msgspec.json.encode(event))
    assert {event["kind"] for event in run.events} == set(models)


def test_every_amount_has_no_more_decimals_than_its_currency(run: SimulatedBooks) -> None:
    names = ("amount", "fee", "balance_before", "balance_after", "available_balance", "balance")
    money = [event for event in run.events if "currency" in event]
    assert {event["currency"] for event in money} == {"EUR", "USD", "JPY", "BHD"}
    for event in money:
        for name in names:
            assert minor(event, name) >= 0


def test_all_books_add_up_row_by_row_and_chain(run: SimulatedBooks) -> None:
    numbered = 0
    books = run.books
    for rows in books.values():
        assert not [row for row in rows if drift(row)]
        for before, row in pairwise(rows):
            assert before["balance_after"] == row["balance_before"]
            if "ledger_sequence" in row:
                step = int(str(row["ledger_sequence"])) - int(str(before["ledger_sequence"]))
                assert step == 1
        numbered += "ledger_sequence" in rows[0]
        assert len({"ledger_sequence" in row for row in rows}) == 1
    assert 0.15 < 1 - numbered / len(books) < 0.4


def test_some_books_without_numbers_have_rows_of_one_millisecond(run: SimulatedBooks) -> None:
    together = 0
    for rows in run.books.values():
        if "ledger_sequence" not in rows[0]:
            together += sum(at(a) == at(b) for a, b in pairwise(rows))
    assert together > 20


def test_every_completed_row_tells_its_balances_and_every_debit_what_was_available(
    run: SimulatedBooks,
) -> None:
    for event in run.events:
        if event["kind"] != "transaction":
            continue
        if event["status"] in ("completed", "reversed"):
            assert event["balance_kind"] == "posted"
        if event["type"] in DEBITS:
            assert "available_balance" in event
        if event["status"] == "completed" and event["type"] in DEBITS:
            assert minor(event, "available_balance") >= cost(event)


def test_reported_balances_are_those_of_the_ledger(run: SimulatedBooks) -> None:
    checked = 0
    books = run.books
    for report in (event for event in run.events if event["kind"] == "balance"):
        as_of = parse_time(str(report["as_of"]))
        rows = books[str(report["account_id"]), str(report["currency"])]
        booked = [row for row in rows if at(row) <= as_of]
        if booked:
            assert report["balance"] == booked[-1]["balance_after"]
            checked += 1
    assert checked > 1_000


def test_what_was_held_is_booked_in_whole_or_in_part_or_given_back(run: SimulatedBooks) -> None:
    rows: dict[object, list[Event]] = defaultdict(list)
    for event in run.events:
        if event["kind"] == "transaction":
            rows[event["transaction_id"]].append(event)
    pending = [held for held in rows.values() if held[0]["status"] == "pending" and len(held) > 1]
    ends = {str(held[1]["status"]) for held in pending}
    assert ends >= {"completed", "cancelled", "expired"}
    shares = [minor(held[1], "amount") / minor(held[0], "amount") for held in pending]
    assert max(shares) == 1
    assert 0.08 < sum(share < 1 for share in shares) / len(shares) < 0.25


def test_traffic_has_what_a_wallet_has(run: SimulatedBooks) -> None:
    rows = [event for event in run.events if event["kind"] == "transaction"]
    assert {event["type"] for event in rows} == DEBITS | {
        "topup",
        "transfer_in",
        "refund",
        "reversal",
    }
    assert {event["status"] for event in rows} == {
        "completed",
        "pending",
        "cancelled",
        "expired",
        "failed",
        "reversed",
    }
    assert {event["funding"] for event in rows} == {"balance", "card", "bank", "mixed"}
    assert {event.get("fee_mode") for event in rows} == {"in_row", "separate", None}
    assert {event.get("initiator") for event in rows} == {"customer", "merchant", "platform"}
    assert len({event["provider"] for event in rows}) == 4
    assert {"vpn", "relay", "mobile", "residential"} <= {event.get("network") for event in rows}


def test_owners_stay_signed_in_for_days(run: SimulatedBooks) -> None:
    used: dict[object, list[int]] = defaultdict(list)
    for event in run.events:
        if "session_id" in event:
            used[event["session_id"]].append(at(event))
    lasting = [max(times) - min(times) for times in used.values()]
    assert sum(span > 7 * DAY for span in lasting) > len(lasting) / 5


def test_every_device_is_known_before_anything_counts_as_new(run: SimulatedBooks) -> None:
    for events in run.by_account.values():
        seen: dict[object, int] = {}
        for event in events:
            seen.setdefault(event.get("device_id"), at(event))
        assert max(seen.values()) - at(events[0]) < 4 * DAY


def test_owners_pay_more_in_the_evening_and_at_other_hours_on_weekends(run: SimulatedBooks) -> None:
    hours: dict[bool, list[int]] = {False: [0] * 24, True: [0] * 24}
    for account, events in run.by_account.items():
        home = next((e["country"] for e in events if e["kind"] == "login"), None)
        for event in events:
            if (
                home == "DE"
                and event.get("initiator") == "customer"
                and account not in run.accounts_with_stories
            ):
                day, hour = divmod(at(event) // 3_600_000 + 1, 24)
                hours[(day + 3) % 7 >= 5][hour] += 1
    working, weekend = hours[False], hours[True]
    assert sum(working[17:21]) > 3 * sum(working[0:6])
    assert sum(working[7:9]) / sum(working) > 1.5 * sum(weekend[7:9]) / sum(weekend)


def test_travellers_use_their_phones_abroad_and_never_outrun_a_flight(run: SimulatedBooks) -> None:
    abroad = 0
    for events in run.by_account.values():
        begun = {str(e.get("transaction_id", e["event_id"])): e for e in reversed(events)}
        placed = [event for event in reversed(begun.values()) if "latitude" in event]
        placed.sort(key=at)
        for before, after in pairwise(placed):
            if before["country"] == after["country"]:
                continue
            assert after.get("device_id") in {event.get("device_id") for event in events[:200]}
            hours = (at(after) - at(before)) / 3_600_000
            assert hours > 0
            assert kilometres(before, after) / hours < 900
            abroad += 1
    assert abroad > 10


def test_no_payment_of_the_background_looks_like_a_stranger(run: SimulatedBooks) -> None:
    judged = 0
    for events in run.by_account.values():
        for _, who, money in judged_payments(events):
            assert who < 50
            assert not (who and money) or who + money < 50
            judged += 1
    assert judged > 10_000


def test_no_owner_of_the_background_is_shut_out_or_locked(run: SimulatedBooks) -> None:
    for account in run.by_account:
        logins = run.of_account(account, "login")
        assert {event["action"] for event in logins} <= {"login", "logout"}
        failures = [at(event) for event in logins if event["outcome"] == "failure"]
        for first, fifth in zip(failures, failures[4:], strict=False):
            assert fifth - first > 10 * MINUTE


def test_no_failure_of_the_background_contradicts_the_balance(run: SimulatedBooks) -> None:
    failed = [event for event in run.events if event.get("status") == "failed"]
    limits = {"61", "card_velocity_exceeded", "AM02"}
    assert len(failed) > 500
    for event in failed:
        short = minor(event, "available_balance") < cost(event)
        assert short or event["failure_code"] in limits


def test_arrival_is_disordered_within_the_lateness() -> None:
    config = SimulateConfig(accounts=300, days=1, stragglers_per_10_000=0, stories_per_variant=0)
    newest, late_at_most, behind = 0, 0, 0
    seen = set()
    for event in SimulatedBooks(config, 1).arrived:
        if event.get("event_id") in seen or event["kind"] == "heartbeat":
            continue
        seen.add(event["event_id"])
        behind += at(event) < newest
        late_at_most = max(late_at_most, newest - at(event))
        newest = max(newest, at(event))
    assert behind > len(seen) // 50
    assert 1_000 < late_at_most < 5_000


def test_stragglers_are_numbered_entries_or_logouts_of_accounts_without_a_story() -> None:
    run = SimulatedBooks(SimulateConfig(accounts=600, days=2, stragglers_per_10_000=3_000), 1)
    newest = 0
    seen = set()
    late: list[Event] = []
    for event in run.arrived:
        if event["kind"] != "heartbeat" and event["event_id"] not in seen:
            if newest - at(event) >= 5_000:
                late.append(event)
                assert newest - at(event) <= 40_000
            seen.add(event["event_id"])
        newest = max(newest, at(event))
    assert len(late) > 20
    assert not run.accounts_with_stories & {str(event["account_id"]) for event in late}
    for event in late:
        if event["kind"] == "transaction":
            assert (event["status"], "ledger_sequence" in event) == ("completed", True)
        else:
            assert event["action"] == "logout"
        reports = run.of_account(str(event["account_id"]), "balance")
        if event["kind"] == "transaction":
            assert not any(2_000 < at(r) - at(event) < 2 * MINUTE for r in reports)


def test_redeliveries_are_the_same_bytes(run: SimulatedBooks) -> None:
    lines: dict[object, list[bytes]] = defaultdict(list)
    for event in run.arrived:
        if event["kind"] != "heartbeat":
            lines[event["event_id"]].append(msgspec.json.encode(event))
    twice = [copies for copies in lines.values() if len(copies) > 1]
    assert all(len(set(copies)) == 1 for copies in twice)
    assert len(lines) // 33 < len(twice) < len(lines) // 14


def test_no_event_comes_after_a_heartbeat_that_says_all_before_has_come() -> None:
    run = SimulatedBooks(SimulateConfig(accounts=200, days=2, stragglers_per_10_000=0), 1)
    said = 0
    heartbeats = set()
    seen = set()
    for event in run.arrived:
        if event["kind"] == "heartbeat":
            said = at(event)
            heartbeats.add(event["topic"])
        elif event["event_id"] not in seen:
            assert at(event) >= said
            seen.add(event["event_id"])
    assert heartbeats == TOPICS


def test_most_of_the_default_traffic_is_not_planted() -> None:
    run = SimulatedBooks(SimulateConfig(), 1)
    planted = {event_id for plant in run.truth for event_id in plant.event_ids}
    assert len(planted) * 10 < len(run.by_id)


def test_a_tiny_world_tells_anomalies_of_several_rules_first() -> None:
    run = SimulatedBooks(SimulateConfig(accounts=5, days=1), 1)
    assert {
        plant.account_id for plant in run.truth if plant.expect == "alert"
    } == run.accounts_with_stories
    assert len({plant.rule for plant in run.truth}) >= 4


@pytest.mark.parametrize(
    ("option", "value"),
    [("accounts", 0), ("days", 0), ("lateness_ms", 0), ("redelivered_percent", 101)],
)
def test_an_option_out_of_range_is_named(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{option} must be from"):
        SimulateConfig(**{option: value})


APP = typer.Typer()
APP.command()(command)
SMALL = ["--accounts", "20", "--days", "1"]


def test_the_command_writes_events_and_truth(tmp_path: Path) -> None:
    events, truth = tmp_path / "events.ndjson", tmp_path / "truth.ndjson"
    result = CliRunner().invoke(APP, [*SMALL, "--output", str(events), "--truth", str(truth)])
    assert result.exit_code == 0
    assert "must alert" in result.stderr
    assert result.stdout == ""
    run = SimulatedBooks(SimulateConfig(accounts=20, days=1), 1)
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


def test_a_rate_changes_when_lines_are_written_but_not_which(tmp_path: Path) -> None:
    start = ["--start", "2026-02-01T00:00:00Z"]
    at_once = CliRunner().invoke(APP, [*SMALL, *start])
    paced = CliRunner().invoke(APP, [*SMALL, *start, "--rate", "1000000"])
    assert paced.stdout == at_once.stdout != ""


def test_a_stream_into_a_log_appends_every_event_and_none_of_the_future(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'wallet.db'}"
    result = CliRunner().invoke(APP, [*SMALL, "--rate", "1000000", "--log", url, "--json"])
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    log = open_log(url)
    appended = 0
    for topic in TOPICS:
        for partition in range(log.partitions(topic)):
            for record in log.read(topic, partition, 0, 1_000_000):
                event = json.loads(record.value or b"")
                appended += event["kind"] != "heartbeat"
                assert at(event) <= wall_clock()
    log.close()
    assert appended == sum(n for kind, n in printed["events"].items() if kind != "heartbeat") > 0
    assert printed["stopped"] is False


def test_lines_are_due_at_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each pause as many lines are passed on as its time allows."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda s: now.__setitem__(0, now[0] + s))
    lines = iter([b"x"] * 501)
    when = [(now[0], len(batch)) for batch in pace.paced(lines, 100)]
    assert sum(count for _, count in when) == 501
    assert now[0] == pytest.approx(5, abs=0.1)
    passed = 0
    for moment, count in when:
        passed += count
        assert passed <= moment * 100 + 1


def test_control_c_ends_the_stream_and_counts_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    url, truth = f"sqlite:///{tmp_path / 'w.db'}", tmp_path / "truth.ndjson"
    result = CliRunner().invoke(APP, ["--rate", "1", "--log", url, "--truth", str(truth)])
    assert result.exit_code == 0
    assert result.stderr.startswith("Stopped. 1 events")
    assert truth.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--start", "yesterday"], "--start is not RFC 3339"),
        (["--accounts", "0"], "--accounts must be from 1"),
        (["--days", "0"], "--days must be from 1"),
        (["--output", "no/such/place"], "Cannot write no/such/place: No such file"),
        (["--rate", "0"], "--rate must be from 1 to 1,000,000 events per second."),
        (["--rate", "2000000"], "--rate must be from 1"),
        (["--log", "sqlite:///w.db", "--output", "x"], "--log and --output exclude each other"),
        (["--config", "w.toml"], "--config is about the log: it needs --log."),
    ],
)
def test_a_wrong_argument_is_a_usage_error(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(APP, arguments)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).startswith(sentence)
