"""The keys of account tokens: where they come from, and which files are refused."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from worker.cli.app import app
from worker.config.load import load_settings
from worker.config.settings import Settings
from worker.config.token_keys import key_beside, tokens_for
from worker.errors import ConfigError
from worker.run.open_log import open_log
from worker.tokens import PUBLIC, Tokens

URL = "sqlite:///log.db"
OWN = Path("log.db.key")
SECRET = b"hunter2-hunter2-hunter2"

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without any configuration."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(toml: str = "") -> Settings:
    """Return the settings of a configuration."""
    Path("walletwatch.toml").write_text(toml)
    return load_settings(None, {}).settings


def keep(name: str | Path, secret: bytes, mode: int = 0o600) -> None:
    """Write a key file."""
    Path(name).write_bytes(secret)
    Path(name).chmod(mode)


KEYS = "tokens = { key_id = 'k1', key_file = 'key' }"
BOTH = """
[tokens]
key_id = 'k2'
key_file = 'new'
previous_key_id = 'k1'
previous_key_file = 'key'
"""


def test_without_a_log_tokens_are_public() -> None:
    """As in replay and tests: the same everywhere."""
    assert tokens_for(settings()) is PUBLIC
    assert tokens_for(settings(), URL) is PUBLIC
    assert list(Path().glob("*.key")) == []


def test_a_configured_key_counts_everywhere() -> None:
    """With its id; neither space nor a line's end around it matters; no other is made."""
    keep("key", SECRET)
    expected = Tokens(("k1", SECRET)).of("acc-1")
    assert tokens_for(settings(KEYS)).of("acc-1") == expected
    keep("key", b" " + SECRET + b"\n")
    assert tokens_for(settings(KEYS), URL, create=True).of("acc-1") == expected
    assert not OWN.exists()


def test_the_key_of_redeliveries_is_made_from_that_of_tokens() -> None:
    """The same for the same key, another than the key itself; fixed where nothing stays."""
    keep("key", SECRET)
    keep("new", b"0123456789abcdef")
    one = tokens_for(settings(KEYS)).redelivery_key
    other = tokens_for(settings(BOTH)).redelivery_key
    assert tokens_for(settings(KEYS), URL, create=True).redelivery_key == one
    assert len({one, other, SECRET, PUBLIC.redelivery_key}) == 4
    assert {len(one), len(other), len(PUBLIC.redelivery_key)} == {32}
    assert tokens_for(settings()).redelivery_key == PUBLIC.redelivery_key


def test_the_key_of_redeliveries_is_secret_where_tokens_are_public() -> None:
    """On a log that stays and has no file for a key beside it: it is drawn."""
    first, second = (tokens_for(settings(), "kafka://broker:9092") for _ in range(2))
    assert first.of("acc-1") == second.of("acc-1") == PUBLIC.of("acc-1")
    keys = {each.redelivery_key for each in (first, second, PUBLIC)}
    assert len(keys) == 3


def test_two_keys_are_active_during_a_rotation() -> None:
    """The present one makes tokens; what the former one named is found."""
    keep("key", SECRET)
    before = tokens_for(settings(KEYS))
    keep("new", b"0123456789abcdef")
    tokens = tokens_for(settings(BOTH))
    assert tokens.of("acc-1") == Tokens(("k2", b"0123456789abcdef")).of("acc-1")
    assert tokens.all_of("acc-1") == (tokens.of("acc-1"), before.of("acc-1"))
    assert (tokens.marks.key_id, tokens.marks.former_id) == ("k2", "k1")
    former_of = tokens.marks.former_of
    assert former_of is not None
    assert former_of("device") == before.marks.of("device") != tokens.marks.of("device")


def test_a_log_gets_a_key_of_its_own_once() -> None:
    """64 hex digits that only their owner can read, announced when made; then it is used."""
    messages: list[str] = []
    first = tokens_for(settings(), URL, create=True, report=messages.append)
    assert messages == [
        "Made a key for account tokens: log.db.key; keep it secret, keep it with the log."
    ]
    assert stat.S_IMODE(OWN.stat().st_mode) == 0o600
    assert re.fullmatch(rb"[0-9a-f]{64}\n", OWN.read_bytes())
    assert re.fullmatch(r"[0-9a-f]{8}\.[0-9a-f]{16}", first.of("acc-1"))
    assert [path.name for path in Path().glob("log.db*")] == ["log.db.key"]
    for create in (True, False):
        again = tokens_for(settings(), URL, create=create, report=messages.append)
        assert again.of("acc-1") == first.of("acc-1")
    assert len(messages) == 1
    assert OWN.read_text().strip() not in messages[0]


