"""Every exit code that the help of a command names can happen, and no other does here.

A line of `CASES` is a code and a command that ends with it, in a folder where `bad.toml` is a wrong
configuration, `text.db` no log, and `demo` what the demo has made. What needs a cluster is shown by
the test that `ELSEWHERE` names.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from scripts.docs import leaves
from scripts.exit_codes import exit_codes
from tests.support.commands import ROOT
from tests.support.role_pages import names
from worker.cli.app import app
from worker.logs.sqlite.log import SqliteLog

CASES = """
0 demo --dir other --accounts 60 --days 1
2 demo --dir text.db --accounts 60 --days 1
70 demo --dir other --accounts 60 --days 1 --log sqlite:///text.db
78 demo --dir other --accounts 60 --days 1 --log foo://bar
0 run --until-ended
1 run --until-ended --log sqlite:///bad.db
2 run --tasks x
70 run --log sqlite:///text.db
78 run --config bad.toml
0 ingest one.ndjson --log sqlite:///more.db
1 ingest bad.ndjson --log sqlite:///more.db
2 ingest none.ndjson --log sqlite:///more.db
70 ingest one.ndjson --log sqlite:///text.db
78 ingest one.ndjson --config bad.toml
0 replay one.ndjson
1 replay bad.ndjson
2 replay none.ndjson
78 replay one.ndjson --config bad.toml
0 convert --mapping MAPPING LEDGER --output new.ndjson
1 convert --mapping MAPPING bad.csv --output new.ndjson
2 convert --mapping MAPPING none.csv
78 convert --mapping bad.toml LEDGER
0 validate one.ndjson
1 validate bad.ndjson
2 validate none.ndjson
78 validate one.ndjson --config bad.toml
0 explain ALERT_ID
1 explain 000000
2 explain ALERT_ID --from none.ndjson
70 explain ALERT_ID --log sqlite:///text.db
78 explain ALERT_ID --config bad.toml
0 tail wallet.alerts
2 tail wallet.nothing
70 tail wallet.alerts --log sqlite:///text.db
78 tail wallet.alerts --config bad.toml
0 simulate --accounts 1 --days 1 --output new.ndjson
2 simulate --accounts 1 --days 1 --output none/new.ndjson
70 simulate --accounts 1 --days 1 --log sqlite:///text.db
78 simulate --accounts 1 --days 1 --log foo://bar
0 forget ACCOUNT --yes
1 forget nobody --yes
2 forget ACCOUNT --yes --log sqlite:///none.db
70 forget ACCOUNT --yes --log sqlite:///text.db
78 forget ACCOUNT --yes --config bad.toml
0 doctor
2 doctor --log sqlite:///none.db
70 doctor --log sqlite:///text.db
78 doctor --config bad.toml
0 rules list
78 rules list --config bad.toml
0 rules explain A5
2 rules explain A9
78 rules explain A5 --config bad.toml
0 rules test A5
2 rules test A9
78 rules test --config bad.toml
0 rules diff empty.toml empty.toml one.ndjson
1 rules diff empty.toml empty.toml demo/events.ndjson --max-pages-per-day 0
2 rules diff empty.toml empty.toml none.ndjson
78 rules diff bad.toml empty.toml one.ndjson
0 alerts list
2 alerts list --rule A9
70 alerts list --log sqlite:///text.db
78 alerts list --config bad.toml
0 incidents list
2 incidents list --rule A9
70 incidents list --log sqlite:///text.db
78 incidents list --config bad.toml
0 incidents show INCIDENT_ID
1 incidents show none
2 incidents show INCIDENT_ID --log sqlite:///none.db
70 incidents show INCIDENT_ID --log sqlite:///text.db
78 incidents show INCIDENT_ID --config bad.toml
0 dlq peek
2 dlq peek --reason none
70 dlq peek --log sqlite:///text.db
78 dlq peek --config bad.toml
0 dlq replay
1 dlq replay --log sqlite:///dead.db
2 dlq replay --reason none
70 dlq replay --log sqlite:///text.db
78 dlq replay --config bad.toml
0 config check
78 config check --config bad.toml
0 config show
78 config show --config bad.toml
0 config make-key new.key
78 config make-key empty.toml
0 config schema
78 config schema --config modules.toml
78 topics create
78 topics check
78 topics accept wallet.logins --from oldest
0 topics acls
78 topics acls --config bad.toml
0 schema export new
2 schema export text.db
78 schema export linked
"""

ELSEWHERE = {
    ("doctor", 1): "tests/failure/test_doctor.py",
    ("rules test", 1): "tests/test_own_rule.py",
    ("topics create", 0): "tests/worker/logs/kafka/test_kafka_topics.py",
    ("topics create", 1): "tests/worker/logs/kafka/test_kafka_topics.py",
    ("topics create", 70): "tests/worker/logs/kafka/test_kafka_topics.py",
    ("topics check", 0): "tests/worker/logs/kafka/test_kafka_topics.py",
    ("topics check", 1): "tests/worker/logs/kafka/test_kafka_topics.py",
    ("topics check", 70): "tests/worker/logs/kafka/test_kafka_topics.py",
    ("topics accept", 0): "tests/failure/test_kafka_changes.py",
    ("topics accept", 2): "tests/failure/test_kafka_changes.py",
    ("topics accept", 70): "tests/failure/test_kafka_changes.py",
}
"""Files of the tests that show the rest."""

LEDGER = ROOT / "examples" / "csv-ledger"
HEADS = {
    " ".join(path.split()[1:]): leaf for path, leaf in leaves("x", typer.main.get_command(app))
}
NO_EVENT = "no event\n"
BAD_EVENT = (
    '{"kind":"login","account_id":"a","event_id":"e","occurred_at":"2026-01-01T00:00:00Z"}\n'
)
EVENT = BAD_EVENT.replace("}", ',"action":"login","outcome":"success"}')


def cases() -> Iterator[tuple[str, int, list[str]]]:
    """Yield (command, code, its words)."""
    for line in CASES.strip().splitlines():
        code, *words = line.split()
        two = " ".join(words[:2])
        yield two if two in HEADS else words[0], int(code), words


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with logs and files, and what the placeholders mean there."""
    folder = tmp_path_factory.mktemp("codes")
    bad_row = (LEDGER / "ledger.csv").read_text("utf-8").splitlines()[1].replace("2026", "then")
    files = {
        "bad.toml": "nonsense = 1\n",
        "empty.toml": "",
        "modules.toml": 'rules.modules = ["none_such"]\n',
        "text.db": "no log\n" * 1000,
        "one.ndjson": EVENT,
        "bad.ndjson": NO_EVENT,
        "wrong.ndjson": "".join(BAD_EVENT.replace('"a"', f'"a{n}"') for n in range(800)),
        "bad.csv": (LEDGER / "ledger.csv").read_text("utf-8") + bad_row + "\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "linked").mkdir()
    (folder / "linked" / "alert.json").symlink_to(folder / "empty.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in (
            "demo --accounts 60 --days 1",
            "ingest wrong.ndjson --end --log sqlite:///bad.db",
            "ingest bad.ndjson --log sqlite:///dead.db",
        ):
            CliRunner().invoke(app, line.split())
    log = SqliteLog(folder / "demo" / "walletwatch.db")
    found = names(log)
    log.close()
    return folder, found | {
        "MAPPING": str(LEDGER / "mapping.toml"),
        "LEDGER": str(LEDGER / "ledger.csv"),
    }


@pytest.mark.parametrize(("command", "code", "words"), list(cases()))
def test_a_command_ends_with_its_code(
    command: str,
    code: int,
    words: list[str],
    scene: tuple[Path, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, placeholders = scene
    monkeypatch.chdir(folder)
    variables = {"WALLETWATCH_LOG__URL": "sqlite:///demo/walletwatch.db"}
    done = CliRunner().invoke(app, [placeholders.get(word, word) for word in words], env=variables)
    assert done.exit_code == code, done.output


def test_every_code_that_a_help_names_happens() -> None:
    """And what happens is named."""
    named = {(head, code) for head, leaf in HEADS.items() for code in exit_codes(leaf)}
    shown = {(command, code) for command, code, _ in cases()}
    assert shown | ELSEWHERE.keys() == named
    assert shown.isdisjoint(ELSEWHERE)


def test_what_is_shown_elsewhere_is_there() -> None:
    """The file names the command's words and looks at codes."""
    for (command, _), file in ELSEWHERE.items():
        text = (ROOT / file).read_text("utf-8")
        assert all(f'"{word}"' in text for word in command.split()), (command, file)
