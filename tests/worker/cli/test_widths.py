"""Tables in terminals of any width: what is copied from them is whole."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.commands import in_terminal
from tests.worker.cli.test_alerts import step
from tests.worker.cli.test_incidents import revision
from worker.cli.app import app
from worker.cli.printing import output
from worker.run.open_log import open_log

ID = "0123456789abcdef0123456789abcdef"
OTHER = "0123456789abcdef" + 16 * "f"
ACCOUNT = "account-of-a-platform-with-long-names-100200300"
RULE = "failed_payment_sufficient_balance"
EVENT = "event-0123456789-0123456789-0123456789"
EVIDENCE = {
    "topic": "wallet.transactions", "partition": 3, "offset": 17, "event_id": EVENT, "role": "debit"
}  # fmt: skip
SHOWN = {
    "alerts list": (ID, OTHER, RULE, ACCOUNT, "2026-03-09T10:01:00.000Z"),
    "incidents list": (ID, OTHER),
    f"incidents show {ID}": (ID, EVENT, "wallet.transactions"),
    "explain 012345": (ID, OTHER, RULE),
    "config show": ("rules.failed_payment_sufficient_balance.max_balance_age_ms",),
}
"""Words of the output of a command that are whole wherever it is printed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log of an empty configuration, which holds long ids."""
    folder = tmp_path_factory.mktemp("folder")
    log = open_log(f"sqlite:///{folder / 'walletwatch.db'}")
    log.append([step(each, rule=RULE, account_id=ACCOUNT) for each in (ID, OTHER)])
    log.append(
        [
            revision(each, 1, "opened", "open", evidence=[EVIDENCE], evidence_total=1)
            for each in (ID, OTHER)
        ]
    )
    log.close()
    return folder


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
@pytest.mark.parametrize("command", SHOWN)
def test_no_word_is_cut_at_any_width(command: str, columns: int, folder: Path) -> None:
    shown = in_terminal(*command.split(), cwd=folder, columns=columns)
    for word in SHOWN[command]:
        assert word in shown
    assert "\u2026" not in shown


@pytest.mark.parametrize("command", SHOWN)
def test_no_word_is_cut_in_a_pipe(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    shown = CliRunner().invoke(app, command.split(), env={"COLUMNS": "40"}).output
    for word in SHOWN[command]:
        assert word in shown


@pytest.mark.parametrize("room", range(1, 200, 3))
def test_a_table_fits_or_is_no_table(room: int) -> None:
    """No column is narrower than its longest word, nor are all of them wider than the room."""
    columns = [("alert", ID), ("title", "some words of a title"), ("n", "")]
    widths = output._widths(columns, room)
    least = len(ID) + len("title") + len("n") + 3 * len(columns)
    assert (widths is None) == (room < least)
    if widths is not None:
        assert sum(widths) + 3 * len(columns) <= room
        assert all(
            width >= len(word)
            for width, column in zip(widths, columns, strict=True)
            for cell in column
            for word in cell.split()
        )


def test_a_paragraph_has_the_heads_of_all_that_it_holds() -> None:
    head, line = ("alert", "rule", "title", "none"), (ID, RULE, "a title of six short words", "")
    assert output._paragraph(head, line, 40) == [
        f"alert: {ID}",
        "  rule:",
        f"  {RULE};",
        "  title: a title of six short words",
    ]
