"""incidents: the newest state of each, and the life of one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.incident import Incident
from schemas.time import format_time
from schemas.topics import INCIDENTS
from worker.cli.app import app
from worker.config.load import load_settings
from worker.config.token_keys import tokens_for
from worker.engine.records import NewRecord
from worker.run.open_log import open_log
from worker.tokens import Tokens

URL = "sqlite:///log.db"

run = CliRunner().invoke


def revision(incident_id: str, number: int, what: str, status: str, **fields: Any) -> NewRecord:
    """Return a revision of an incident, a minute after the one before."""
    at = format_time(1_700_000_000_000 + number * 60_000)
    opened = format_time(1_700_000_000_000)
    record = {
        "incident_id": incident_id,
        "dedup_key": f"cannot_log_in:account:public.{incident_id}",
        "cause": "auth",
        "category": "access",
        "status": status,
        "revision": number,
        "state_revision": number,
        "severity": "warning",
        "priority": "P3",
        "page": False,
        "title": f"Title of {incident_id}",
        "alerts": {"total": 1, "active": int(status != "resolved")},
        "first_event_at": opened,
        "last_event_at": at,
        "opened_at": opened,
        "updated_at": at,
        "published_at": at,
        "suspected_root_cause": "unknown",
        "last_change": {"what": what, "by": "walletwatch", "at": at},
    } | fields
    value = json.dumps(record)
    Incident.model_validate_json(value)
    return NewRecord(INCIDENTS, incident_id.encode(), value.encode(), partition=1)


EVIDENCE = {
    "topic": "wallet.logins", "partition": 3, "offset": 17, "event_id": "e17", "role": "failure"
}  # fmt: skip
RECORDS = [
    revision("aaa1", 1, "opened", "open"),
    revision("aaa2", 1, "opened", "open", opened_at="2024-01-01T00:00:00Z"),
    revision("aaa1", 2, "acknowledged", "acknowledged"),
    revision("bbb1", 1, "opened", "open"),
    revision(
        "bbb1", 2, "alert_cured", "resolved", resolution="cured", evidence=[EVIDENCE],
        evidence_total=4, resolved_at="2023-11-14T22:15:20.000Z",
    ),
    revision("ccc1", 1, "opened", "open"),
    NewRecord(INCIDENTS, b"ccc1", None, partition=1),
    revision("ddd1", 7, "alert_joined", "open", opened_at="2022-01-01T00:00:00Z"),
]  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that holds incidents, made once: making one takes longer than a command."""
    path = tmp_path_factory.mktemp("filled") / "log.db"
    log = open_log(f"sqlite:///{path}")
    log.append(RECORDS)
    log.close()
    return path


