"""Key files: the secrets behind account tokens, kept where only their owner can read them.

If none is configured, a log in a file has a key of its own in a file beside it. A log on Kafka
needs one that is configured, or the public key, by name.
"""

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from worker.config.settings import PUBLIC_KEY_ID, Settings
from worker.errors import ConfigError
from worker.private_files import put, read_secret
from worker.tokens import PUBLIC, PUBLIC_KEY, Key, Tokens

_SHORTEST: Final = 16
_BYTES: Final = 32
_ID_DIGITS: Final = 8
_SQLITE: Final = "sqlite:///"
_OWN: Final = "the key of the log"


def tokens_for(
    settings: Settings,
    log_url: str | None = None,
    create: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Tokens:
    """Return what makes account tokens: by the configured key, or else the log's own.

    By the public key if its id is configured, or records stay nowhere. Where they stay, the key for
    redeliveries is drawn then: a task keeps that of its first commit.

    Args:
        log_url: where the records are; None: in no log that stays.
        create: make the log's own key if there is none.
        report: is called with a sentence about a key that was made.

    Raises:
        ConfigError: no key is configured for a log on Kafka; or a key file cannot be read or made,
            is too short, or is open to others.
    """
    key, former = _configured(settings)
    if key is None and log_url is not None:
        if settings.tokens.key_id == PUBLIC_KEY_ID:
            report(
                "Account tokens and ids of alerts use the public key, which hides nothing: set "
                "tokens.key_file."
            )
            return Tokens(PUBLIC_KEY, redelivery_key=secrets.token_bytes(_BYTES))
        path = key_beside(log_url)
        if path is None:
            raise ConfigError(
                "tokens.key_file: a log on Kafka needs a key for account tokens, and none is "
                "configured. Make one with: walletwatch config make-key token.key; set "
                "tokens.key_file to that file, and tokens.key_id to a name for the key. Or set "
                'tokens.key_id = "public": the public key, which hides nothing.'
            )
        if create and make_key(path, _OWN):
            report(f"Made a key for account tokens: {path}; keep it secret, keep it with the log.")
        key = own_key(path)
    return PUBLIC if key is None else Tokens(key, former)


def key_beside(log_url: str) -> Path | None:
    """Return where the key of a log is that has one of its own; None: not on this disk."""
    if not log_url.startswith(_SQLITE):
        return None
    return Path(f"{log_url.removeprefix(_SQLITE)}.key")


def own_key(path: Path) -> Key | None:
    """Return a log's own key, its id derived from it; None if there is none.

    Raises:
        ConfigError: it cannot be read, is too short, or is open to others.
    """
    if not os.path.lexists(path):
        return None
    secret = read_key(path, _OWN)
    return hashlib.sha256(b"walletwatch key id\0" + secret).hexdigest()[:_ID_DIGITS], secret


def described(settings: Settings) -> dict[str, tuple[object, str]]:
    """Return what is true of the log's own key, never the key: (value, source) by dotted setting.

    Nothing if a key is configured.
    """
    if settings.tokens.key_file is not None or settings.tokens.key_id == PUBLIC_KEY_ID:
        return {}
    path = key_beside(settings.log.url)
    if path is None:
        return {"tokens.key_file": (None, "none, which a log on Kafka needs")}
    if not os.path.lexists(path):
        return {"tokens.key_file": (None, f"run makes {path}")}
    try:
        key = own_key(path)
    except ConfigError:  # `config check` says why
        key = None
    key_id = None if key is None else key[0]
    return {
        "tokens.key_id": (key_id, f"made of what is in {path}" if key else f"unusable: {path}"),
        "tokens.key_file": (path, "beside the log"),
    }


def _configured(settings: Settings) -> tuple[Key | None, Key | None]:
    """Return the present key and the former one, as far as they are configured."""
    tokens = settings.tokens
    if tokens.key_id is None or tokens.key_file is None:
        return None, None
    key = tokens.key_id, read_key(tokens.key_file, "tokens.key_file")
    if tokens.previous_key_id == PUBLIC_KEY_ID:
        return key, PUBLIC_KEY
    if tokens.previous_key_id is None or tokens.previous_key_file is None:
        return key, None
    former = read_key(tokens.previous_key_file, "tokens.previous_key_file")
    return key, (tokens.previous_key_id, former)


def read_key(path: Path, what: str) -> bytes:
    """Return the key in a file.

    Args:
        what: begins each sentence: the setting or argument that names the file.

    Raises:
        ConfigError: it cannot be read, is too short, or is open to others.
    """
    secret = read_secret(path, what)
    if len(secret) < _SHORTEST:
        raise ConfigError(f"{what}: {path}: needs at least {_SHORTEST} bytes.")
    return secret


def make_key(path: Path, what: str) -> bool:
    """Make a key unless there is a file; return whether one was made.

    Raises:
        ConfigError: it cannot be made there.
    """
    try:
        return put(path, f"{secrets.token_hex(_BYTES)}\n".encode())
    except OSError as error:
        reason = error.strerror or "cannot be made"
        advice = " Name another in tokens.key_file." if what == _OWN else ""
        raise ConfigError(f"{what}: {path}: {reason}.{advice}") from error
