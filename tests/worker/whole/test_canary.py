"""No personal data and no secret is where the table in `schemas.privacy` does not allow it.

Marked events go through every path: good, late, redelivered, dead letters of every reason, an error
in a rule, a crash, wrong configuration, every command. Then everything that was written, kept or
printed is searched for the marks.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from rules.alerts import Draft, OpenAlert
from rules.cannot_log_in.rule import CannotLogIn
from rules.registry import ALL
from schemas.dead_letter import DEAD_LETTER_REASONS
from schemas.privacy import (
    ALERT,
    FILE_NAMES,
    INCIDENT,
    INPUTS,
    NOTIFICATION,
    ORIGINALS,
    PLACES,
    SPOKEN,
    STATE,
    DataPlace,
)
from schemas.topics import ALERTS, DEAD_LETTERS, INCIDENTS, LATE
from tests.support.events.canary_scene import (
    KEY,
    RAISES,
    SECRETS,
    CanaryScene,
    go_wrong,
    in_files,
    on_the_log,
)
from tests.support.events.canary_values import ACCOUNT, NAMES, Find, Search, allowed, full
from tests.support.events.derivation import Guesser
from worker.cli.app import app
from worker.detect.alerts import Publisher
from worker.engine.log import stored
from worker.engine.observer import Observer
from worker.logs.sqlite.log import SqliteLog
from worker.observe.watching import watching
from worker.run import runner
from worker.tokens import Tokens

LATER: Final = {"stale_update", "unknown_incident"}
"""Reasons of incident updates, which nothing reads yet."""


# -- the paths ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanaryScene]:
    """A folder in which everything there is has happened."""
    with pytest.MonkeyPatch.context() as patch:
        scene = CanaryScene(tmp_path_factory.mktemp("canary"), patch)
        noticed = CannotLogIn.on_login

        def on_login(self: Any, state: Any, event: Any, facts: Any, fx: Any) -> None:
            if event.account_id == RAISES:
                raise RuntimeError(f"no rule for {event}")
            noticed(self, state, event, facts, fx)

        patch.setattr(CannotLogIn, "on_login", on_login)
        note_anchors(scene, patch)
        keep_metrics(scene, patch)
        on_the_log(scene)
        in_files(scene)
        go_wrong(scene, patch)
        scene.take_log()
        scene.call(SPOKEN, "forget", f"{ACCOUNT}-failed", "--yes")
        scene.call(SPOKEN, "forget", f"{ACCOUNT}-row", "--yes", "--json")
        scene.call(SPOKEN, "forget", f"{ACCOUNT}-unknown", "--yes")
        scene.take_log()
        scene.take_files()
        yield scene


def note_anchors(scene: CanaryScene, patch: pytest.MonkeyPatch) -> None:
    """Let the scene know the anchors of all alerts."""
    opened = Publisher.opened

    def noted(self: Publisher, rule: Any, draft: Draft, *rest: Any) -> OpenAlert:
        scene.anchors.add(draft.anchor)
        return opened(self, rule, draft, *rest)

    patch.setattr(Publisher, "opened", noted)


def keep_metrics(scene: CanaryScene, patch: pytest.MonkeyPatch) -> None:
    """Keep what each run shows to Prometheus at its end."""

    @contextmanager
    def kept(*args: Any) -> Iterator[tuple[Observer, str]]:
        with watching(*args) as (observer, url):
            yield observer, url
            with urlopen(f"{url}/metrics") as answer:
                scene.evidence.add(SPOKEN, "metrics", answer.read())

    patch.setattr("worker.observe.watching.watching", kept)


# -- the search ---------------------------------------------------------------------------


def misplaced(scene: CanaryScene, place: DataPlace) -> Iterator[Find]:
    """Yield what is in a place and must not be there."""
    search = Search(scene.tokens, scene.events)
    together = scene.evidence.of(place)
    if all(allowed(find, place) for find in search.finds(together, "")):
        return
    for where, content in scene.evidence.places[place]:
        yield from (find for find in search.finds(content, where) if not allowed(find, place))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_every_canary_is_where_it_may_be(scene: CanaryScene, place: DataPlace) -> None:
    assert sorted(set(misplaced(scene, place))) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_no_secret_is_anywhere(scene: CanaryScene, place: DataPlace) -> None:
    """Neither the key, nor a password, nor the value of a setting that is wrong."""
    leaks = [
        (where, secret)
        for where, content in scene.evidence.places[place]
        for secret in SECRETS
        if secret in content
    ]
    assert leaks == []


def test_every_path_was_taken(scene: CanaryScene) -> None:
    """Or else nothing would be shown."""
    log = SqliteLog(scene.folder / "wallet.db")
    alerts = [json.loads(record.value or b"") for _, record in stored(log, ALERTS)]
    assert {alert["rule"] for alert in alerts} >= {rule.id for rule in ALL}
    dead = Counter(
        dict(record.headers)["dlq_reason"].decode() for _, record in stored(log, DEAD_LETTERS)
    )
    assert dead.keys() == set(DEAD_LETTER_REASONS) - LATER
    assert len(list(stored(log, LATE))) > 0
    assert "redelivered" in scene.evidence.text("run --until-ended --json")
    log.close()
    assert all(scene.evidence.places.values())
    search = Search(scene.tokens, scene.events)
    for place, wanted in _SEEN.items():
        finds = {(each.field, each.form) for each in search.finds(scene.evidence.of(place), "")}
        assert wanted - finds == set()


_SEEN: Final[dict[DataPlace, set[tuple[str, str]]]] = {
    INPUTS: {(name, "raw") for name in (*NAMES, "ip", "asn", "country", "latitude", "extra")},
    ORIGINALS: {(name, "raw") for name in ("account_id", "ip", "device_id", "amount")},
    ALERT: {(name, "raw") for name in ("account_id", "event_id", "transaction_id", "amount")},
    INCIDENT: {("event_id", "raw"), ("account_id", "token"), ("transaction_id", "token")},
    STATE: {("account_id", "raw"), ("device_id", "mark"), ("counterparty_id", "mark")},
    SPOKEN: {("account_id", "token")},
}
"""What is found where it may be: the search does find."""


def test_commands_end_as_they_should(scene: CanaryScene) -> None:
    """None of them with an unforeseen error, but the one that was made."""
    internal = [where for where, code in scene.evidence.exits.items() if code == 70]
    assert internal == ["run"]
    printed = scene.evidence.text("run")
    assert "internal error: RuntimeError in worker." in printed
    assert "WALLETWATCH_DEBUG=1 shows the traceback, which may hold personal data" in printed


def test_a_traceback_is_shown_only_where_it_is_asked_for(
    scene: CanaryScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then it holds the text of the error: docs/privacy.md warns of it."""

    def crash(*_: object) -> None:
        raise RuntimeError(f"cannot handle {ACCOUNT}-crash")

    monkeypatch.chdir(scene.folder)
    monkeypatch.setattr(runner.Runner, "run", crash)
    quiet = CliRunner().invoke(app, ["run"])
    crashed = CliRunner().invoke(app, ["run"], env={"WALLETWATCH_DEBUG": "1"})
    assert ACCOUNT not in quiet.output
    assert f"cannot handle {ACCOUNT}-crash" in crashed.stderr
    page = Path(__file__).parents[3] / "docs" / "privacy.md"
    assert "`WALLETWATCH_DEBUG=1`" in page.read_text("utf-8")