@pytest.fixture(autouse=True)
def folder(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a copy of the log."""
    shutil.copy(filled, tmp_path / "log.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WALLETWATCH_LOG__URL", URL)


def append(*records: NewRecord) -> None:
    """Append to the log."""
    log = open_log(URL)
    log.append(records)
    log.close()


def listed(*args: str) -> list[str]:
    """Return the ids that `incidents list --json` prints."""
    ended = run(app, ["incidents", "list", "--json", *args])
    assert ended.exit_code == 0
    return [json.loads(line)["incident_id"] for line in ended.stdout.splitlines()]


def test_list_shows_the_newest_state_of_what_is_not_resolved() -> None:
    """Newest opened first; those removed by a tombstone are gone."""
    assert listed() == ["aaa2", "aaa1", "ddd1"]


def test_list_filters_by_status() -> None:
    """--all includes resolved ones."""
    assert listed("--all") == ["aaa2", "aaa1", "bbb1", "ddd1"]
    assert listed("--status", "resolved") == ["bbb1"]
    assert listed("--status", "acknowledged", "--status", "resolved") == ["aaa1", "bbb1"]
    assert run(app, ["incidents", "list", "--status", "closed"]).exit_code == 2


def test_list_finds_the_incidents_of_an_account() -> None:
    """By its tokens under all active keys, so that neither log nor command reveals others."""
    Path("new").write_text("0123456789abcdef")
    Path("old").write_text("fedcba9876543210")
    for name in ("new", "old"):
        Path(name).chmod(0o600)
    now, before, gone = (
        ("k2", b"0123456789abcdef"),
        ("k1", b"fedcba9876543210"),
        ("k0", b"x" * 16),
    )
    tokens = {key[0]: Tokens(key).of("acc-1") for key in (now, before, gone)}
    append(*(
        revision(f"{key_id}-incident", 1, "opened", "open", account_token=token)
        for key_id, token in tokens.items()
    ))  # fmt: skip
    assert listed("--account", "acc-1") == []
    keys = "key_id = 'k2'\nkey_file = 'new'\nprevious_key_id = 'k1'\nprevious_key_file = 'old'"
    Path("walletwatch.toml").write_text(f"[tokens]\n{keys}")
    assert sorted(listed("--account", "acc-1")) == ["k1-incident", "k2-incident"]
    assert listed("--account", "acc-2") == []
    none = run(app, ["incidents", "list", "--account", "acc-2"])
    assert none.stdout == "No incident of this account is open or acknowledged.\n"


def test_list_finds_an_account_by_the_key_of_the_log() -> None:
    """Which it does not make."""
    assert listed("--account", "acc-1") == []
    assert not Path("log.db.key").exists()
    settings = load_settings(None, {"WALLETWATCH_LOG__URL": URL}).settings
    token = tokens_for(settings, URL, create=True).of("acc-1")
    append(revision("own", 1, "opened", "open", account_token=token))
    assert listed("--account", "acc-1") == ["own"]


CHOICES = [
    revision(
        "p1", 1, "opened", "open", severity="error", provider="acme", rules=["account_lockout"]
    ),
    revision("p2", 1, "opened", "open", severity="info", rules=["cannot_log_in", "outside"]),
    revision(
        "p3", 1, "opened", "open", provider="Acme", rules=["unauthorized_transaction"],
        opened_at="2023-11-14T22:13:20.001Z",
    ),
    revision("p4", 1, "opened", "open", opened_at="2023-11-14T22:13:19.999Z", provider="acme"),
    revision("p5", 1, "opened", "resolved", severity="error", provider="acme"),
]  # fmt: skip


@pytest.fixture(scope="module")
def choices(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a log of CHOICES."""
    url = f"sqlite:///{tmp_path_factory.mktemp('choices') / 'log.db'}"
    log = open_log(url)
    log.append(CHOICES)
    log.close()
    return url


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("--rule A4", ["p1"]),
        ("--rule a4", ["p1"]),
        ("--rule account_lockout", ["p1"]),
        ("--rule cannot_log_in", ["p2"]),
        ("--rule outside", ["p2"]),
        ("--rule A4 --rule A5", ["p1", "p2"]),
        ("--rule A1", []),
        ("--rule pipeline_silent", []),
        ("--severity error", ["p1"]),
        ("--severity error --all", ["p1", "p5"]),
        ("--severity error --severity info", ["p1", "p2"]),
        ("--severity critical", []),
        ("--provider acme", ["p1", "p4"]),
        ("--provider Acme", ["p3"]),
        ("--provider acme --provider Acme", ["p3", "p1", "p4"]),
        ("--provider acm", []),
        ("--since 2023-11-14T22:13:20Z", ["p3", "p1", "p2"]),
        ("--since 2023-11-14T22:13:20.001Z", ["p3"]),
        ("--since 2023-11-14T22:13:20.002Z", []),
        ("--since 2023-11-14T23:13:20+01:00", ["p3", "p1", "p2"]),
        ("--since 2023-11-14", ["p3", "p1", "p2", "p4"]),
        ("--since 2023-11-15", []),
        ("--since 7d", []),
        ("--since 100000d", ["p3", "p1", "p2", "p4"]),
        ("--provider acme --severity error --rule A4 --since 2023-11-14 --all", ["p1"]),
        ("--provider acme --severity info", []),
        ("--provider acme --status resolved", ["p5"]),
    ],
)
def test_list_chooses(choices: str, words: str, ids: list[str]) -> None:
    """By rule, severity, time of opening and provider: all of them, any of each."""
    assert listed("--log", choices, *words.split()) == ids


def test_list_says_what_is_chosen_where_nothing_is() -> None:
    """And does not where nothing was chosen."""
    none = run(app, ["incidents", "list", "--provider", "acme"])
    assert none.stdout == "No incident that is chosen is open or acknowledged.\n"
    for words in (["--rule", "A9"], ["--since", "yesterday"]):
        ended = run(app, ["incidents", "list", *words])
        assert (ended.exit_code, ended.stdout) == (2, "")
        assert words[1] not in ended.stderr


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (0, ""),
        (1, "alert-000000"),
        (2, "alert-000001, alert-000000"),
        (3, "alert-000002, alert-000001 and 1 more"),
        (50, "alert-000049, alert-000048 and 48 more"),
        (1_234, "alert-000049, alert-000048 and 1,232 more"),
    ],
)
def test_alerts_are_listed_by_the_beginnings_of_their_ids(count: int, named: str) -> None:
    """The newest in a row of the list, all that the record has where one is shown."""
    ids = [f"alert-{n:06}-and-more" for n in range(min(count, 50))]
    total = max(count, 1)
    append(
        revision("eee1", 1, "opened", "open", alert_ids=ids, alerts={"total": total, "active": 1})
    )
    lines = run(app, ["incidents", "list"]).stdout.splitlines()
    row = next(line for line in lines if line.startswith("eee1"))
    assert row.endswith(f"  1 of {total} active  Title of eee1")
    assert f"Z  {named}  " in row
    shown = run(app, ["incidents", "show", "eee1"]).stdout
    head = f"\nAlerts, {len(ids)} of {total:,}; walletwatch explain takes their ids:\n"
    assert (head in shown) == bool(ids)
    assert [line.strip() for line in shown.splitlines() if line.startswith("  alert-")] == ids
    (record,) = (
        json.loads(line)
        for line in run(app, ["incidents", "list", "--json"]).stdout.splitlines()
        if "eee1" in line
    )
    assert record["alert_ids"] == ids


