"""Files that pass over years between two events, as `replay` and a worker read them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from schemas.time import format_time
from tests.support.commands import walletwatch
from tests.support.events.traffic import HOUR, START

YEAR = 365 * 24 * HOUR
WEEK = 7 * 24 * HOUR
GAPS = (WEEK - 1, WEEK, 3 * YEAR)


def mismatch(account: str, at: int) -> dict[str, Any]:
    """Return a payment of 40.00 that took 50.00."""
    return {
        "kind": "transaction",
        "event_id": f"{account}-{at}",
        "account_id": account,
        "transaction_id": f"t-{at}",
        "type": "payment",
        "status": "completed",
        "amount": "40.00",
        "currency": "EUR",
        "balance_before": "100.00",
        "balance_after": "50.00",
        "balance_kind": "posted",
        "occurred_at": format_time(START + at),
    }


def write(path: Path, *events: dict[str, Any]) -> None:
    """Write the events, a line each."""
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


def records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("mirrored", [False, True])
def test_no_alert_expires_in_a_replay(gap: int, mirrored: bool, tmp_path: Path) -> None:
    """Whatever comes after it, of its own account or of another, in whatever order in the file."""
    events = [mismatch("a", 0), mismatch("b", gap), mismatch("a", 2 * gap)]
    write(tmp_path / "events", *(reversed(events) if mirrored else events))
    out = tmp_path / "out"
    done = walletwatch("replay", tmp_path / "events", "--out", out)
    assert done.returncode == 0, done.stderr
    alerts = records(out / "alerts.ndjson")
    kinds = Counter((alert["account_id"], alert["kind"]) for alert in alerts)
    assert kinds == {("a", "raised"): 2, ("b", "raised"): 1}
    last = {each["incident_id"]: each["status"] for each in records(out / "incidents.ndjson")}
    assert set(last.values()) == {"open"}
    newest = alerts[-1]["alert_id"]
    explained = walletwatch("explain", newest, "--from", tmp_path / "events")
    assert (explained.returncode, newest[:6] in explained.stdout) == (0, True), explained.stderr


@pytest.mark.parametrize(("gap", "kinds"), [(WEEK - 2, 0), (WEEK + 1, 1)])
def test_alerts_of_a_log_expire_after_a_week(gap: int, kinds: int, tmp_path: Path) -> None:
    """In a log that goes on an alert that nothing explains is not kept for ever."""
    write(tmp_path / "events", mismatch("a", 0), mismatch("b", gap))
    log = f"sqlite:///{tmp_path}/log"
    walletwatch("ingest", tmp_path / "events", "--log", log, "--end")
    walletwatch("run", "--log", log, "--until-ended")
    done = walletwatch("tail", "wallet.alerts", "--from-start", "--log", log, "--json")
    found = [json.loads(line)["value"]["kind"] for line in done.stdout.splitlines()]
    assert (found.count("raised"), found.count("expired")) == (2, kinds), done.stderr
