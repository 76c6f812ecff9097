"""Four files that a mapping alone turns into events, as their READMEs describe."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from schemas.topics import ALERTS, DEAD_LETTERS, LATE
from tests.support.run_comparison import documents
from worker.cli.convert import convert
from worker.config.load import load_settings
from worker.convert.load import load_mapping
from worker.run.replay import replay
from worker.run.runner import policy_of

EXAMPLES: Final = Path(__file__).parents[3] / "examples"
FILES: Final = {
    "bank-balances": "export.csv",
    "syslog": "auth.log",
    "counts-per-minute": "minutes.csv",
    "nested-webhook": "webhooks.ndjson",
}


@pytest.fixture
def converted(tmp_path: Path) -> Any:
    """Convert one example."""

    def of(example: str, as_json: bool = True) -> list[dict[str, Any]]:
        folder, out = EXAMPLES / example, tmp_path / "events.ndjson"
        source = str(folder / FILES[example])
        convert(source, folder / "mapping.toml", str(out), None, as_json)
        return [json.loads(line) for line in out.read_text("utf-8").splitlines()]

    return of


@pytest.mark.parametrize(
    ("example", "summary"),
    [
        (
            "bank-balances",
            {"rows": 8, "converted": 7, "skipped": 1, "repeated_local_times": 3, "transaction": 7},
        ),
        ("syslog", {"rows": 9, "converted": 7, "skipped": 2, "unmatched": 2, "login": 7}),
        ("counts-per-minute", {"rows": 5, "converted": 4, "skipped": 1, "login": 11}),
        ("nested-webhook", {"rows": 5, "converted": 4, "skipped": 1, "transaction": 5}),
    ],
)
def test_an_example_converts_as_its_readme_describes(
    converted: Any, capfd: pytest.CaptureFixture[str], example: str, summary: dict[str, int]
) -> None:
    """Without a reject, with ids that are unique."""
    events = converted(example)
    said = json.loads(capfd.readouterr().out)
    found = {**said, **said.pop("events")}
    for key in ("rows", "converted", "skipped", "rejected", "unmatched", "repeated_local_times"):
        assert found.pop(key) == summary.pop(key, 0), key
    assert found.pop("mended") == {}
    assert found == {"events": found["events"], "complete": True, **summary}
    assert len({(event["account_id"], event["event_id"]) for event in events}) == len(events)


@pytest.mark.parametrize("example", FILES)
def test_replay_takes_every_event(converted: Any, example: str) -> None:
    """None is a dead letter, none late."""
    events = converted(example)
    policy = policy_of(load_settings(None, {}).settings)
    lines = ((example, number, json.dumps(event).encode()) for number, event in enumerate(events))
    result = replay(lines, policy, partitions=1)
    assert result.events == len(events)
    for topic in (DEAD_LETTERS, LATE):
        assert [end for _, end in result.log.offsets(topic)] == [0]


def test_replay_finds_the_balance_that_does_not_follow(converted: Any) -> None:
    """One alert, of the 40.00 EUR of the README: the repeated hour makes none."""
    lines = (json.dumps(event).encode() for event in converted("bank-balances"))
    policy = policy_of(load_settings(None, {}).settings)
    result = replay((("bank", number, line) for number, line in enumerate(lines)), policy)
    alerts = [alert for _, alert in documents(result.log, ALERTS)]
    assert [(alert["rule"], alert["kind"]) for alert in alerts] == [("balance_mismatch", "raised")]
    assert abs(alerts[0]["details"]["drift_minor"]) == 4000


def test_the_bank_has_only_balances_after(converted: Any) -> None:
    """The order of the file gives the second hour its rows; one balance does not follow."""
    events = converted("bank-balances")
    assert [event["occurred_at"][11:16] for event in events] == [
        *("21:40", "00:10", "00:50", "01:05", "08:00", "07:30", "08:15")
    ]
    assert {event["account_id"] for event in events} == {"w-1001"}
    assert not any("balance_before" in event for event in events)
    balance, gaps = Decimal("1200.00"), {}
    for event in events:
        credit = event["type"] in ("topup", "interest")
        balance += Decimal(event["amount"]) if credit else -Decimal(event["amount"])
        gaps[event["event_id"]] = Decimal(event["balance_after"]) - balance
        balance = Decimal(event["balance_after"])
    assert {number: gap for number, gap in gaps.items() if gap} == {"7": Decimal("-40.00")}
    assert events[0]["counterparty_id"] == "SHOP-17"
    assert [event.get("external_reference") for event in events][-2:] == ["0047", None]


def test_the_syslog_goes_on_in_the_next_year(converted: Any) -> None:
    """Lines of another service are skipped; names become wallets."""
    events = converted("syslog")
    assert [event["occurred_at"][:4] for event in events] == ["2025"] * 4 + ["2026"] * 3
    assert [event["action"] for event in events] == [*["login"] * 4, "lock", "unlock", "login"]
    assert [event.get("reason") for event in events] == [
        *("bad_credentials", "bad_credentials", None, "otp_failed", None, None, None)
    ]
    assert [event["account_id"] for event in events].count("w-2002") == 1


def test_counts_are_spread_over_their_minute(converted: Any) -> None:
    """Each minute has as many as it counts."""
    events = converted("counts-per-minute")
    assert [event["occurred_at"][14:23] for event in events if event["outcome"] == "failure"] == [
        *("00:00.000", "00:20.000", "00:40.000"),
        *("01:00.000", "01:15.000", "01:30.000", "01:45.000"),
        "03:00.000",
    ]
    assert [event["occurred_at"][14:19] for event in events if event["outcome"] == "success"] == [
        *("02:00", "03:00", "03:30")
    ]
    assert events[0]["event_id"] == "2026-03-02T10:00-failed-1"


def test_webhooks_give_a_charge_or_its_refunds(converted: Any) -> None:
    """With the exponents of the gateway, and the wallet out of a list of keys and values."""
    events = converted("nested-webhook")
    assert [(event["event_id"], event["account_id"], event["amount"]) for event in events] == [
        ("evt_1", "w-4001", "2000"),
        ("evt_2", "w-4002", "12.50"),
        ("re_1-succeeded", "w-4001", "500"),
        ("re_2-pending", "w-4001", "300"),
        ("re_4-succeeded", "w-4001", "200"),
    ]
    assert [event.get("external_reference") for event in events][:2] == ["o-1", None]
    assert [event.get("failure_code_system") for event in events][:2] == [None, "stripe"]


def test_the_summary_says_what_is_to_be_known(
    converted: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Lines that match no pattern, and times that come twice."""
    converted("syslog", as_json=False)
    said = (
        "9 rows: 7 converted, 2 skipped, 0 rejected (2 match no pattern of line); events: 7 login"
    )
    assert capfd.readouterr().err == f"{said}\n"
    converted("bank-balances", as_json=False)
    assert capfd.readouterr().err.startswith(
        "3 rows have a local time that comes twice when the clocks are put back;"
        ' it was read by fold = "file_order"\n'
    )


@pytest.mark.parametrize("example", FILES)
def test_no_id_of_an_example_names_its_account(converted: Any, example: str) -> None:
    """Incidents show it: it is made of other columns than those of the account."""
    for event in converted(example):
        assert event["account_id"] not in event["event_id"]
    mapping = load_mapping(EXAMPLES / example / "mapping.toml")
    for event in mapping.event:
        account, own = event.fields["account_id"], event.fields["event_id"]
        assert set(account.origins(frozenset())).isdisjoint(own.origins(frozenset()))
