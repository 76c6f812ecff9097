"""The log and what is beside it: of its owner alone whatever the umask, refused when wider."""

import os
import shlex
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.sqlite_logs import TOPICS, fill, session
from worker.cli.app import app
from worker.errors import ConfigError
from worker.logs.sqlite.log import SqliteLog

NAMES = ("log.db", "log.db-wal", "log.db-shm", "log.db.lock", "log.db.lock/detect-0")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened() -> SqliteLog:
    """Open the log, or make it."""
    return SqliteLog(Path("log.db"), TOPICS)


def modes() -> dict[str, int]:
    """Return the permissions of all there is."""
    found = (path for path in Path().rglob("*") if not path.is_symlink())
    return {str(path): stat.S_IMODE(path.lstat().st_mode) for path in found}


def test_a_log_is_of_its_owner_alone(umask: int) -> None:
    """Its -wal and -shm, the lock files and their folder too; also when it is opened again."""
    for _ in range(2):
        with closing(opened()) as log:
            fill(log, 10)
            with closing(session(log)):
                found = modes()
        assert set(found) == set(NAMES)
        assert found.pop("log.db.lock") == 0o700
        assert set(found.values()) == {0o600}


@pytest.mark.parametrize("name", NAMES[:-1])
@pytest.mark.parametrize("bit", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
def test_each_part_that_others_can_reach_is_refused(name: str, bit: int) -> None:
    """While a worker is at work, for one; the command of the sentence mends it."""
    with closing(opened()) as log:
        fill(log, 10)
        with closing(session(log)):
            Path(name).chmod(Path(name).stat().st_mode | bit)
            with pytest.raises(ConfigError) as refused:
                opened()
            assert str(refused.value).startswith(f"log.url: {Path(name).resolve()}: others can")
            subprocess.run(shlex.split(str(refused.value).rpartition("with: ")[2]), check=True)
            opened().close()
    assert Path("log.db").exists()


def test_one_command_mends_a_log_that_a_release_before_made() -> None:
    """File, -wal, -shm, lock files and their folder: all as a umask of 022 makes them."""
    with closing(opened()) as log:
        fill(log, 10)
        with closing(session(log)):
            for name in NAMES:
                Path(name).chmod(0o755 if Path(name).is_dir() else 0o644)
            for command in (["run"], ["alerts", "list"], ["ingest", os.devnull], ["doctor"]):
                ended = CliRunner().invoke(app, [*command, "--log", "sqlite:///log.db"])
                assert (ended.exit_code, ended.stdout) == (78, "")
                assert ended.stderr.startswith("walletwatch: log.url: ")
                mend = ended.stderr.rpartition("mend that with: ")[2]
            subprocess.run(shlex.split(mend), check=True)
            found = modes()
    assert found == {**dict.fromkeys(NAMES, 0o600), "log.db.lock": 0o700}
    with closing(opened()) as log:
        assert len(log.read("in", 0, 0, 20)) == 10


def test_a_log_in_good_order_is_named_by_no_link_of_another() -> None:
    """A link to a log is followed, as before: the modes that count are those of the log."""
    opened().close()
    Path("link.db").symlink_to("log.db")
    SqliteLog(Path("link.db"), TOPICS).close()
    Path("log.db").chmod(0o644)
    with pytest.raises(ConfigError, match=r"log\.db: others can read"):
        SqliteLog(Path("link.db"), TOPICS)


def test_a_lock_file_that_is_a_link_is_not_followed() -> None:
    """It is neither emptied nor written to."""
    with closing(opened()) as log:
        Path("log.db.lock").mkdir(0o700)
        Path("precious").write_text("precious")
        Path("log.db.lock/detect-0").symlink_to("../precious")
        with pytest.raises(Exception, match="Cannot lock tasks in"):
            session(log)
    assert Path("precious").read_text() == "precious"
