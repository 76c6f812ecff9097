"""`walletwatch explain`: by any id or its beginning, from a log or from files."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from schemas.topics import ALERTS, ALERTS_SHADOW, INCIDENTS
from tests.support.events.traffic import MINUTE
from tests.worker.cli.test_replay_truth import logins
from worker.cli.app import app
from worker.detect.silence import RULE
from worker.detect.stage import Policy
from worker.engine.log import stored
from worker.engine.records import NewRecord
from worker.explain import fate
from worker.explain.history import Trace
from worker.run.open_log import open_log

EVENTS = "events.ndjson"
URL = "sqlite:///log.db"
FEW = [*logins("acc-1", 5), *logins("acc-2", 7), *logins("acc-3", 1, 15 * MINUTE)]
"""Two accounts of which each cannot log in, an alert and an incident of each; and time goes on."""

run = CliRunner().invoke


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a log that was run to its end, and the files of the same events."""
    path = tmp_path_factory.mktemp("explained")
    (path / EVENTS).write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in FEW))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        for words in (
            ["ingest", EVENTS, "--end", "--log", URL],
            ["run", "--until-ended", "--log", URL],
            ["replay", EVENTS, "--out", "found"],
        ):
            assert run(app, words).exit_code == 0
    return path


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, and the log of it."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WALLETWATCH_LOG__URL", URL)


def records(topic: str, url: str = URL) -> list[dict[str, Any]]:
    """Return the records of a topic of the log."""
    log = open_log(url)
    found = [json.loads(record.value) for _, record in stored(log, topic) if record.value]
    log.close()
    return found


def incident_of(alert_id: str) -> dict[str, Any]:
    """Return the newest record of the incident that lists the alert."""
    return [each for each in records(INCIDENTS) if alert_id in each["alert_ids"]][-1]


def raised() -> list[str]:
    """Return the ids of the alerts."""
    ids = [each["alert_id"] for each in records(ALERTS) if each["kind"] == "raised"]
    assert len(ids) == 2
    return ids


def copied(*more: NewRecord, without: str = "") -> str:
    """Return the URL of a new log that holds the alerts and incidents, and these records."""
    url = f"sqlite:///{len(list(Path.cwd().iterdir()))}.db"
    log = open_log(url, 1)
    for topic in (ALERTS, INCIDENTS):
        for each in records(topic):
            if each.get("alert_id") != without:
                key = each.get("incident_id", "key").encode()
                log.append([NewRecord(topic, key, msgspec.json.encode(each), 0)])
    log.append(more)
    log.close()
    return url


# -- an incident --------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [6, 7, 12, 31, 32])
def test_an_incident_is_explained_by_each_alert_it_lists(digits: int) -> None:
    """By its id or the beginning of it: what it is, then every alert as by its own id."""
    for alert_id in raised():
        incident_id = incident_of(alert_id)["incident_id"]
        ended = run(app, ["explain", incident_id[:digits]])
        assert ended.exit_code == 0
        alone = run(app, ["explain", alert_id[:digits]])
        assert alone.exit_code == 0
        head, _, rest = ended.stdout.partition("\nAlert 1 of 1\n\n")
        assert rest == alone.stdout
        assert f"  incident     {incident_id}\n" in head
        assert "\nDerived: " in rest
        assert "lists" not in head


def test_an_incident_is_explained_as_json() -> None:
    """Its record, and of every alert what its own id gives."""
    alert_id = raised()[0]
    incident = incident_of(alert_id)
    found = json.loads(run(app, ["explain", incident["incident_id"], "--json"]).stdout)
    alone = json.loads(run(app, ["explain", alert_id, "--json"]).stdout)
    assert found == {"incident": incident, "derived": True, "alerts": [alone], "missing": []}


def test_an_incident_of_files_is_explained_from_them() -> None:
    """Also from the history of its accounts: the ids are those that `replay --out` wrote."""
    lines = Path("found/incidents.ndjson").read_text().splitlines()
    ids = {json.loads(line)["incident_id"] for line in lines}
    assert len(ids) == 2
    for incident_id in ids:
        for more in ([], ["--from-history"]):
            ended = run(app, ["explain", incident_id[:6], "--from", EVENTS, *more])
            assert ended.exit_code == 0
            history = "The history of the account gives the same facts." in ended.stdout
            assert history == bool(more)


