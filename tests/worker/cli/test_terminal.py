"""Whatever names and texts hold, a terminal gets lines of characters that can be seen."""

import ast
import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.topics import DEAD_LETTERS, LOGINS
from tests.support.commands import ROOT, in_terminal
from tests.support.events.mutations import compact, full_login
from worker.cli import doctor
from worker.cli.app import app
from worker.codec.bad_record import bad
from worker.engine.records import NewRecord
from worker.errors import CheckFailed, LogError
from worker.logs.finding import Finding, Verdict
from worker.logs.sqlite.log import SqliteLog
from worker.run.replay import dead_line
from worker.terminal import LogLines, Mark, echo, emit, json_line, say, visible

RAW = (
    b"a\x1b[2J\x1b]0;title\x07\xc2\x9b2J\x08\x7f"
    b"\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\xff\r\nforged\x00"
)
NAME = RAW[:-1].decode("utf-8", "surrogateescape")
"""Clears the screen, names the window, deletes, turns the text around, ends the line, is no UTF-8;
as the name of a file."""
TEXT = RAW.decode("utf-8", "replace")
SEEN = r"a\x1b[2J\x1b]0;title\x07\x9b2J\x08\x7f\u202e\u2066\u2028\udcff\r\nforged"
OWN = re.compile(r"\x1b\[(?:\?25[lh]|[0-9;]*m|2K|1A)|\r(?=\x1b\[(?:2K|1A)|\n|\Z)|\n")
"""What walletwatch itself sends to a terminal: ends of lines, colors, and a progress bar."""


def unseen(shown: str) -> set[str]:
    """Return the characters of an output that a terminal would not print."""
    return {char for char in OWN.sub("", shown) if not char.isprintable()}


