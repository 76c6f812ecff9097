"""Files that commands write: private whatever the umask, refused when wider, no links followed."""

import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from tests.support.commands import ROOT, WALLETWATCH
from worker.cli.app import app

MAPPING: Final = ROOT / "examples/csv-ledger/mapping.toml"
LEDGER: Final = ROOT / "examples/csv-ledger/ledger.csv"
EVENT: Final = (
    '{"kind": "login", "event_id": "e1", "account_id": "acc-1", "action": "login", '
    '"occurred_at": "2026-03-02T00:00:00Z", "outcome": "success"}\n'
)
CONVERT: Final = ("convert", "--mapping", str(MAPPING), str(LEDGER))
SIMULATE: Final = ("simulate", "--accounts", "60", "--days", "1")
REPLAYED: Final = ("alerts", "incidents", "dead-letters", "late")
COMMANDS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "convert": ((*CONVERT, "--output", "out"), "out"),
    "rejects": ((*CONVERT, "--output", os.devnull, "--rejects", "out"), "out"),
    "simulate": ((*SIMULATE, "--output", "out"), "out"),
    "gzip": ((*SIMULATE, "--output", "out.gz"), "out.gz"),
    "truth": ((*SIMULATE, "--output", os.devnull, "--truth", "out"), "out"),
    **{
        f"replay {name}": (("replay", "events.ndjson", "--out", "."), f"{name}.ndjson")
        for name in REPLAYED
    },
}
"""Commands that write a file, and its name."""
each_output = pytest.mark.parametrize(("command", "name"), COMMANDS.values(), ids=COMMANDS)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one event."""
    monkeypatch.chdir(tmp_path)
    Path("events.ndjson").write_text(EVENT)
    return tmp_path


def run(*words: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it says."""
    ended = CliRunner().invoke(app, list(words))
    return ended.exit_code, ended.stderr


def mode(path: str | Path) -> int:
    """Return the permissions of a file or folder."""
    return stat.S_IMODE(Path(path).lstat().st_mode)


@each_output
def test_an_output_is_of_its_owner_alone(command: tuple[str, ...], name: str, umask: int) -> None:
    """Whatever the umask; also when it is written again."""
    for _ in range(2):
        assert run(*command)[0] == 0
        assert mode(name) == 0o600


@each_output
@pytest.mark.parametrize("wide", [0o644, 0o660, 0o602, 0o610])
def test_an_output_that_others_can_reach_is_refused(
    command: tuple[str, ...], name: str, wide: int
) -> None:
    """Unchanged, with code 78 and the command that mends it, which does."""
    Path(name).write_text("of before\n")
    Path(name).chmod(wide)
    code, said = run(*command)
    assert code == 78
    sentence = f"output: {name}: others can read or write it; mend that with: chmod 600 {name}"
    assert said == f"walletwatch: {sentence}\n"
    assert Path(name).read_text() == "of before\n"
    subprocess.run(shlex.split(said.rpartition("with: ")[2]), check=True)
    assert run(*command)[0] == 0
    assert "of before" not in Path(name).read_bytes().decode("utf-8", "replace")
    assert mode(name) == 0o600


def _link(name: str) -> None:
    Path("precious").write_text("precious\n")
    Path("precious").chmod(0o600)
    Path(name).symlink_to("precious")


def _hard_link(name: str) -> None:
    Path("precious").write_text("precious\n")
    Path("precious").chmod(0o600)
    Path(name).hardlink_to("precious")


def _dangling(name: str) -> None:
    Path(name).symlink_to("planted")


@each_output
@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (_link, "is a link, which no output follows: name the file itself, or remove the link."),
        (
            _dangling,
            "is a link, which no output follows: name the file itself, or remove the link.",
        ),
        (_hard_link, "has another name too (a hard link): remove it first."),
    ],
)
def test_an_output_follows_no_link(
    command: tuple[str, ...], name: str, plant: Callable[[str], None], reason: str
) -> None:
    """What the link leads to stays as it is, or away."""
    plant(name)
    code, said = run(*command)
    assert (code, said.splitlines()[-1]) == (78, f"walletwatch: {name}: {reason}")
    assert not Path("planted").exists()
    if Path("precious").exists():
        assert Path("precious").read_text() == "precious\n"


def test_what_replay_writes_beside_its_outputs_follows_no_link() -> None:
    """The part of a file that is not yet whole."""
    for name in REPLAYED:
        part = Path(f"{name}.ndjson.part")
        part.symlink_to("planted")
        code, said = run("replay", "events.ndjson", "--out", ".")
        assert code == 78
        assert f"{name}.ndjson.part: is a link" in said
        assert not Path("planted").exists()
        part.unlink(missing_ok=True)


