"""The command line as a whole: how commands end, and what is said then."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from schemas.topics import ALERTS
from tests.support.commands import ROOT, WALLETWATCH, heed_ctrl_c
from worker.cli import rules
from worker.cli.app import app
from worker.cli.printing.output import visible
from worker.engine.records import NewRecord
from worker.errors import CheckFailed, ConfigError, LogError, UsageError
from worker.run.open_log import open_log

SECRET = "hunter2"

run = CliRunner().invoke


@contextmanager
def started(*args: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start walletwatch as a process of its own, with Ctrl-C as a terminal gives it.

    Tests in the background of a shell inherit that it is ignored.
    """
    with subprocess.Popen(
        [*WALLETWATCH, *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - it makes one call of the system, and no lock
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """The URL of a log with more alerts than a pipe holds."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    log = open_log(url)
    log.append([NewRecord(ALERTS, b"auth", b"x" * 1000, 0) for _ in range(1000)])
    log.close()
    return url


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `rules list` raise this."""

    def load(*args: object) -> None:
        raise error

    monkeypatch.setattr(rules, "load_settings", load)


def test_version_and_help_need_nothing_else() -> None:
    """Neither command nor configuration."""
    assert run(app, ["--version"]).stdout.startswith("walletwatch")
    assert "Exit codes: 0 fine" in run(app, ["--help"]).stdout


def paths(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of a command, and of every one below it."""
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from paths(child, *words, name)


def test_every_command_and_group_takes_h() -> None:
    """The same as --help."""
    every = list(paths(typer.main.get_command(app)))
    assert {(), ("alerts",), ("alerts", "list")} < set(every)
    for words in every:
        short, long = run(app, [*words, "-h"]), run(app, [*words, "--help"])
        assert (short.exit_code, short.stdout) == (0, long.stdout)
        assert short.stdout.startswith("Usage: ")


@pytest.mark.parametrize("args", [[], ["nothing"], ["tail"], ["rules", "list", "--nothing"]])
def test_wrong_usage_exits_2(args: list[str]) -> None:
    """With the usage, on stderr unless the help itself was what is shown."""
    ended = run(app, args)
    assert ended.exit_code == 2
    assert "Usage: " in ended.output


@pytest.mark.parametrize("args", [[], ["alerts"], ["rules"]])
def test_a_group_alone_prints_its_help(args: list[str]) -> None:
    """Line by line, as --help does."""
    alone = run(app, args)
    assert (alone.exit_code, alone.stderr) == (2, run(app, [*args, "--help"]).stdout)


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError, 2), (CheckFailed, 1), (ConfigError, 78), (LogError, 70)]
)
def test_known_errors_are_one_sentence_and_an_exit_code(
    error: type[Exception], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, without a traceback."""
    raising(error("A whole sentence."), monkeypatch)
    ended = run(app, ["rules", "list"])
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert ended.stderr == "walletwatch: A whole sentence.\n"


def test_unknown_errors_tell_type_and_place_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their message may quote an event; the traceback is for those who ask."""
    raising(KeyError(SECRET), monkeypatch)
    ended = run(app, ["rules", "list"])
    assert (ended.exit_code, ended.stdout) == (70, "")
    assert "internal error: KeyError in worker.cli.rules, line " in ended.stderr
    assert SECRET not in ended.stderr
    assert "Traceback" not in ended.stderr
    asked = run(app, ["rules", "list"], env={"WALLETWATCH_DEBUG": "1"})
    assert asked.exit_code == 70
    assert "Traceback" in asked.stderr
    assert SECRET in asked.stderr


def test_an_error_of_the_system_is_told_by_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold no event."""
    raising(OSError(28, "No space left on device"), monkeypatch)
    ended = run(app, ["rules", "list"])
    assert ended.exit_code == 70
    assert "internal error: OSError (No space left on device) in worker.cli.rules" in ended.stderr


def test_ctrl_c_ends_quietly(filled: str) -> None:
    """With the exit code that shells know, and no traceback."""
    with started("tail", ALERTS, "--log", filled, "-n", "1", "--follow") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""


def test_a_reader_that_has_seen_enough_ends_it_quietly(filled: str) -> None:
    """As in `walletwatch tail ... | head -1`."""
    with started("tail", ALERTS, "--log", filled, "--from-start") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""


def test_output_to_a_pipe_is_plain(filled: str) -> None:
    """No colours, no boxes, no lines cut to a width."""
    with started("config", "show", "--log", filled) as process:
        out, _ = process.communicate(timeout=30)
    assert b"\x1b" not in out
    assert filled.encode() in out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Überweisung 12.50 €", "Überweisung 12.50 €"),
        ("a\x1b[2Jb\n", "a\\x1b[2Jb\\n"),
        ("\u202eabc", "\\u202eabc"),
        ("\udc80", "\\udc80"),
    ],
)
def test_nothing_shown_can_command_the_terminal(text: str, shown: str) -> None:
    """Events are written by others."""
    assert visible(text) == shown