def test_an_incident_that_was_let_go_is_explained_as_long_as_its_records_are_there() -> None:
    """A tombstone only says that triage has forgotten it."""
    incident = incident_of(raised()[0])
    url = copied(NewRecord(INCIDENTS, incident["incident_id"].encode(), None, 0))
    ended = run(app, ["explain", incident["incident_id"], "--log", url])
    assert f"incident     {incident['incident_id']}" in ended.stdout


def test_an_alert_that_was_pruned_is_named() -> None:
    """The others are explained all the same; exit code 1."""
    alert_id = raised()[0]
    incident = incident_of(alert_id)
    url = copied(without=alert_id)
    ended = run(app, ["explain", incident["incident_id"], "--log", url])
    assert ended.exit_code == 1
    assert f"Alert {alert_id} is no longer in the log: it has been pruned." in ended.stdout
    assert "1 of 1 alert of incident" in ended.stderr
    found = json.loads(
        run(app, ["explain", incident["incident_id"], "--json", "--log", url]).stdout
    )
    assert (found["derived"], found["alerts"], found["missing"]) == (False, [], [alert_id])


def test_an_incident_that_lists_fewer_than_it_had_says_so() -> None:
    """As that of a release that listed none, or one of more than fifty."""
    incident = incident_of(raised()[0])
    for listed, total, said in (
        (0, 3, "It lists 0 of its 3 alerts."),
        (1, 1_234, "It lists 1 of its 1,234 alerts."),
    ):
        changed = {
            **incident,
            "incident_id": f"other-{total}",
            "alert_ids": incident["alert_ids"][:listed],
            "alerts": {"total": total, "active": 0},
        }
        record = NewRecord(INCIDENTS, b"other-%d" % total, msgspec.json.encode(changed), 0)
        ended = run(app, ["explain", f"other-{total}", "--log", copied(record)])
        assert said in ended.stdout


def test_an_alert_of_the_engine_is_shown_in_its_incident_but_not_derived() -> None:
    """Alone it ends with the sentence why."""
    step = next(each for each in records(ALERTS) if each["kind"] == "raised")
    alert_id = "silent-1"
    silent = {**step, "alert_id": alert_id, "rule": RULE, "evidence": [], "evidence_total": 0}
    incident = incident_of(step["alert_id"]) | {"incident_id": "silence", "alert_ids": [alert_id]}
    url = copied(
        NewRecord(ALERTS, b"key", msgspec.json.encode(silent), 0),
        NewRecord(INCIDENTS, b"silence", msgspec.json.encode(incident), 0),
    )
    ended = run(app, ["explain", "silence", "--log", url])
    assert ended.exit_code == 1
    assert "NOT derived:\n  pipeline_silent is an alert of the engine itself." in ended.stdout
    ended = run(app, ["explain", alert_id, "--log", url])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "pipeline_silent is an alert of the engine itself." in ended.stderr


def test_an_alert_in_shadow_is_explained_unless_the_live_one_has_that_id() -> None:
    """What it is comes from its record."""
    step = next(each for each in records(ALERTS) if each["kind"] == "raised")
    shadow = [
        NewRecord(ALERTS_SHADOW, b"key", msgspec.json.encode({**step, **more, "mode": "shadow"}), 0)
        for more in ({"alert_id": "in-shadow"}, {})
    ]
    url = copied(*shadow)
    said = ", in shadow: not published to wallet.alerts"
    assert said in run(app, ["explain", "in-sha", "--log", url]).stdout
    assert said not in run(app, ["explain", step["alert_id"], "--log", url]).stdout


# -- several, or none ---------------------------------------------------------------------


def test_what_begins_so_is_listed_if_it_is_several() -> None:
    """With what each is; on stdout, for an event_id is personal data."""
    ended = run(app, ["explain", "acc-1-"])
    assert ended.exit_code == 2
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert lines == [["id", "kind", "what"]] + [
        [f"acc-1-{n}", "event", "in", "wallet.logins"] for n in range(5)
    ]
    assert "5 ids begin so: give more of the one that is meant." in ended.stderr
    assert "acc-1-" not in ended.stderr
    found = json.loads(run(app, ["explain", "acc-1-", "--json"]).stdout)
    matches = [{"kind": "event", "id": f"acc-1-{n}"} for n in range(5)]
    assert found == {"matches": matches, "more": False}


