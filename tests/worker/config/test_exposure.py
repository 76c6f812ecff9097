"""Warnings of what a configuration leaves open: public tokens, connections in plaintext."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.commands import kafka_variables
from worker.cli.app import app
from worker.config.exposure import ENCRYPTION, TOKENS, exposures
from worker.config.load import load_settings
from worker.logs.exposed import exposed, unencrypted
from worker.logs.finding import Verdict

KEY = {"WALLETWATCH_TOKENS__KEY_ID": "k1", "WALLETWATCH_TOKENS__KEY_FILE": "key"}
PUBLIC = {"WALLETWATCH_TOKENS__KEY_ID": "public"}
FILE = "sqlite:///log.db"
HERE, THERE = "kafka://127.0.0.1:9092", "kafka://localhost:9092,broker.example:9093,10.0.0.7:9092"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a key."""
    monkeypatch.chdir(tmp_path)
    Path("key").write_bytes(b"0123456789abcdef")
    Path("key").chmod(0o600)
    return tmp_path


def protocol(name: str) -> dict[str, str]:
    """Return a key, and a way to connect."""
    settings = {"security_protocol": name}
    if name.startswith("SASL"):
        settings |= {"username": "w", "password_file": "key", "allow_insecure_password": "true"}
    return KEY | kafka_variables(settings)


@pytest.mark.parametrize(
    ("environment", "url", "checks"),
    [
        ({}, FILE, []),
        (PUBLIC, FILE, [TOKENS]),
        (KEY, FILE, []),
        (KEY, HERE, []),
        (PUBLIC, HERE, [TOKENS]),
        (KEY, THERE, [ENCRYPTION]),
        (PUBLIC, THERE, [TOKENS, ENCRYPTION]),
        (protocol("SASL_PLAINTEXT"), THERE, [ENCRYPTION]),
        (protocol("SSL"), THERE, []),
        (protocol("SASL_SSL"), THERE, []),
        (KEY, "kafka://127.9.9.9:1,LOCALHOST:2", []),
        (KEY, "kafka://localhost.example:1", [ENCRYPTION]),
        (KEY, "kafka://127.0.0.1.example:1", [ENCRYPTION]),
        (KEY, "kafka://0.0.0.0:1", [ENCRYPTION]),
    ],
)
def test_what_is_open_is_found(environment: dict[str, str], url: str, checks: list[str]) -> None:
    """By `config check`, as lines or JSON, and by doctor; of other machines only."""
    settings = load_settings(None, environment, log_url=url).settings
    found = exposures(settings)
    assert [each.check for each in found] == checks
    command = ["config", "check", "--log", url]
    checked = CliRunner().invoke(app, command, env=environment)
    assert checked.exit_code == 0
    lines = [f"{each.what}: {each.advice}." for each in found]
    assert checked.stderr == "".join(f"warning: {line}\n" for line in lines)
    as_json = CliRunner().invoke(app, [*command, "--json"], env=environment)
    assert json.loads(as_json.stdout)["warnings"] == lines
    warned = [each.check for each in exposed(settings) if each.verdict is Verdict.WARN]
    assert warned == checks


def test_the_servers_that_are_not_encrypted_are_named() -> None:
    """Those of other machines, without the ones of this."""
    settings = load_settings(None, KEY, log_url=THERE).settings
    (found,) = exposures(settings)
    assert found.what == "connections to broker.example:9093, 10.0.0.7:9092 are not encrypted"
    assert list(unencrypted(settings, ["localhost:9092", "[::1]:9092"])) == []
    (finding,) = unencrypted(settings, ["broker2.example:9092", "[2001:db8::1]:9092"])
    assert finding.found == (
        "connections to broker2.example:9092, [2001:db8::1]:9092 are not encrypted"
    )


def test_doctor_says_which_key_there_is() -> None:
    """One that it may not use fails; none on a log on Kafka too."""
    for environment, url, verdict, text in (
        ({}, FILE, Verdict.OK, "run makes a key"),
        (KEY, FILE, Verdict.OK, "the key is k1"),
        (KEY, HERE, Verdict.OK, "the key is k1"),
        (
            PUBLIC,
            HERE,
            Verdict.WARN,
            "account tokens and ids of alerts use the public key, which",
        ),
        ({}, HERE, Verdict.FAIL, "tokens.key_file: a log on Kafka needs a key"),
    ):
        finding = next(exposed(load_settings(None, environment, log_url=url).settings))
        assert (finding.check, finding.verdict) == (TOKENS, verdict)
        assert finding.found.startswith(text)
    Path("key").chmod(0o644)
    finding = next(exposed(load_settings(None, KEY, log_url=HERE).settings))
    assert finding.verdict is Verdict.FAIL
    assert "chmod 600 key" in finding.found
