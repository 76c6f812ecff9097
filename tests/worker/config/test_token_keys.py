"""The keys of account tokens: where they come from, and which files are refused."""

import json
import os
import re
import stat
from collections.abc import Callable
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
KAFKA = "kafka://127.0.0.1:1"
"""Where no broker is."""
OWN = Path("log.db.key")
PUBLIC_BY_NAME = "tokens.key_id = 'public'"
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


@pytest.mark.parametrize("url", [KAFKA, URL])
def test_the_key_of_redeliveries_is_secret_where_tokens_are_public(url: str) -> None:
    """On a log that stays, with the public key by name: it is drawn, and no key is made."""
    asked, said = settings(PUBLIC_BY_NAME), list[str]()
    first, second = (tokens_for(asked, url, create=True, report=said.append) for _ in range(2))
    assert said == 2 * [
        (
            "Account tokens and ids of alerts use the public key, which hides nothing: set "
            "tokens.key_file."
        )
    ]
    assert not OWN.exists()
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


NO_KEY = (
    "tokens.key_file: a log on Kafka needs a key for account tokens, and none is configured. Make "
    "one with: walletwatch config make-key token.key; set tokens.key_file to that file, and "
    'tokens.key_id to a name for the key. Or set tokens.key_id = "public": the public key, which '
    "hides nothing."
)


@pytest.mark.parametrize("create", [True, False])
def test_a_log_on_kafka_needs_a_key(create: bool) -> None:
    """One that is configured, or the public one by name; no other is made or taken."""
    with pytest.raises(ConfigError) as refused:
        tokens_for(settings(), KAFKA, create=create)
    assert str(refused.value) == NO_KEY
    assert list(Path().glob("*.key")) == []
    keep("key", SECRET)
    tokens = tokens_for(settings(KEYS), KAFKA, create=create)
    assert tokens.of("acc-1") == Tokens(("k1", SECRET)).of("acc-1") != PUBLIC.of("acc-1")


@pytest.mark.parametrize("command", [["run"], ["run", "--stage", "triage"], ["config", "check"]])
def test_without_a_key_nothing_on_kafka_starts(command: list[str]) -> None:
    """With code 78 and what to do, before a broker is asked."""
    ended = run(app, [*command, "--log", KAFKA])
    assert (ended.exit_code, ended.stdout) == (78, "")
    assert ended.stderr == f"walletwatch: {NO_KEY}\n"


def test_what_the_sentence_advises_works() -> None:
    """The command makes a key, which the configuration then names; the way out is one too."""
    (command,) = re.findall(r"walletwatch (config make-key token\.key)", NO_KEY)
    assert run(app, command.split()).exit_code == 0
    named = {"WALLETWATCH_TOKENS__KEY_FILE": "token.key", "WALLETWATCH_TOKENS__KEY_ID": "k1"}
    assert run(app, ["config", "check", "--log", KAFKA], env=named).stderr == ""
    (line,) = re.findall(r'tokens\.key_id = "public"', NO_KEY)
    Path("walletwatch.toml").write_text(line)
    checked = run(app, ["config", "check", "--log", KAFKA])
    assert checked.exit_code == 0
    assert checked.stderr.startswith("warning: account tokens and ids of alerts use the public key")


def test_a_key_is_made_by_command_once() -> None:
    """64 hex digits for its owner alone, never printed; what is there stays as it is."""
    made = run(app, ["config", "make-key", "token.key"])
    assert made.stdout == "Made a key for account tokens: token.key; keep it secret, and keep it.\n"
    key = Path("token.key").read_bytes()
    assert re.fullmatch(rb"[0-9a-f]{64}\n", key)
    assert stat.S_IMODE(Path("token.key").stat().st_mode) == 0o600
    again = run(app, ["config", "make-key", "token.key"])
    assert (again.exit_code, again.stdout) == (0, "token.key has a key: it stays as it is.\n")
    listed = run(app, ["config", "make-key", "token.key", "--json"])
    assert json.loads(listed.stdout) == {"file": "token.key", "made": False}
    assert Path("token.key").read_bytes() == key