@pytest.mark.parametrize(("count", "more"), [(20, False), (21, True), (300, True)])
def test_at_most_twenty_are_listed(count: int, more: bool) -> None:
    """Of more it is said that there are more."""
    name = f"many-{count}.ndjson"
    lines = [msgspec.json.encode(each) + b"\n" for each in logins("acc-7", count)]
    Path(name).write_bytes(b"".join(lines))
    ended = run(app, ["explain", "acc-7-", "--from", name])
    assert (ended.exit_code, len(ended.stdout.splitlines())) == (2, 21)
    assert ("More than 20 ids begin so" if more else "20 ids begin so") in ended.stderr
    found = json.loads(run(app, ["explain", "acc-7-", "--from", name, "--json"]).stdout)
    assert (len(found["matches"]), found["more"]) == (20, more)


def test_alerts_incidents_and_events_are_listed_together() -> None:
    """By what each is about."""
    alert = next(each for each in records(ALERTS) if each["kind"] == "raised")
    incident = incident_of(alert["alert_id"]) | {"incident_id": "same-id-2", "title": "A title"}
    url = copied(
        NewRecord(ALERTS, b"k", msgspec.json.encode(alert | {"alert_id": "same-id-1"}), 0),
        NewRecord(INCIDENTS, b"same-id-2", msgspec.json.encode(incident), 0),
    )
    lines = run(app, ["explain", "same-id", "--log", url]).stdout.splitlines()
    assert [line.split(maxsplit=2) for line in lines[1:]] == [
        ["same-id-1", "alert", "of rule cannot_log_in"],
        ["same-id-2", "incident", "A title"],
    ]


@pytest.mark.parametrize("which", ["", "a", "4f1c0", "acc-1", "     ", "\u00e9\u00e9\u00e9"])
def test_a_beginning_of_fewer_than_six_characters_is_refused(which: str) -> None:
    """Exit code 2, unless it is a whole id."""
    ended = run(app, ["explain", which])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "walletwatch: Nothing has exactly that id, and the beginning of an id must have at least "
        "6 characters.\n"
    )


@pytest.mark.parametrize("which", ["4f1c02", "acc-1-9", "acc-1-00", "ACC-1-0", "x" * 500, "%s" * 9])
def test_what_nothing_has_as_its_id_is_said(which: str) -> None:
    """Exit code 1, with where ids are listed and without the one that was given."""
    for more in ([], ["--json"], ["--from", EVENTS]):
        ended = run(app, ["explain", which, *more])
        assert (ended.exit_code, ended.stdout) == (1, "")
        sentence, *hints = ended.stderr.splitlines()
        assert sentence == (
            "walletwatch: There is no alert, incident or event whose id is that or begins so. The "
            "ids of alerts and incidents: walletwatch alerts list, and walletwatch incidents list "
            "--all; of one account: either with --account."
        )
        assert [hint.strip().partition(",")[0] for hint in hints] == more[:1].count("--from") * [
            "With --from"
        ]


@pytest.mark.parametrize(
    ("late_by", "said"),
    [(0, []), (1, ["it came 1 ms late"]), (3_601_000, ["it came 1 h 1 s late"])],
)
def test_how_late_an_event_came_is_said_as_a_span(late_by: int, said: list[str]) -> None:
    """If it did."""
    found = fate.Fate("a/0@0", Trace(happened="logged in", late_by=late_by), [])
    shown = [line.partition(":")[0] for line in fate.lines(found, Policy([], []))]
    assert [line for line in shown if line.startswith("it came")] == said


def test_an_event_is_explained_by_the_beginning_of_its_id() -> None:
    """If no other begins so; a whole id is one even then."""
    for which in ("acc-1-0", "acc-2-6"):
        ended = run(app, ["explain", which])
        assert ended.exit_code == 0
        assert ended.stdout.startswith(f"Event {which}, wallet.logins/")
        assert "A5 cannot_log_in: " in ended.stdout
    late = logins("acc-3-long", 1) + logins("acc-3-longer", 1)
    Path("long.ndjson").write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in late))
    ended = run(app, ["explain", "acc-3-longe", "--from", "long.ndjson"])
    assert ended.stdout.startswith("Event acc-3-longer-0, ")
    found = json.loads(run(app, ["explain", "acc-1-4", "--json"]).stdout)
    assert found["alerts"]
    assert {each["rule"] for each in found["alerts"]} == {"cannot_log_in"}