def test_list_is_a_table_for_people() -> None:
    """And prints a sentence when it would be empty."""
    lines = run(app, ["incidents", "list"]).stdout.splitlines()
    assert lines[1].split()[:3] == ["aaa2", "open", "warning"]
    assert lines[2].endswith("1 of 1 active  Title of aaa1")
    none = run(app, ["incidents", "list", "--log", "sqlite:///other.db"])
    assert none.exit_code == 2
    open_log("sqlite:///other.db").close()
    none = run(app, ["incidents", "list", "--log", "sqlite:///other.db"])
    assert (none.exit_code, none.stdout) == (0, "No incident is open or acknowledged.\n")


def test_show_tells_the_life_of_an_incident() -> None:
    """Every revision with time, what and severity; and where the evidence is."""
    shown = run(app, ["incidents", "show", "bbb1"]).stdout
    assert shown.startswith("Title of bbb1\n")
    lines = [line.split() for line in shown.splitlines()]
    assert ["resolution", "cured"] in lines
    opened, cured = (line for line in lines if "walletwatch" in line)
    assert opened[:4] == ["1", "2023-11-14T22:14:20.000Z", "opened", "walletwatch"]
    assert cured[:6] == [
        "2", "2023-11-14T22:15:20.000Z", "alert_cured", "walletwatch", "resolved", "warning",
    ]  # fmt: skip
    assert "Evidence, 1 of 4 records:" in shown
    assert ["failure", "wallet.logins", "3", "17", "e17"] in lines


def test_show_names_money_in_units_of_its_currency() -> None:
    """Never in minor units; and one record is not "1 records"."""
    money = [
        {"currency": "EUR", "minor_units": 1250, "exponent": 2},
        {"currency": "JPY", "minor_units": 7, "exponent": 0},
        {"currency": "BHD", "minor_units": 1, "exponent": 3},
    ]
    append(
        revision(
            "fff1", 1, "opened", "open", amount_at_stake=money, evidence=[EVIDENCE],
            evidence_total=1,
        )
    )  # fmt: skip
    shown = run(app, ["incidents", "show", "fff1"]).stdout
    assert "  at stake     12.50 EUR, 7 JPY, 0.001 BHD\n" in shown
    assert "\nEvidence, 1 of 1 record:\n" in shown


def test_show_prints_json() -> None:
    """The newest record, and all revisions."""
    shown = json.loads(run(app, ["incidents", "show", "bbb1", "--json"]).stdout)
    assert shown["incident"]["evidence"] == [EVIDENCE]
    assert [each["what"] for each in shown["revisions"]] == ["opened", "alert_cured"]


def test_show_takes_the_beginning_of_an_id() -> None:
    """If no other begins so; a whole id is one even then."""
    assert run(app, ["incidents", "show", "b"]).stdout.startswith("Title of bbb1")
    several = run(app, ["incidents", "show", "aaa"])
    assert several.exit_code == 2
    assert "2 incidents have an id that begins so, such as aaa1, aaa2" in several.stderr
    append(revision("aaa", 1, "opened", "open"))
    assert run(app, ["incidents", "show", "aaa"]).stdout.startswith("Title of aaa\n")


@pytest.mark.parametrize("incident_id", ["zzz", "ccc1"])
def test_show_of_what_is_not_there_fails(incident_id: str) -> None:
    """Exit code 1; also after a tombstone."""
    ended = run(app, ["incidents", "show", incident_id])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "There is no incident of that id" in ended.stderr


def test_show_says_when_its_beginning_is_gone() -> None:
    """The topic is compacted."""
    assert "no longer has the revisions before 7" in run(app, ["incidents", "show", "ddd1"]).stdout


def test_a_record_that_is_no_incident_is_told_by_its_address() -> None:
    """Without what is in it."""
    append(NewRecord(INCIDENTS, b"eee1", b'{"incident_id": "hunter2"}', partition=2))
    ended = run(app, ["incidents", "list"])
    assert ended.exit_code == 1
    assert "wallet.incidents, partition 2, offset 0: " in ended.stderr
    assert "hunter2" not in ended.output
