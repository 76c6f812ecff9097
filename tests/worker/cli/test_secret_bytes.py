"""No message quotes what is in a file, be it a secret by mistake, whatever option names it."""

from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from tests.support.commands import kafka_variables
from worker.cli.app import app

MARK: Final = "hunter2"
CONTENTS: Final = {
    "text": f"{MARK}-{MARK}-{MARK}\n".encode(),
    "not UTF-8": f"{MARK}-{MARK}".encode() + b"\xfe\xfd" + MARK.encode(),
    "not UTF-8 at once": b"\xfe" + MARK.encode() * 5,
    "zero bytes": f"{MARK}\0{MARK}\0\x1b[31m{MARK}".encode(),
    "broken TOML": f'key = "{MARK}\n[{MARK}'.encode(),
    "TOML of another shape": f'[tokens]\nkey_id = ["{MARK}", "{MARK}"]\n'.encode(),
    "broken JSON": f'{{"{MARK}": "{MARK}", {MARK}'.encode(),
    "a quoted text": f'"{MARK}"'.encode(),
    "PEM": f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----\n".encode(),
    "short": MARK.encode(),
}
KEY: Final = {"WALLETWATCH_TOKENS__KEY_ID": "k1", "WALLETWATCH_TOKENS__KEY_FILE": "good"}
NOWHERE: Final = ("--log", "kafka://127.0.0.1:1")
LOGIN: Final = {
    "security_protocol": "SASL_SSL",
    "username": "w",
    "password_file": "secret",
    "request_timeout_ms": "1000",
}


def tls(**files: str) -> dict[str, str]:
    """Return the settings of a TLS connection with such files."""
    return KEY | kafka_variables({"security_protocol": "SSL", "request_timeout_ms": "1000"} | files)


COMMANDS: Final[dict[str, tuple[tuple[str, ...], dict[str, str]]]] = {
    "key": (
        ("config", "check"),
        {"WALLETWATCH_TOKENS__KEY_ID": "k1", "WALLETWATCH_TOKENS__KEY_FILE": "secret"},
    ),
    "former key": (
        ("config", "check"),
        KEY
        | {
            "WALLETWATCH_TOKENS__PREVIOUS_KEY_ID": "k0",
            "WALLETWATCH_TOKENS__PREVIOUS_KEY_FILE": "secret",
        },
    ),
    "key of the log": (("config", "check", "--log", "sqlite:///secret.db"), {}),
    "made key": (("config", "make-key", "secret"), {}),
    "password": (("doctor", *NOWHERE), KEY | kafka_variables(LOGIN)),
    "ca_file": (("doctor", *NOWHERE), tls(ca_file="secret")),
    "cert_file": (("doctor", *NOWHERE), tls(cert_file="secret", key_file="good")),
    "key_file": (("doctor", *NOWHERE), tls(cert_file="good", key_file="secret")),
    "configuration": (("config", "check", "--config", "secret"), {}),
    "configuration shown": (("config", "show"), {"WALLETWATCH_CONFIG": "secret"}),
    "candidate": (("run", "--shadow", "secret", "--until-ended"), {}),
    "rules": (("rules", "diff", "secret", "secret", "events"), {}),
    "mapping": (("convert", "--mapping", "secret", "events"), {}),
    "log": (("run", "--log", "sqlite:///secret", "--until-ended"), {}),
    "truth": (("replay", "events", "--truth", "secret"), {}),
    "events": (("validate", "secret"), {}),
    "events replayed": (("replay", "secret"), {}),
    "events appended": (("ingest", "secret", "--log", "sqlite:///log.db"), {}),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a good key, and no events."""
    monkeypatch.chdir(tmp_path)
    for name, content in (("good", b"0123456789abcdef"), ("events", b"")):
        Path(name).write_bytes(content)
        Path(name).chmod(0o600)
    return tmp_path


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_no_message_quotes_a_file(command: str, content: bytes, mode: int) -> None:
    """Not even with WALLETWATCH_DEBUG, which shows the traceback of an error without a sentence."""
    words, environment = COMMANDS[command]
    for name in ("secret", "secret.db.key"):
        Path(name).write_bytes(content)
        Path(name).chmod(mode)
    ended = CliRunner().invoke(app, list(words), env=environment | {"WALLETWATCH_DEBUG": "1"})
    printed = ended.stdout + ended.stderr
    assert MARK not in printed
    for quoted in ("0xfe", "0xfd", "\\xfe", "\\xfd", "þ"):
        assert quoted not in printed
    assert "internal error" not in printed
    assert Path("secret").read_bytes() == content