def test_schemas_follow_no_link_either() -> None:
    """They are public: as wide as the umask says."""
    assert run("schema", "export", "made")[0] == 0
    Path("made/login.json").unlink()
    Path("made/login.json").symlink_to("../planted")
    code, said = run("schema", "export", "made")
    assert code == 78
    assert said.startswith("walletwatch: made/login.json: is a link, which no output follows")
    assert not Path("planted").exists()


def test_a_folder_that_is_made_is_of_its_owner_alone(umask: int) -> None:
    """And those above it, as far as they are made; one that was there stays as it is."""
    assert run("replay", "events.ndjson", "--out", "a/b/c")[0] == 0
    assert [mode(name) for name in ("a", "a/b", "a/b/c")] == 3 * [0o700]
    Path("there").mkdir()
    Path("there").chmod(0o755)
    assert run("replay", "events.ndjson", "--out", "there")[0] == 0
    assert (mode("there"), mode("there/alerts.ndjson")) == (0o755, 0o600)


def test_a_folder_cannot_be_where_a_file_or_a_dangling_link_is() -> None:
    """With a sentence, as before."""
    Path("file").write_text("")
    Path("link").symlink_to("gone")
    for name in ("file", "file/in", "link"):
        assert run("replay", "events.ndjson", "--out", name)[0] == 2
    assert not Path("gone").exists()


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/stderr"])
@pytest.mark.parametrize("how", ["pipe", "file"])
def test_open_descriptors_are_written_to(path: str, how: str) -> None:
    """A pipe or a file of the shell, however wide that is; nothing before it is lost."""
    asked = shlex.join([*WALLETWATCH, *CONVERT, "--output", path, "--rejects", os.devnull])
    stream = "2>&1 1>/dev/null" if path.endswith("stderr") else ""
    if how == "pipe":
        script = f"{asked} {stream} | cat > got"
    else:
        script = f"umask 022; echo of before > got; {asked} {stream.replace('&1', '>got')}"
        script += "" if stream else " >> got"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], check=False, env=environment)
    assert done.returncode == 0
    got = Path("got").read_text()
    assert '"kind":"transaction"' in got
    assert (how == "file") == got.startswith("of before\n")


def test_process_substitution_is_written_to() -> None:
    """Of a shell: its name is that of a descriptor."""
    asked = shlex.join([*WALLETWATCH, *CONVERT])
    script = f"{asked} --output >(cat > got) --rejects >(cat > bad) && wait"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    script = f"exec 9< <({script}; echo done); cat <&9"
    subprocess.run(["bash", "-c", script], check=True, env=environment, stdout=subprocess.PIPE)
    assert '"kind":"transaction"' in Path("got").read_text()


def test_pipes_with_a_name_and_devices_are_written_to() -> None:
    """Whatever their mode."""
    os.mkfifo("pipe", 0o644)
    Path("pipe").chmod(0o644)
    reader = "import sys; print(open('pipe').read().count('kind'))"
    with subprocess.Popen([sys.executable, "-c", reader], stdout=subprocess.PIPE) as reading:
        assert run(*CONVERT, "--output", "pipe")[0] == 0
        counted, _ = reading.communicate()
    assert int(counted) > 0
    assert run(*CONVERT, "--output", "/dev/null")[0] == 0


def test_the_demo_replaces_what_a_demo_of_before_has_left() -> None:
    """However wide it is; what it makes is private."""
    Path("demo").mkdir()
    for name in ("events.ndjson", "truth.ndjson", "walletwatch.db"):
        Path("demo", name).write_text("of before")
        Path("demo", name).chmod(0o644)
    Path("demo/walletwatch.db.lock").mkdir(0o755)
    assert run("demo", "--accounts", "60", "--days", "1")[0] == 0
    made = {path.name: mode(path) for path in Path("demo").iterdir()}
    assert made.pop("walletwatch.db.lock") == 0o700
    assert set(made) == {"events.ndjson", "truth.ndjson", "walletwatch.db", "walletwatch.db.key"}
    assert set(made.values()) == {0o600}


@pytest.mark.parametrize("umask", ["0", "022"])
def test_all_that_a_first_hour_makes_is_private(umask: str) -> None:
    """By processes of a shell with that umask: demo, ingest, run, replay, convert."""
    asked = shlex.join(WALLETWATCH)
    script = f"""
        set -e; umask {umask}; mkdir new; cd new
        {asked} demo --accounts 60 --days 1
        {asked} ingest demo/events.ndjson --end
        {asked} run --until-ended
        {asked} config make-key token.key
        {asked} replay demo/events.ndjson --out found
        {shlex.join([*WALLETWATCH, *CONVERT])} --output events.ndjson
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = [path for path in Path("new").rglob("*") if path.name != "__pycache__"]
    assert {"walletwatch.db", "walletwatch.db.key", "detect-0", "alerts.ndjson"} <= {
        path.name for path in made
    }
    for path in made:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
