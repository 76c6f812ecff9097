"""The start of a command: light, ended by a signal at any moment, and safe from other packages."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
import typer.main

from tests.support.commands import ROOT, WALLETWATCH, heed_ctrl_c
from walletwatch.packages import shadowed
from worker.cli.app import app
from worker.cli.commands import COMMANDS
from worker.logs.sqlite.log import SqliteLog

COMMON: Final = ("alerts list", "incidents list", "dlq peek", "config check", "doctor")
"""Commands that people and scripts start often."""
BY_SIGNAL: Final = {signal.SIGINT: 130, signal.SIGTERM: 143}
INTERRUPTING: Final = """
import os, sys

class Interrupting:
    counted = 0

    def __call__(self, event, arguments):
        if event != "import":
            return
        if self.counted or arguments[0].startswith("worker"):
            self.counted += 1
            if self.counted == int(os.environ["AT_IMPORT"]):
                os.kill(os.getpid(), int(os.environ["BY"]))

sys.addaudithook(Interrupting())
"""
"""A `sitecustomize`: sends itself a signal at the n-th import after the first of the worker."""
LOADED: Final = """
import atexit, json, os, sys

def write():
    with open(os.environ["LOADED"], "w") as file:
        json.dump(sorted(sys.modules), file)

atexit.register(write)
"""
HEAVY: Final = {
    "kafka",
    "prometheus_client",
    "rich",
    "worker.codec",
    "worker.convert",
    "worker.detect.stage",
    "worker.evaluate",
    "worker.observe",
    "worker.run.runner",
    "worker.simulate",
    "worker.triage",
}
"""What commands that only look at the log or the configuration have no use for."""


@pytest.fixture
def log(tmp_path: Path) -> str:
    """The URL of a log that holds nothing."""
    SqliteLog(tmp_path / "log.db").close()
    return f"sqlite:///{tmp_path / 'log.db'}"


def ended(
    command: Sequence[str], folder: Path, *path: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with folders on its path before walletwatch."""
    return subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))),
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=heed_ctrl_c,
        timeout=240,
    )


# -- imports ----------------------------------------------------------------------------


def test_the_list_of_commands_has_what_each_says_itself() -> None:
    """Also that each can be imported, and is what it is called."""
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.name == name
        assert " ".join(command.help.partition("\n\n")[0].split()) == COMMANDS[name].help


@pytest.mark.parametrize("command", ["--help", "--version", *COMMON])
def test_a_light_command_imports_nothing_heavy(command: str, log: str, tmp_path: Path) -> None:
    """Its time is that of its imports."""
    (tmp_path / "sitecustomize.py").write_text(LOADED)
    done = ended(
        [*WALLETWATCH, *command.split()],
        tmp_path,
        tmp_path,
        LOADED=str(tmp_path / "loaded"),
        WALLETWATCH_LOG__URL=log,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads((tmp_path / "loaded").read_text()))
    assert "typer" in loaded
    assert HEAVY & loaded == set()
    if command.startswith("--"):
        assert {"pydantic", "rules.registry", "worker.config.load"} & loaded == set()


# -- signals ----------------------------------------------------------------------------


