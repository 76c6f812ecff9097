"""rules diff: which alerts other thresholds add, remove, change or move, and what decides each."""

import gzip
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import Field
from typer.testing import CliRunner

from rules.alerts import Verdict
from rules.builders import balance, clock, login, txn
from rules.contract import Params, Rule, State
from rules.facts import Facts, quoted
from rules.failed_payment.examples import REFUSED, TIMEOUT
from schemas.base import Severity
from schemas.time import format_time, parse_time
from worker.cli.app import app
from worker.evaluate.compare import Decider, Difference, Found, Run, compare, pages_of
from worker.explain.lives import lives_of

run = CliRunner().invoke
A1 = "failed_payment_sufficient_balance"
A5 = "cannot_log_in"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with thresholds that change nothing."""
    monkeypatch.chdir(tmp_path)
    Path("a.toml").touch()


def write(events: Iterable[dict[str, Any]], name: str = "events.ndjson") -> None:
    """Write events to a file, and one a minute later, so that all refusals are judged."""
    events = list(events)
    latest = max(parse_time(event["occurred_at"]) for event in events)
    after = clock("23:59:59") | {"occurred_at": format_time(latest + 60_000)}
    events.append(after)
    Path(name).write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))


def differences(toml: str, a: str = "") -> list[dict[str, Any]]:
    """Return what B changes against A in events.ndjson, without ids and titles."""
    Path("a.toml").write_text(a)
    Path("b.toml").write_text(toml)
    ended = run(app, ["rules", "diff", "a.toml", "b.toml", "events.ndjson", "--json"])
    assert ended.exit_code == 0, ended.stderr
    found: list[dict[str, Any]] = json.loads(ended.stdout)["differences"]
    return found


def told(difference: dict[str, Any]) -> tuple[str, str | None, str | None, bool]:
    """Return (change, severity in A, severity in B, whether its facts show it)."""
    reached = [side and side["severity"] for side in (difference["a"], difference["b"])]
    return difference["change"], reached[0], reached[1], difference["from_facts"]


def decider(parameter: str, a: Any, b: Any, *fact: Any) -> dict[str, Any]:
    """Return a decider as JSON has it: what is not known is left out."""
    named = dict(zip(("fact", "value"), fact, strict=False))
    return {"parameter": parameter, "a": a, "b": b, **named}


def failed(**fields: Any) -> dict[str, Any]:
    """Return a payment of 60.00 that fails at 10:00."""
    return txn("t9", "10:00:00", "failed", "60.00", **fields)


# With the rules, through the command


def test_a_balance_that_is_too_old_for_b_is_removed() -> None:
    """With the parameter that decides alone, though others differ, and the fact it decides on."""
    write([balance("09:58:00", "100.00"), failed(**REFUSED)])
    toml = f"[rules.{A1}]\nmax_balance_age_ms = 119999\nhold_ttl_ms = 60000"
    (gone,) = differences(toml)
    assert told(gone) == ("removed", "error", None, True)
    at = 1_772_445_480_000
    expected = decider("max_balance_age_ms", 300_000, 119_999, "balance_at_ms", at)
    assert gone["decided_by"] == [expected]
    (come,) = differences("", toml)
    assert told(come) == ("added", None, "error", True)
    assert come["decided_by"] == [expected | {"a": 119_999, "b": 300_000}]
    assert come["b"] == gone["a"]


def test_a_longer_grace_lowers_the_severity() -> None:
    """A retry after five minutes cures the alert before it becomes a warning."""
    retry = txn("t10", "10:05:00", idempotency_key="k", amount="60.00")
    glitch = failed(idempotency_key="k", available_balance="100.00", **TIMEOUT)
    write([glitch, retry, clock("11:00:00")])
    longer = f"rules.{A1}.retry_grace_ms = 600000"
    (changed,) = differences(longer)
    assert told(changed) == ("changed", "warning", "info", True)
    until = 1_772_445_720_000
    expected = decider("retry_grace_ms", 120_000, 600_000, "no_retry_until_ms", until)
    assert changed["decided_by"] == [expected]
    (back,) = differences("", longer)
    assert told(back) == ("changed", "info", "warning", True)
    assert back["decided_by"] == [expected | {"a": 600_000, "b": 120_000}]


def test_what_the_facts_do_not_show_is_told_with_all_that_differs() -> None:
    """Whether another debit counts as concurrent is noticed, not judged: A1 quotes only that."""
    rival = txn("t1", "09:59:50", "pending", "1.00")
    write([balance("09:59:55", "100.00"), rival, failed(**REFUSED)])
    toml = f"[rules.{A1}]\nconcurrent_debit_ms = 20000\nretry_grace_ms = 60000"
    (changed,) = differences(toml)
    assert told(changed) == ("changed", "error", "info", False)
    expected = [
        decider("concurrent_debit_ms", 5000, 20_000),
        decider("retry_grace_ms", 120_000, 60_000),
    ]
    assert changed["decided_by"] == expected


def test_a_rule_that_b_switches_off_finds_nothing() -> None:
    """The mode has decided; an alert in shadow is none either."""
    write([failed(available_balance="60.00", **REFUSED)])
    for mode in ("off", "shadow"):
        (gone,) = differences(f"rules.{A1}.mode = '{mode}'")
        assert told(gone) == ("removed", "error", None, True)
        assert gone["decided_by"] == [decider("mode", "live", mode)]


def test_other_settings_decide_where_the_rules_are_the_same() -> None:
    """Such as those of the engine."""
    small = failed(available_balance="60.00", **REFUSED)
    big = failed(available_balance="60.00", **REFUSED, metadata={"x": "y" * 600})
    write([small | {"event_id": "other", "transaction_id": "t8"}, big])
    (gone,) = differences("engine.max_event_bytes = 500")
    assert told(gone) == ("removed", "error", None, False)
    assert gone["decided_by"] == [decider("engine.max_event_bytes", 262_144, 500)]


def struggle(times: Iterable[str]) -> list[dict[str, Any]]:
    """Return failed logins, then nothing for an hour."""
    return [*(login(time, "failure") for time in times), clock("12:00:00")]


def test_a_threshold_that_moves_the_anchor_moves_the_alert() -> None:
    """It has another id and another time, and is the same all the same."""
    write(struggle(f"10:00:0{n}" for n in range(7)))
    (moved,) = differences(f"rules.{A5}.threshold = 6")
    assert moved["change"] == "moved"
    assert moved["a"]["alert_id"] != moved["b"]["alert_id"]
    assert moved["decided_by"][0]["parameter"] == "threshold"
    write(struggle(f"10:00:0{n}" for n in range(5)))
    (gone,) = differences(f"rules.{A5}.threshold = 6")
    assert told(gone)[0] == "removed"
    assert gone["decided_by"] == [decider("threshold", 5, 6, "failures", 5)]


def test_equal_thresholds_make_no_difference() -> None:
    """And people are told so; --json is one object."""
    write([failed(available_balance="60.00", **REFUSED)])
    assert differences("") == []
    ended = run(app, ["rules", "diff", "a.toml", "b.toml", "events.ndjson"])
    assert ended.stdout.startswith("Alerts: 1 with a.toml, 1 with b.toml.\nNo difference.\n")
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["2026-03-02", "1", "1"] in lines


def test_people_get_counts_and_a_line_for_each() -> None:
    """With parameter, both values, and the fact."""
    write([balance("09:58:00", "100.00"), failed(**REFUSED)])
    Path("b.toml").write_text(f"rules.{A1}.max_balance_age_ms = 1000")
    ended = run(app, ["rules", "diff", "a.toml", "b.toml", "events.ndjson"])
    assert "Alerts: 1 with a.toml, 0 with b.toml.\n" in ended.stdout
    assert "max_balance_age_ms 300000 -> 1000 (balance_at_ms 1772445480000)" in ended.stdout
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert [A1, "1"] in lines
    assert ["2026-03-02", "1", "0"] in lines


def test_more_pages_a_day_than_allowed_fail() -> None:
    """Exit code 1 with the worst day; only B counts."""
    days = (2, 3, 3, 3, 4, 4)
    bad = [
        failed(available_balance="60.00", **REFUSED)
        | {"event_id": f"e{n}", "transaction_id": f"t{n}"}
        | {"occurred_at": f"2026-03-0{day}T00:00:00Z"}
        for n, day in enumerate(days)
    ]
    write(bad)
    Path("b.toml").write_text(f"rules.{A1}.mode = 'off'")
    args = ["rules", "diff", "b.toml", "a.toml", "events.ndjson", "--max-pages-per-day"]
    assert run(app, [*args, "3"]).exit_code == 0
    failing = run(app, [*args, "1"])
    assert failing.exit_code == 1
    assert failing.stdout.startswith("Alerts: 0 with b.toml, 6 with a.toml.\n")
    assert failing.stderr == (
        "walletwatch: a.toml pages more than 1 times a day on 2 of 3 days with pages; most on "
        "2026-03-03: 3.\n"
    )
    args[2:4] = ["a.toml", "b.toml"]
    assert run(app, [*args, "0"]).exit_code == 0


def test_files_gzip_stdin_and_pipes_are_read_alike() -> None:
    """Though each is needed twice."""
    events = [balance("09:58:00", "100.00"), failed(**REFUSED)]
    write(events)
    raw = Path("events.ndjson").read_bytes()
    Path("events.gz").write_bytes(gzip.compress(raw))
    Path("b.toml").write_text(f"rules.{A1}.max_balance_age_ms = 1000")
    args = ["rules", "diff", "a.toml", "b.toml", "--json"]
    expected = run(app, [*args, "events.ndjson"]).stdout
    assert len(json.loads(expected)["differences"]) == 1
    assert run(app, [*args, "events.gz"]).stdout == expected
    assert run(app, [*args, "-"], input=raw).stdout == expected
    assert run(app, [*args, "-"], input=gzip.compress(raw)).stdout == expected
    os.mkfifo("pipe")
    threading.Thread(target=lambda: Path("pipe").write_bytes(raw), daemon=True).start()
    assert run(app, [*args, "pipe"]).stdout == expected


def test_what_cannot_be_compared_is_refused() -> None:
    """Files that are not there or break off, stdin twice, wrong thresholds."""
    write([failed(**REFUSED)])
    Path("b.toml").write_text("rules.cannot_log_in.threshold = 1")
    Path("cut.gz").write_bytes(gzip.compress(Path("events.ndjson").read_bytes())[:-9])

    def refusal(*args: str) -> tuple[int, str]:
        ended = run(app, ["rules", "diff", *args])
        assert ended.stdout == ""
        return ended.exit_code, ended.stderr.strip()

    assert refusal("a.toml", "a.toml", "gone")[0] == 2
    assert refusal("a.toml", "a.toml", "-", "-") == (
        2,
        "walletwatch: -: stdin can be read only once.",
    )
    assert refusal("a.toml", "a.toml", "cut.gz")[0] == 1
    code, sentence = refusal("a.toml", "b.toml", "events.ndjson")
    assert code == 78
    assert sentence.startswith("walletwatch: b.toml: rules.cannot_log_in.threshold must be ")
    assert refusal("a.toml", "gone.toml", "events.ndjson")[0] == 78


# The comparing alone


class LimitParams(Params):
    """Two limits that must both be reached, and one that nothing is compared with."""

    low: int = Field(1, description="a limit")
    other_low: int = Field(1, description="another limit")
    idle: int = Field(1, description="not used")


class LimitFacts(Facts, kw_only=True):
    """Two numbers, one of them compared with a limit."""

    seen: Annotated[int, quoted(compared_with="low")]
    other: int


class Limit(Rule[LimitParams, State, LimitFacts]):
    """Error if a limit is reached by both facts, warning if by one."""

    id = "limit"
    code = "T1"
    category = "payment"
    Params = LimitParams
    State = State
    Facts = LimitFacts

    def judge(self, facts: LimitFacts) -> Verdict | None:
        """Count the limits that are reached."""
        reached = (facts.seen >= self.params.low) + (facts.other >= self.params.other_low)
        severities: tuple[Severity, ...] = ("warning", "error")
        return Verdict(at=0, severity=severities[reached - 1], title="x") if reached else None


def record(
    alert_id: str, severity: str = "error", kind: str = "raised", **fields: Any
) -> dict[str, Any]:
    """Return an alert record; its facts are `seen` and `other`."""
    facts = fields.pop("facts", {"seen": 5, "other": 5})
    return {
        "alert_id": alert_id,
        "rule": "limit",
        "kind": kind,
        "severity": severity,
        "title": "x",
        "dedup_key": "limit:account:1",
        "at": "2026-03-02T10:00:00.000Z",
        "first_event_at": "2026-03-02T10:00:00.000Z",
        "last_event_at": "2026-03-02T10:05:00.000Z",
        "facts": [{"name": name, "value": value} for name, value in facts.items()],
    } | fields


def side(params: dict[str, int], *records: dict[str, Any], **others: Any) -> Run:
    """Return what a run with these parameters found."""
    return Run(
        rules={"limit": Limit(LimitParams(**params))},
        modes={"limit": "live"},
        others=others,
        lives=lives_of(map(msgspec.json.encode, records)),
    )


def only(a: Run, b: Run) -> Difference:
    """Return the one difference."""
    (found,) = compare(a, b)
    return found


def test_parameters_that_decide_only_together_are_all_named() -> None:
    """None of them alone removes the alert; one that takes no part is named too, for it differs."""
    b = {"low": 6, "other_low": 7}
    gone = only(side({}, record("x")), side(b))
    assert (gone.change, gone.from_facts) == ("removed", True)
    assert gone.decided_by == [Decider("low", 1, 6, "seen", 5), Decider("other_low", 1, 7)]


def test_the_highest_severity_counts_and_its_facts() -> None:
    """Not the one an alert was raised with, nor the one it ended with."""
    life = [
        record("x", "warning", facts={"seen": 5, "other": 0}),
        record("x", "error", "updated"),
        record("x", "warning", "updated", facts={"seen": 5, "other": 0}),
        record("x", "warning", "cured", facts={}),
    ]
    changed = only(side({}, *life), side({"low": 6, "idle": 2}, record("x", "warning")))
    assert (changed.a and changed.a.severity, changed.b and changed.b.severity) == (
        "error",
        "warning",
    )
    assert changed.decided_by == [Decider("low", 1, 6, "seen", 5)]
    assert compare(side({}, *life), side({}, record("x", "error"))) == []


def test_differences_stand_in_order_of_time() -> None:
    """Whichever run they are from."""
    times = [f"2026-03-02T1{n}:00:00.000Z" for n in range(4)]
    records = [record(str(n), at=at, dedup_key=str(n)) for n, at in enumerate(times)]
    found = compare(
        side({"low": 9}, records[2], records[0]), side({"low": 9}, records[3], records[1])
    )
    alerts = [each.a or each.b for each in found]
    assert [alert.alert_id for alert in alerts if alert] == ["0", "1", "2", "3"]
    assert [each.from_facts for each in found] == [False] * 4


def test_what_moved_is_paired_by_subject_and_time_the_nearest_first() -> None:
    """Each once; not where the times do not overlap, nor with another subject."""
    minutes = [f"2026-03-02T10:0{n}:00.000Z" for n in range(10)]

    def alert(name: str, at: int, last: int = 9, **fields: Any) -> dict[str, Any]:
        span = {"first_event_at": minutes[at], "last_event_at": minutes[last]}
        return record(name, at=minutes[at], **span, **fields)

    a = side({}, alert("a1", 1), alert("a2", 4))
    b = side({"idle": 2}, alert("b1", 5), alert("b2", 8))
    pairs = [(each.a and each.a.alert_id, each.b and each.b.alert_id) for each in compare(a, b)]
    assert pairs == [("a1", "b2"), ("a2", "b1")]
    apart = compare(side({}, alert("a1", 1, 4)), side({"idle": 2}, alert("b1", 5)))
    assert [each.change for each in apart] == ["removed", "added"]
    touching = compare(side({}, alert("a1", 1, 5)), side({"idle": 2}, alert("b1", 5)))
    assert [each.change for each in touching] == ["moved"]
    other = compare(side({}, alert("a1", 1)), side({"idle": 2}, alert("b1", 1, dedup_key="y")))
    assert [each.change for each in other] == ["removed", "added"]


def test_what_facts_decide_on_both_sides_is_two_differences() -> None:
    """One was removed for one reason, another came for another."""
    a = side({"low": 1, "other_low": 9}, record("a", "warning", facts={"seen": 5, "other": 5}))
    b = side({"low": 9, "other_low": 6}, record("b", "warning", facts={"seen": 0, "other": 6}))
    assert [(each.change, each.from_facts) for each in compare(a, b)] == [
        ("removed", True),
        ("added", True),
    ]
    b.lives["b"].raised["facts"] = [{"name": "seen", "value": 5}, {"name": "other", "value": 6}]
    assert [(each.change, each.from_facts) for each in compare(a, b)] == [("moved", True)]


def test_settings_that_are_no_parameters_are_named_where_the_parameters_agree() -> None:
    """Only those that differ."""
    found = only(side({}, record("x"), **{"engine.x": 1, "engine.y": 1}),
                 side({}, **{"engine.x": 1, "engine.y": 2}))  # fmt: skip
    assert found.decided_by == [Decider("engine.y", 1, 2)]
    assert found.a == Found("x", "error", "2026-03-02T10:00:00.000Z", "x")


def test_an_incident_pages_once_on_the_day_it_becomes_bad() -> None:
    """However it goes on."""
    revisions = [
        ("i1", "warning", "2026-03-02T23:59:59.999Z"),
        ("i1", "error", "2026-03-03T00:00:00.000Z"),
        ("i1", "critical", "2026-03-04T00:00:00.000Z"),
        ("i2", "critical", "2026-03-03T10:00:00.000Z"),
        ("i3", "info", "2026-03-05T10:00:00.000Z"),
        ("i4", "error", "2026-03-01T10:00:00.000Z"),
        ("i4", "error", "2026-03-02T10:00:00.000Z"),
    ]
    records = [
        msgspec.json.encode({"incident_id": name, "severity": severity, "updated_at": at})
        for name, severity, at in revisions
    ]
    assert list(pages_of(records).items()) == [("2026-03-01", 1), ("2026-03-03", 2)]