def test_a_forgotten_account_is_nowhere_in_the_file(
    scene: CanaryScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte by byte: neither it nor what only its events name, after a second call for the last
    records of its alerts. What the others have is there as before."""
    folder = tmp_path / "copy"
    shutil.copytree(scene.folder, folder)
    monkeypatch.chdir(folder)

    def named(suffix: str) -> set[str]:
        files = [folder / f"wallet.db{end}" for end in ("", "-wal", "-shm")]
        content = b"".join(file.read_bytes() for file in files if file.exists())
        names = {f"{text}-{suffix}" for text in NAMES.values()}
        return {name for name in names if re.search(rb"%b\b" % name.encode(), content)}

    assert f"{ACCOUNT}-failed" in named("failed"), "the last record of its alert"
    others = named("raises")
    assert len(others) > 5
    done = CliRunner().invoke(app, ["forget", f"{ACCOUNT}-failed", "--yes"])
    assert done.exit_code == 0, done.output
    assert named("failed") == set()
    assert named("raises") == others


# -- what can be computed -----------------------------------------------------------------

PUBLISHED: Final = (INCIDENT, NOTIFICATION, SPOKEN, FILE_NAMES)
"""Where no account may be named, not even to those who have a list of all of them."""


@pytest.fixture(scope="module")
def guesser(scene: CanaryScene) -> Guesser:
    """Somebody who knows all accounts and anchors, and this code."""
    accounts = {str(event["account_id"]) for event in scene.events}
    assert len(accounts) > 50
    assert len(scene.anchors) > 40
    return Guesser(accounts, scene.anchors, {rule.id for rule in ALL})


@pytest.mark.parametrize("place", PUBLISHED, ids=lambda place: place.name)
def test_nothing_published_names_an_account_to_those_who_compute(
    place: DataPlace, scene: CanaryScene, guesser: Guesser
) -> None:
    assert guesser.names(scene.evidence.of(place)) == set()


def test_no_incident_names_an_account_by_the_texts_in_it(
    scene: CanaryScene, guesser: Guesser
) -> None:
    """One of each set of rules: what is in a record may be part of what was hashed."""
    records: dict[str, bytes] = {}
    for where, content in scene.evidence.places[INCIDENT]:
        if where == INCIDENTS and (value := content.partition(b"\n")[2]):
            records[str(json.loads(value)["rules"])] = content
    assert len(records) >= len(ALL)
    assert [guesser.names_of_one(record) for record in records.values()] == [set()] * len(records)


def test_metrics_are_among_what_is_searched(scene: CanaryScene) -> None:
    assert "walletwatch_alerts_total{" in scene.evidence.text("metrics")


# The search itself can fail.


@pytest.mark.parametrize(
    ("content", "field", "form"),
    [
        (b'{"title":"from 2001:db8:5afe:f1d0:beef:1234:5678:9ABC"}', "ip", "raw"),
        (b"network 2001:db8:5afe:f1d0::/64", "ip", "raw"),
        (bytes.fromhex("20010db85afef1d0beef123456789abc"), "ip", "raw"),
        (NAMES["device_id"].encode().hex().encode(), "device_id", "raw"),
        (b"x eHh4WnVyZGV2aWNlLcOp x", "device_id", "raw"),
        (b'"Zurdevice-\\u00e9-1"', "device_id", "raw"),
        (b"ZURPHONE", "user_agent", "raw"),
        (b"Zurwords", "failure_reason", "raw"),
        (b'{"minor_units":734190583}', "amount", "raw"),
        (b'["DE","QZ"]', "country", "raw"),
        (b"at 71.235 north", "latitude", "raw"),
        (b"at 71.2 north", "latitude", "coarse"),
    ],
)
def test_canaries_are_found_in_disguise(content: bytes, field: str, form: str) -> None:
    finds = Search(Tokens(("k1", KEY)), [full()]).finds(content, "")
    assert (field, form) in {(find.field, find.form) for find in finds}


def test_tokens_and_marks_are_found_and_told_apart() -> None:
    tokens = Tokens(("k1", KEY))
    search = Search(tokens, [full()])
    device = full()["device_id"]
    (token,) = search.finds(tokens.of(device).encode(), "")
    assert token == Find("device_id", "token", "")
    assert [allowed(token, place) for place in (ALERT, STATE, INPUTS)] == [False, False, True]
    (mark,) = search.finds(b"\0" + tokens.marks.of(device) + b"\0", "")
    assert mark == Find("device_id", "mark", "")
    assert [allowed(mark, place) for place in (ALERT, STATE, INPUTS)] == [False, True, True]
    assert list(search.finds(b"nothing of it", "")) == []