@pytest.mark.parametrize("by", BY_SIGNAL, ids=lambda by: by.name)
@pytest.mark.parametrize("command", ["run", "alerts list", "config check", "--help"])
def test_a_signal_while_it_imports_ends_it_quietly(
    command: str, by: signal.Signals, log: str, tmp_path: Path
) -> None:
    """At the first import, and in the midst of others."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    for moment in (1, 30, 100):
        done = ended(
            [*WALLETWATCH, *command.split()],
            tmp_path,
            tmp_path,
            AT_IMPORT=str(moment),
            BY=str(int(by)),
            WALLETWATCH_LOG__URL=log,
        )
        shown = (done.returncode, done.stdout, done.stderr)
        assert shown == (BY_SIGNAL[by], "", ""), f"at import {moment}"


@pytest.mark.parametrize("command", ["run", "alerts list"])
def test_ctrl_c_at_any_moment_gives_no_traceback(command: str, log: str, tmp_path: Path) -> None:
    """From the first line of walletwatch on: before it, Python itself is what ends."""
    (tmp_path / "walletwatch.toml").write_text(f'[log]\nurl = "{log}"\n')
    began = time.monotonic()
    ended([*WALLETWATCH, "config", "check"], tmp_path)
    whole = 1.5 * (time.monotonic() - began)
    codes = set()
    for share in range(1, 13):
        process = subprocess.Popen(
            [*WALLETWATCH, *command.split()],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - as above
        )
        time.sleep(whole * share / 13)  # the moment is the input here
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=240)
        if str(ROOT).encode() in said or b"Traceback" not in said:
            assert b"Traceback" not in said
            codes.add(process.returncode)
    assert 130 in codes
    assert codes <= {0, 130, -signal.SIGINT}


def test_what_a_shell_lets_ignore_ctrl_c_ignores_it(tmp_path: Path) -> None:
    """Such as a job in the background."""
    (tmp_path / "sitecustomize.py").write_text(
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + INTERRUPTING
    )
    done = ended(
        [*WALLETWATCH, "--version"], tmp_path, tmp_path, AT_IMPORT="30", BY=str(int(signal.SIGINT))
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["--help", "alerts --help", "alerts list --help", "rules list"])
def test_a_closed_pipe_ends_it_quietly(command: str, tmp_path: Path) -> None:
    """Help too: as in `walletwatch --help | true`."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*WALLETWATCH, *command.split()],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=240,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


# -- packages of others -------------------------------------------------------------------


def test_nothing_is_shadowed_here() -> None:
    assert shadowed() is None


@pytest.mark.parametrize("form", ["{}/__init__.py", "{}.py"])
@pytest.mark.parametrize("name", ["schemas", "rules", "worker"])
def test_a_package_of_another_project_on_pythonpath_is_named(
    name: str, form: str, tmp_path: Path
) -> None:
    """In one sentence, with what to do."""
    other = tmp_path / form.format(name)
    other.parent.mkdir(exist_ok=True)
    other.write_text("raise RuntimeError('it is not imported')\n")
    (tmp_path / "elsewhere").mkdir()
    done = ended([*WALLETWATCH, "--version"], tmp_path / "elsewhere", tmp_path)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"walletwatch: the package {name} is not walletwatch's own: ")
    assert done.stderr.endswith(f"Take {str(tmp_path)!r} out of PYTHONPATH.\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["schemas", "rules"])
@pytest.mark.parametrize("module", ["walletwatch", "worker.cli.app"])
def test_a_package_in_the_current_directory_is_named(
    name: str, module: str, tmp_path: Path
) -> None:
    """There `python -m` looks first."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    done = ended([sys.executable, "-m", module, "alerts", "list"], tmp_path)
    assert (done.returncode, done.stdout) == (78, "")
    assert f"the package {name} is not walletwatch's own" in done.stderr
    assert done.stderr.endswith("or with `walletwatch` instead of `python -m`.\n")
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_package_shadows_nothing(tmp_path: Path) -> None:
    """Such as schemas/ with JSON files."""
    (tmp_path / "schemas").mkdir()
    done = ended([*WALLETWATCH, "--version"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_of_the_same_environment_is_named(tmp_path: Path) -> None:
    """Which a .pth file has put before."""
    (tmp_path / "site" / "rules").mkdir(parents=True)
    (tmp_path / "site" / "rules" / "__init__.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.path.insert(1, {str(tmp_path / 'site')!r})\n"
    )
    done = ended([*WALLETWATCH, "--version"], tmp_path, tmp_path)
    assert done.returncode == 78
    assert done.stderr.endswith("Install walletwatch in a virtual environment of its own.\n")
