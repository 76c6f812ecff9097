"""An account with more alerts than may be open, from events in a file to what explains them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from schemas.time import format_time
from schemas.topics import ALERTS, INCIDENTS
from tests.support.events.traffic import START
from tests.support.run_comparison import documents
from worker.cli.app import app
from worker.run.open_log import open_log

URL = "sqlite:///w.db"
COUNT = 112


def failure(number: int) -> dict[str, Any]:
    """Return a payment that failed for a technical reason, though the money was there."""
    return {
        "kind": "transaction",
        "event_id": f"e{number}",
        "transaction_id": f"t{number}",
        "account_id": "merchant",
        "type": "payment",
        "status": "failed",
        "failure_code": "timeout",
        "amount": "12.00",
        "currency": "EUR",
        "available_balance": "500.00",
        "provider": "acme",
        "occurred_at": format_time(START + number * 1_000),
    }


def call(*arguments: str) -> str:
    """Run a command that succeeds; return what it prints."""
    result = CliRunner().invoke(app, [*arguments, "--log", URL])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_is_counted_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred alerts, one overflow alert, and an incident of its own, on a real log."""
    monkeypatch.chdir(tmp_path)
    lines = [msgspec.json.encode(failure(number)) + b"\n" for number in range(COUNT)]
    Path("events.ndjson").write_bytes(b"".join(lines))
    call("ingest", "events.ndjson", "--end")
    call("run", "--until-ended")
    log = open_log(URL)
    alerts = [alert for _, alert in documents(log, ALERTS)]
    incidents = [each for _, each in documents(log, INCIDENTS) if each.get("truncated")]
    log.close()
    assert sum(each["kind"] == "raised" for each in alerts) == 100 + 1
    overflow = [each for each in alerts if "counted" in each]
    assert [each["counted"] for each in overflow] == [1]
    text = call("explain", overflow[0]["alert_id"])
    assert "What it counts\n  1 finding of rule failed_payment_sufficient_balance" in text
    assert text.rstrip().endswith("and the history of the account gives the same counts.")
    (incident,) = incidents
    assert "(added up: not exact)" in call("incidents", "show", incident["incident_id"])