def piped(*arguments: str) -> str:
    """Run a command whose outputs are no terminal; return everything that it printed."""
    return CliRunner().invoke(app, arguments).output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file, a truth and a log whose names, headers and texts mean no good."""
    good = [compact(full_login(f"0{n}:00:00", event_id=f"e{n}")) for n in range(3)]
    lines = [b"{bad", json.dumps({"kind": TEXT + "\ud83d"}).encode(), *good]
    lines.append(compact(full_login(account_id=TEXT)))
    (tmp_path / NAME).write_bytes(b"\n".join(lines) + b"\n")
    log = SqliteLog(tmp_path / "log.db", partitions=1)
    raw = compact(full_login(account_id=TEXT[:100], event_id="e9"))
    log.append([NewRecord(LOGINS, TEXT.encode(), raw + RAW, 0)])
    headers = ((TEXT, RAW),)
    log.append([NewRecord(LOGINS, RAW, RAW, 0, headers)])
    wrong = bad("schema", "kind", "topic", expected="none")
    log.append([dead_line(visible(NAME), 1, RAW, wrong)])
    log.append([NewRecord(DEAD_LETTERS, RAW, RAW, 0, headers)])
    log.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


LOG = ("--log", "sqlite:///log.db")
COMMANDS: dict[str, Sequence[str]] = {
    "ingest": ("ingest", NAME, "--log", "sqlite:///other.db"),
    "ingest of nothing": ("ingest", NAME + "x", "--log", "sqlite:///other.db"),
    "validate": ("validate", NAME),
    "validate topic": ("validate", NAME, "--topic", NAME),
    "validate json": ("validate", NAME, "--json"),
    "replay": ("replay", NAME, "--out", NAME + "out"),
    "replay of nothing": ("replay", NAME + "x"),
    "replay into a file": ("replay", NAME, "--out", NAME),
    "truth": ("replay", NAME, "--truth", NAME),
    "rules": ("replay", NAME, "--rules", NAME),
    "rules diff": ("rules", "diff", NAME, NAME, NAME),
    "explain": ("explain", "e1e1e1e1", "--from", NAME),
    "explain event": ("explain", "e1", "--from", NAME),
    "convert": ("convert", NAME, "--mapping", NAME),
    "config": ("config", "check", "--config", NAME),
    "config of nothing": ("config", "check", "--config", NAME + "x"),
    "schema": ("schema", "export", NAME),
    "schema export": ("schema", "export", NAME + "schemas"),
    "schema json": ("schema", "export", NAME + "schemas", "--json"),
    "log": ("tail", LOGINS, "--log", "sqlite:///" + NAME),
    "log of nothing": ("tail", LOGINS, "--log", "sqlite:///no/" + NAME),
    "tail": ("tail", LOGINS, *LOG),
    "tail json": ("tail", LOGINS, "--json", *LOG),
    "tail dead letters": ("tail", DEAD_LETTERS, *LOG),
    "topic": ("tail", NAME, *LOG),
    "dlq": ("dlq", "peek", "--values", *LOG),
    "dlq json": ("dlq", "peek", "--values", "--json", *LOG),
    "reason": ("dlq", "peek", "--reason", NAME, *LOG),
    "command": (NAME,),
    "option": (f"--{NAME}",),
    "option of a command": ("tail", LOGINS, f"--{NAME}"),
    "number": ("tail", LOGINS, "-n", NAME),
    "stage": ("run", "--stage", NAME),
    "tasks": ("run", "--tasks", NAME, *LOG),
    "range": ("run", "--accept-dead-letters", NAME, *LOG),
    "since": ("alerts", "list", "--since", NAME, *LOG),
    "rule": ("rules", "explain", NAME),
    "demo": ("demo", "--dir", NAME),
    "simulate": ("simulate", "--output", "no/" + NAME),
    "start": ("simulate", "--start", NAME),
}


IN_TERMINAL = ("ingest", "replay", "rules diff", "tail", "tail json", "dlq", "option", "simulate")
"""Each way of printing: errors, summaries, progress, tables, records, JSON, wrong usage."""


@pytest.mark.parametrize("name", IN_TERMINAL)
def test_a_terminal_gets_nothing_that_it_would_execute_or_hide(folder: Path, name: str) -> None:
    shown = in_terminal(*COMMANDS[name], cwd=folder)
    assert shown
    assert unseen(shown) == set()
    assert not any(line.startswith("forged") for line in shown.splitlines())
    assert "internal error" not in shown


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_gets_nothing_of_it_either(name: str) -> None:
    shown = piped(*COMMANDS[name])
    assert shown
    assert {char for char in shown.replace("\n", "") if not char.isprintable()} == set()
    assert not any(line.startswith("forged") for line in shown.splitlines())
    assert "internal error" not in shown


@pytest.mark.usefixtures("folder")
def test_what_is_escaped_can_be_read() -> None:
    shown = piped("validate", NAME)
    assert shown.startswith(f"{SEEN}:1: record: not JSON")
    listed = piped("schema", "export", NAME + "x", "--json")
    assert json.loads(listed)[0].encode("utf-8", "surrogateescape").startswith(RAW[:-1])
    (tailed, *_) = piped("tail", LOGINS, "--json", *LOG).splitlines()[1:]
    assert [*json.loads(tailed)["headers"]] == [TEXT]


# -- texts of brokers, libraries and failures ---------------------------------------------


def test_what_a_broker_says_is_escaped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In findings of the doctor, and in errors."""
    SqliteLog(tmp_path / "log.db", partitions=1).close()
    found = [Finding(TEXT, verdict, TEXT, TEXT) for verdict in Verdict]
    monkeypatch.setattr(doctor, "examine", lambda *_: found)
    command = ["doctor", "--log", f"sqlite:///{tmp_path / 'log.db'}"]
    done = CliRunner().invoke(app, command)
    assert unseen(done.output) == set()
    assert len(done.output.splitlines()) == 2 * len(Verdict)

    def refuse(*_: object) -> Iterator[Finding]:
        raise LogError(f"The brokers did not answer: {TEXT}", f"  {TEXT}")

    monkeypatch.setattr(doctor, "examine", refuse)
    done = CliRunner().invoke(app, command)
    assert (unseen(done.output), done.exit_code) == (set(), 70)
    assert len(done.output.splitlines()) == 2


def test_what_libraries_log_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("library of a test")
    logger.addHandler(LogLines())
    try:
        raise ValueError(TEXT)
    except ValueError:
        logger.exception("failed: %s", TEXT)
    shown = capsys.readouterr().err
    assert shown.startswith(f"failed: {visible(TEXT)}\nTraceback (most recent call last):\n")
    assert unseen(shown) == set()


