"""docs/sqlite.md: its code runs, its queries find what the log holds, its tables are the file's."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import ALERTS, INCIDENTS, INPUTS, LOGINS
from tests.support.crashing_worker import Place
from tests.support.producer import crowd
from tests.support.run_comparison import documents
from worker.engine.log import stored
from worker.engine.records import NewRecord
from worker.logs.sqlite.file import LAYOUT

PAGE = (Path(__file__).parents[4] / "docs" / "sqlite.md").read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
OPEN, BY_RULE, OF_ACCOUNT, CITED, HELD = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A log that a worker has judged."""
    place = Place(tmp_path_factory.mktemp("documented") / "place")
    place.fill(crowd(11, 600))
    place.finish()
    return place


@pytest.fixture
def db(place: Place) -> Iterator[sqlite3.Connection]:
    """The connection of the page."""
    uri = f"{place.path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.execute("PRAGMA query_only = ON")
        yield connection


def ask(db: sqlite3.Connection, query: str, **values: object) -> list[Any]:
    """Run a query of the page."""
    return db.execute(query, values).fetchall()


def recorded(place: Place, topic: str) -> list[Mapping[str, Any]]:
    """Return what the log's own reader finds."""
    with closing(place.open()) as log:
        return [value for _, value in documents(log, topic)]


def test_the_example_runs(place: Place) -> None:
    """As it stands on the page, beside the file."""
    (code,) = CODE
    (place.path.parent / "wallet.db").symlink_to(place.path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place.path.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    with closing(place.open()) as log:
        expected = sum(1 for _ in stored(log, ALERTS))
    assert f"{ALERTS} {expected}" in done.stdout.splitlines()


def test_open_incidents(place: Place, db: sqlite3.Connection) -> None:
    """By their newest records."""
    newest = {each["incident_id"]: each for each in recorded(place, INCIDENTS)}
    expected = {
        (name, each["severity"], each["title"], each["opened_at"])
        for name, each in newest.items()
        if each["status"] != "resolved"
    }
    assert {each["status"] for each in newest.values()} == {"open", "resolved"}
    assert set(ask(db, OPEN)) == expected


def test_alerts_by_rule(place: Place, db: sqlite3.Connection) -> None:
    """All of them were appended within the day."""
    found = ask(db, BY_RULE)
    assert sum(count for _, _, count in found) == len(recorded(place, ALERTS))
    assert {rule for rule, _, _ in found} == {each["rule"] for each in recorded(place, ALERTS)}


def test_events_of_an_account_and_what_an_alert_cites(place: Place, db: sqlite3.Connection) -> None:
    """Each cited record is one of its account's events."""
    alert = recorded(place, ALERTS)[0]
    events = [json.loads(row[4]) for row in ask(db, OF_ACCOUNT, account=alert["account_id"])]
    assert {each["account_id"] for each in events} == {alert["account_id"]}
    for cited in alert["evidence"]:
        address = {name: cited[name] for name in ("topic", "partition", "offset")}
        ((value,),) = ask(db, CITED, **address)
        assert json.loads(value)["event_id"] == cited["event_id"]
        assert json.loads(value) in events


def test_what_each_topic_holds(place: Place, db: sqlite3.Connection) -> None:
    """Its number of records."""
    with closing(place.open()) as log:
        for each in INPUTS:
            expected = sum(1 for _ in stored(log, each.topic))
            assert [row[1] for row in ask(db, HELD) if row[0] == each.topic] == [expected]


def test_the_tables_are_those_of_the_file(db: sqlite3.Connection) -> None:
    """Every column of the three that may be relied on; and the page names the layout."""
    rows = re.findall(r"^\| (?:`(\w+)`)? *\| ([^|]+) \|", PAGE, re.MULTILINE)
    listed: dict[str, list[str]] = {}
    for table, columns in rows:
        listed.setdefault(table or next(reversed(listed)), []).extend(
            re.findall(r"`(\w+)`", columns)
        )
    assert list(listed) == ["topics", "partitions", "records"]
    for table, columns in listed.items():
        assert columns == [row[1] for row in ask(db, f"PRAGMA table_info({table})")]
    assert f"`PRAGMA user_version`\n({LAYOUT} now)" in PAGE
    assert ask(db, "PRAGMA user_version") == [(LAYOUT,)]


def test_a_reader_neither_writes_nor_blocks(place: Place, db: sqlite3.Connection) -> None:
    """Others commit while its transaction is open; it sees that in its next one."""
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM records")
    db.rollback()
    db.execute("BEGIN")
    before = ask(db, HELD)
    place.append([NewRecord(LOGINS, b"acc-1", b"{}")])
    assert ask(db, HELD) == before
    db.execute("ROLLBACK")
    changed = {now[0] for now, then in zip(ask(db, HELD), before, strict=True) if now != then}
    assert changed == {LOGINS}
