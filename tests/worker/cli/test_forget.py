"""`walletwatch forget` says what went and what stays; it asks a person, and no one else."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from schemas.privacy import LEFT_BY_FORGET
from schemas.time import format_time
from schemas.topics import DETECT_INPUTS, LOGINS, TOPICS
from tests.support.accounts_to_forget import NOW, PARTITIONS, filled, login, of
from tests.support.commands import in_terminal, walletwatch
from worker.cli import forget
from worker.cli.app import app
from worker.config.load import default_settings, load_settings
from worker.config.token_keys import tokens_for
from worker.detect.stage import DETECT
from worker.logs.sqlite.log import SqliteLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    """A log on which every account has an open alert."""
    with closing(filled(tmp_path / "wallet.db")) as log:
        yield log


def command(log: SqliteLog, *words: str) -> Result:
    """Run `walletwatch forget` on the log's file."""
    return CliRunner().invoke(app, ["forget", *words, "--log", f"sqlite:///{log._path}"])


def test_the_command_says_what_went_and_what_stays(log: SqliteLog) -> None:
    """The account by its token only."""
    done = command(log, "goes", "--yes")
    token = tokens_for(default_settings(), f"sqlite:///{log._path}").of("goes")
    assert done.exit_code == 0
    assert (
        f"Forgot account {token}: 1 open alert, expired now, 1 incident, 6 event ids" in done.stdout
    )
    assert "records on topics" in done.stdout
    assert "goes" not in done.output
    left = {name for each in LEFT_BY_FORGET if each.on_sqlite for name in each.place.topics}
    for topic in TOPICS:
        is_left = topic.name in left - {"wallet.incident-updates"}
        assert (f"{topic.name} " in done.stdout) == is_left
    assert "makes new state" in done.stdout
    assert "have not handled all" not in done.stdout


def test_what_is_not_handled_yet_is_said(log: SqliteLog) -> None:
    log.append([login("goes", 100, 1500)])
    done = command(log, "goes", "--yes")
    assert "have not handled all that was written of it: let walletwatch run read" in done.stdout
    assert command(log, "keeps-1", "--yes").stdout.count("have not handled") == 0


def test_what_brokers_keep_is_listed_with_its_times(tmp_path: Path) -> None:
    """Of all topics that can name the account, and of the changelogs."""
    config = tmp_path / "walletwatch.toml"
    config.write_text('[log]\nurl = "kafka://127.0.0.1:9"\n', "utf-8")
    settings = load_settings(config, {}).settings
    rows = {each["topic"]: each for each in forget._remains(settings, NOW)}
    expected = {topic.name for topic in TOPICS} - {"wallet.incident-updates"} | {"changelogs"}
    assert rows.keys() == expected
    days = {name: settings.retention[name] // 86_400_000 for name in settings.retention}
    assert rows["wallet.logins"]["until"] == format_time(NOW + 86_400_000 * (days[LOGINS] + 1))
    assert rows["changelogs"]["until"] == format_time(NOW + 86_400_000)
    assert rows["wallet.incidents"]["until"] == "31 d after it is resolved"


def test_the_command_in_json(log: SqliteLog) -> None:
    done = command(log, "goes", "--json", "--yes")
    summary = json.loads(done.stdout)
    assert summary["removed"]["open_alerts"] == 1
    assert summary["removed"]["incidents"] == 1
    assert summary["unhandled"] is False
    remains = {each["topic"]: each for each in summary["remains"]}
    assert remains["wallet.incidents"]["account"] == "token"
    assert remains["wallet.alerts"]["account"] == "raw"
    assert remains["wallet.logins"]["until"] < remains["wallet.alerts"]["until"]
    assert "goes" not in done.output


def test_what_cannot_be_is_said_in_a_sentence(log: SqliteLog, tmp_path: Path) -> None:
    """An unknown account, a task that is run, no log."""
    unknown = command(log, "nobody", "--yes")
    assert unknown.exit_code == 1
    assert "Nothing is kept of that account" in unknown.stderr
    session = log.open_session(DETECT, DETECT_INPUTS, range(PARTITIONS))
    taken = command(log, "goes", "--yes")
    session.close()
    assert taken.exit_code == 70
    assert "is already run by process" in taken.stderr
    assert "Stop it, forget the account, and start it again." in taken.stderr
    none = CliRunner().invoke(
        app, ["forget", "x", "--yes", "--log", f"sqlite:///{tmp_path}/none.db"]
    )
    assert none.exit_code == 2


@pytest.mark.parametrize("answer", ["n", "y", ""])
def test_on_a_terminal_it_asks(log: SqliteLog, answer: str, tmp_path: Path) -> None:
    """Without the account's name; only a yes is one."""
    arguments = ["forget", "goes", "--log", f"sqlite:///{log._path}"]
    shown = in_terminal(*arguments, cwd=tmp_path, typed=f"{answer}\n")
    assert "Forget account" in shown
    assert "goes" not in shown
    assert ("Forgot account" in shown) == (answer == "y")
    assert of(log, "goes") == (["expired"] if answer == "y" else ["raised"])


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_where_no_person_can_answer_it_needs_yes(log: SqliteLog, words: tuple[str, ...]) -> None:
    """Whatever stdin holds: nothing is changed, and the sentence names the option."""
    done = walletwatch("forget", "goes", *words, "--log", f"sqlite:///{log._path}")
    assert done.returncode == 2
    assert "stdin is no terminal: add --yes." in done.stderr
    piped = CliRunner().invoke(
        app, ["forget", "goes", "--log", f"sqlite:///{log._path}"], input="y\n"
    )
    assert piped.exit_code == 2
    assert of(log, "goes") == ["raised"]