def test_each_argument_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo("a\nb", "", "c", mark=Mark("m\n", "red"))
    say("d\r", mark=Mark("e ", None))
    assert capsys.readouterr() == ("m\\na\\nb\n\nc\n", "e d\\r\n")


def test_an_error_has_lines() -> None:
    error = CheckFailed("One.", "  two")
    assert (str(error), error.lines) == ("One.\n  two", ("One.", "  two"))


@pytest.mark.parametrize(
    "char", [*map(chr, range(0x21, 0x250)), *"\u2028\u202e\u200d\U000e0001é😀"]
)
def test_json_has_its_own_escapes(char: str) -> None:
    """What is read back is what was there."""
    value = {f"k{char}": [f"{char}v", Path(f"p{char}q")]}
    line = json_line(value)
    assert line.decode().isprintable()
    assert json.loads(line) == {f"k{char}": [f"{char}v", f"p{char}q"]}


@pytest.mark.parametrize("value", ["\ud83d", {"\udcff": 1}, [Path("\udc80")]])
def test_json_has_half_a_pair_too(value: Any) -> None:
    def text(each: Any) -> Any:
        return [str(path) for path in each] if isinstance(each, list) else each

    assert json.loads(json_line(value)) == text(value)
    assert json_line(value).isascii()


def test_indented_json_is_escaped_before(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"a": "\n\x7f\u2028"}, indent=2)
    assert capsys.readouterr().out == '{\n  "a": "\\n\\u007f\\u2028"\n}\n'


# -- the one exit -------------------------------------------------------------------------

EXITS = {
    "worker/terminal.py": {"sys.stdout", "sys.stderr", "traceback.format_exception"},
    "worker/cli/printing/output.py": {
        "sys.stdout",
        "sys.stderr",
        "Console",
        "Progress",
        "typer.confirm",
    },
    # Data: lines of JSON that `json_line` or the simulation has made.
    "worker/convert/sink.py": {"sys.stdout"},
    "worker/cli/simulate.py": {"sys.stdout"},
    # Neither prints: they flush, close and prepare the streams; faulthandler escapes by itself.
    "worker/cli/app.py": {"sys.stdout", "sys.stderr"},
    # Before anything else of walletwatch can be imported; paths are printed by their repr().
    "walletwatch/packages.py": {"sys.stderr"},
    "worker/logs/kafka/watchdog.py": {"sys.stderr", "faulthandler.dump_traceback"},
}
OTHERS = {"print", "Console", "Progress", "StreamHandler", "breakpoint"}
OF_MODULES = {
    "typer": {"echo", "secho", "confirm", "prompt", "style", "launch", "progressbar"},
    "sys": {"stdout", "stderr", "__stdout__", "__stderr__", "displayhook"},
    "traceback": {"print_exc", "print_exception", "print_stack", "print_tb", "format_exception"},
    "logging": {"StreamHandler", "basicConfig", "lastResort"},
    "faulthandler": {"dump_traceback", "enable", "dump_traceback_later"},
    "os": {"write", "system", "popen", "writev"},
    "warnings": {"showwarning"},
}


def exits_of(source: str) -> set[str]:
    """Return the ways to the terminal that a module uses."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in OTHERS:
            found.add(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            named = {node.attr} & OF_MODULES.get(node.value.id, set())
            found |= {f"{node.value.id}.{name}" for name in named}
        if isinstance(node, ast.ImportFrom) and node.module in OF_MODULES:
            names = {alias.name for alias in node.names} & OF_MODULES[node.module]
            found |= {f"{node.module}.{name}" for name in names}
    return found


def test_there_is_no_other_exit() -> None:
    found = {
        str(path.relative_to(ROOT)): exits
        for top in ("worker", "rules", "schemas", "walletwatch")
        for path in (ROOT / top).rglob("*.py")
        if (exits := exits_of(path.read_text("utf-8")))
    }
    assert found == EXITS


def test_another_exit_would_be_found() -> None:
    assert exits_of("print(1)") == {"print"}
    assert exits_of("import sys\nsys.stdout.write('')") == {"sys.stdout"}
    assert exits_of("from typer import echo\necho(1)") == {"typer.echo"}
    assert exits_of("def f():\n    traceback.print_exc()") == {"traceback.print_exc"}
