"""Key files: the secrets behind account tokens, kept where only their owner can read them.

If none is configured, a log has a key of its own in a file beside it.
"""

import hashlib
import os
import secrets
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker.config.settings import Settings
from worker.errors import ConfigError
from worker.tokens import PUBLIC, PUBLIC_KEY, Key, Tokens

_SHORTEST: Final = 16
_BYTES: Final = 32
_ID_DIGITS: Final = 8
_OTHERS: Final = 0o077
_SQLITE: Final = "sqlite:///"


def tokens_for(
    settings: Settings,
    log_url: str | None = None,
    create: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Tokens:
    """Return what makes account tokens: by the configured key, else the log's own, else the public.

    Where records stay and tokens use the public key, the key for redeliveries is drawn: a task
    keeps that of its first commit.

    Args:
        log_url: where the records are; None: in no log that stays.
        create: make the log's own key if there is none.
        report: is called with a sentence about a key that was made.

    Raises:
        ConfigError: a key file cannot be read or made, is too short, or is open to others.
    """
    key, former = _configured(settings)
    if key is None and log_url is not None:
        path = key_beside(log_url)
        if path is None:
            report("Account tokens use the public key, which hides nothing: set tokens.key_file.")
            return Tokens(PUBLIC_KEY, redelivery_key=secrets.token_bytes(_BYTES))
        if create and _make(path):
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
    if not path.exists():
        return None
    secret = _read(path, "the key of the log")
    return hashlib.sha256(b"walletwatch key id\0" + secret).hexdigest()[:_ID_DIGITS], secret


def described(settings: Settings) -> dict[str, tuple[object, str]]:
    """Return what is true of the log's own key, never the key: (value, source) by dotted setting.

    Nothing if a key is configured.
    """
    if settings.tokens.key_file is not None:
        return {}
    path = key_beside(settings.log.url)
    if path is None:
        return {}
    if not path.exists():
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
    if tokens.key_file is None:
        return None, None
    key = tokens.key_id, _read(tokens.key_file, "tokens.key_file")
    if tokens.previous_key_id is None or tokens.previous_key_file is None:
        return key, None
    return key, (
        tokens.previous_key_id,
        _read(tokens.previous_key_file, "tokens.previous_key_file"),
    )


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read().strip()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigError(f"{what}: {path}: {reason}.") from error
    if mode & _OTHERS:
        mend = shlex.join(["chmod", "600", str(path)])
        raise ConfigError(f"{what}: {path}: others can read or write it; mend that with: {mend}")
    if len(secret) < _SHORTEST:
        raise ConfigError(f"{what}: {path}: needs at least {_SHORTEST} bytes.")
    return secret


def _make(path: Path) -> bool:
    """Make a key unless there is one; it appears complete or not at all. Say whether it was made.

    Raises:
        ConfigError: it cannot be made there.
    """
    if path.exists():
        return False
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(_BYTES)}\n")
            file.flush()
            os.fsync(number)
        with suppress(FileExistsError):  # another process was faster: its key is the key
            os.link(new, path)
            return True
    except OSError as error:
        reason = error.strerror or "cannot be made"
        raise ConfigError(
            f"the key of the log: {path}: {reason}. Name another in tokens.key_file."
        ) from error
    finally:
        new.unlink(missing_ok=True)
    return False