def test_each_log_has_another_key() -> None:
    """So that tokens of two of them cannot be compared."""
    one = tokens_for(settings(), "sqlite:///one.db", create=True).of("acc-1")
    two = tokens_for(settings(), "sqlite:///two.db", create=True).of("acc-1")
    assert one.partition(".")[0] != two.partition(".")[0]
    assert one.partition(".")[2] != two.partition(".")[2]


def test_the_key_of_a_log_can_become_the_previous_one() -> None:
    """Under its id, as `config show` prints it."""
    own = tokens_for(settings(), URL, create=True)
    keep("new", b"0123456789abcdef")
    toml = BOTH.replace("'k1'", f"'{own.marks.key_id}'").replace("'key'", f"'{OWN}'")
    assert tokens_for(settings(toml), URL).all_of("acc-1")[1] == own.of("acc-1")


def test_a_key_is_made_whatever_the_umask() -> None:
    """Never readable by others, not even for a moment."""
    before = os.umask(0)
    try:
        tokens_for(settings(), URL, create=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(OWN.stat().st_mode) == 0o600


def test_workers_that_start_together_have_one_key() -> None:
    """One makes it, the others use it; none reads half of it."""
    asked, messages = settings(), list[str]()
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda _: tokens_for(asked, URL, True, messages.append), range(32))
        tokens = {each.of("acc-1") for each in made}
    assert len(tokens) == len(messages) == 1
    assert [path.name for path in Path().glob("log.db*")] == ["log.db.key"]


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o644, 0o610])
def test_a_key_that_others_can_reach_is_refused(mode: int) -> None:
    """With the command that mends it, which does."""
    keep("key", SECRET, mode)
    with pytest.raises(ConfigError) as refused:
        tokens_for(settings(KEYS))
    problem = "tokens.key_file: key: others can read or write it; mend that with: chmod 600 key"
    assert str(refused.value) == problem
    Path("key").chmod(0o600)
    tokens_for(settings(KEYS))


def test_the_keys_of_a_rotation_and_of_a_log_are_looked_at_too() -> None:
    """Each is named."""
    keep("key", SECRET, 0o644)
    keep("new", SECRET)
    with pytest.raises(ConfigError, match=r"^tokens\.previous_key_file: key: others can read"):
        tokens_for(settings(BOTH))
    keep(OWN, SECRET, 0o640)
    with pytest.raises(ConfigError, match=r"^the key of the log: log\.db\.key: others can read"):
        tokens_for(settings(), URL)


@pytest.mark.parametrize("key", [b"", b" \n", b"hunter2", b"hunter2-hunter2", b" " * 99])
def test_a_key_that_is_empty_or_too_short_is_refused(key: bytes) -> None:
    """Without telling it; the log's own is not made anew over it."""
    keep("key", key)
    keep(OWN, key)
    for toml, where in ((KEYS, "tokens.key_file: key"), ("", "the key of the log: log.db.key")):
        with pytest.raises(ConfigError) as refused:
            tokens_for(settings(toml), URL, create=True)
        assert str(refused.value) == f"{where}: needs at least 16 bytes."
    assert OWN.read_bytes() == key


def test_a_key_file_that_is_not_there_is_told() -> None:
    """By the setting that names it."""
    with pytest.raises(ConfigError, match=r"^tokens\.key_file: key: No such file"):
        tokens_for(settings(KEYS))
    with pytest.raises(ConfigError, match=r"^the key of the log: gone/log\.db\.key: No such file"):
        tokens_for(settings(), "sqlite:///gone/log.db", create=True)


def test_run_makes_the_key_and_says_so_once() -> None:
    """On stderr; a key that others can read ends it with 78."""
    Path("events.ndjson").write_text(
        '{"kind": "login", "event_id": "e1", "account_id": "acc-1", "action": "login", '
        '"occurred_at": "2026-03-02T00:00:00Z", "outcome": "success"}\n'
    )
    run(app, ["ingest", "events.ndjson", "--end", "--log", URL])
    assert not OWN.exists()
    args = ["run", "--until-ended", "--log", URL]
    first = run(app, args)
    assert first.exit_code == 0
    assert "Made a key for account tokens: log.db.key; keep it secret" in first.stderr
    key = OWN.read_bytes()
    again = run(app, args)
    assert (again.exit_code, OWN.read_bytes()) == (0, key)
    assert "Made a key" not in again.stderr
    OWN.chmod(0o644)
    refused = run(app, args)
    assert refused.exit_code == 78
    assert "chmod 600 log.db.key" in refused.stderr


def test_what_only_looks_makes_no_key() -> None:
    """Neither the configuration's commands nor those that read the log."""
    open_log(URL).close()
    for args in (["incidents", "list", "--account", "a"], ["config", "check"], ["config", "show"]):
        assert run(app, [*args, "--log", URL]).exit_code == 0
    beside = key_beside(URL)
    assert beside is not None
    assert not beside.exists()
