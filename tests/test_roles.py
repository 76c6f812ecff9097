"""docs/roles has a first page per role: one screen, whose commands work as they are printed."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.commands import ROOT
from tests.support.role_pages import (
    EMBEDDED,
    PAGES,
    STAYS,
    commands,
    execute,
    names,
    shown,
    write_files,
)
from tests.test_docs import rows
from worker.cli.app import app
from worker.logs.sqlite.log import SqliteLog

ROLES = {"analyst", "on-call", "pipeline", "rule-author", "ticketing"}
LINES, WIDTH = 45, 100
CTRL_C = 130
VARIABLES = {"WALLETWATCH_LOG__URL": "sqlite:///demo/walletwatch.db"}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the demo has run, as the pages say."""
    folder = tmp_path_factory.mktemp("role")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert CliRunner().invoke(app, ["demo"]).exit_code == 0
    return folder


@pytest.fixture
def here(demo: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Go there; what the placeholders of pages mean there."""
    monkeypatch.chdir(demo)
    log = SqliteLog(demo / "demo" / "walletwatch.db")
    found = names(log)
    log.close()
    return found


def test_there_is_a_page_for_each_role() -> None:
    """README names each."""
    assert {page.stem for page in PAGES} == ROLES
    readme = (ROOT / "README.md").read_text("utf-8")
    assert {role for role in ROLES if f"](docs/roles/{role}.md)" in readme} == ROLES


@pages
def test_it_is_one_screen(page: Path) -> None:
    """Prose is no wider than a screen; a table's row may be."""
    lines = page.read_text("utf-8").splitlines()
    assert len(lines) <= LINES
    assert [line for line in lines if len(line) > WIDTH and not line.startswith("|")] == []


@pages
def test_it_has_what_is_needed(page: Path) -> None:
    """What you get, five commands on a log that the page makes, Kafka, and what to do when."""
    text = page.read_text("utf-8")
    first = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)[0].splitlines()
    assert first[0].strip() == EMBEDDED
    assert len(first) == 6
    assert "walletwatch demo" in text.partition(EMBEDDED)[0]
    assert re.search(r"\bYou (get|read)\b", text)
    assert "\nOn Kafka" in text
    assert len(rows(text)) >= 5


@pages
def test_its_commands_work_as_they_are_printed(page: Path, here: dict[str, str]) -> None:
    """In this order; what goes on is ended by Ctrl-C once it has printed something."""
    write_files(page, Path.cwd())
    for line in commands(page):
        ended = execute(line, here, VARIABLES)
        goes_on = bool(STAYS & {*line.split()})
        assert ended.code in ((0, CTRL_C) if goes_on else (0,)), f"{line}\n{ended.output}"
        assert ended.output.strip(), line


@pages
def test_everything_that_is_shown_is_run(page: Path) -> None:
    """Lines are commands, for the demo's log or for Kafka, or set its address."""
    assert all("walletwatch " in line or line == EMBEDDED for line in shown(page))