def test_a_key_is_not_made_over_what_is_no_key() -> None:
    """An empty file, a link to nothing, a folder, a file that is open to others, no folder."""
    keep("empty", b"")
    keep("wide", SECRET, 0o644)
    Path("dangling").symlink_to("gone")
    Path("folder").mkdir()
    for name, reason in (
        ("empty", "needs at least 16 bytes."),
        ("wide", "others can read or write it; mend that with: chmod 600 wide"),
        ("dangling", "is a link to a file that is not there."),
        ("folder", "Is a directory."),
        ("missing/key", "No such file or directory."),
    ):
        refused = run(app, ["config", "make-key", name])
        assert (refused.exit_code, refused.stderr) == (
            78,
            f"walletwatch: FILE: {name}: {reason}\n",
        )
    assert not Path("gone").exists()


def _dangling(path: Path) -> None:
    path.symlink_to("gone")


def _in_a_circle(path: Path) -> None:
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _space(path: Path) -> None:
    keep(path, b" \r\n\t\n")


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (_dangling, "is a link to a file that is not there."),
        (_in_a_circle, "Too many levels of symbolic links."),
        (Path.mkdir, "Is a directory."),
        (_pipe, "is not a regular file."),
        (_space, "needs at least 16 bytes."),
        (lambda path: keep(path, b""), "needs at least 16 bytes."),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file."),
    ],
)
def test_what_is_no_key_never_counts_as_none(what: Callable[[Path], None], reason: str) -> None:
    """Configured, the former one, or the log's own: no other key is taken or made instead."""
    keep("good", SECRET)
    what(Path("bad"))
    what(OWN)
    former = BOTH.replace("'new'", "'good'").replace("'key'", "'bad'")
    for toml, url, where in (
        (KEYS.replace("'key'", "'bad'"), URL, "tokens.key_file: bad"),
        (KEYS.replace("'key'", "'bad'"), KAFKA, "tokens.key_file: bad"),
        (former, KAFKA, "tokens.previous_key_file: bad"),
        ("", URL, "the key of the log: log.db.key"),
    ):
        for create in (True, False):
            with pytest.raises(ConfigError) as refused:
                tokens_for(settings(toml), url, create=create)
            assert str(refused.value) == f"{where}: {reason}"
    assert not Path("gone").exists()


def test_a_link_to_a_key_is_followed() -> None:
    """As where a platform mounts secrets."""
    keep("..data", SECRET)
    Path("key").symlink_to("..data")
    assert tokens_for(settings(KEYS), URL).of("a") == Tokens(("k1", SECRET)).of("a")
    Path("..data").chmod(0o640)
    with pytest.raises(ConfigError, match="others can read"):
        tokens_for(settings(KEYS), URL)


def test_show_does_not_take_a_dangling_link_for_no_key() -> None:
    """It says that it is unusable; on Kafka it says that one is needed."""
    OWN.symlink_to("gone")
    shown = run(app, ["config", "show", "--log", URL]).stdout
    assert "unusable: log.db.key" in shown
    assert "none, which a log on Kafka needs" in run(app, ["config", "show", "--log", KAFKA]).stdout


def test_the_public_key_can_become_the_previous_one() -> None:
    """By its name, without a file: a log that was begun with it goes on with a key."""
    keep("key", SECRET)
    toml = f"{KEYS.removesuffix('}')}, previous_key_id = 'public' }}"
    assert tokens_for(settings(toml), KAFKA).all_of("acc-1") == (
        Tokens(("k1", SECRET)).of("acc-1"),
        PUBLIC.of("acc-1"),
    )
    with pytest.raises(ConfigError, match="public, which needs no file"):
        settings(f"{KEYS.removesuffix('}')}, previous_key_id = 'k0' }}")


@pytest.mark.parametrize("toml", ["tokens.key_id = 'k1'", "tokens.key_file = 'key'"])
def test_an_id_and_a_file_belong_together(toml: str) -> None:
    """Only the public key has an id and no file."""
    with pytest.raises(ConfigError, match="key_file needs a key_id of its own"):
        settings(toml)
    with pytest.raises(ConfigError, match="key_file needs a key_id of its own"):
        settings("tokens = { key_id = 'public', key_file = 'key' }")
