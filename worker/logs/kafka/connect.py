"""Makes a cluster of the settings, and reads the secrets from their files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worker.config.kafka_settings import KafkaSettings
from worker.errors import ConfigError
from worker.logs.kafka.cluster import Cluster, Timings
from worker.private_files import read_secret


def cluster_of(servers: Sequence[str], settings: KafkaSettings) -> Cluster:
    """Return how to reach the cluster that begins at these servers.

    Raises:
        ConfigError: a file cannot be read, or others can reach a secret.
    """
    timings = Timings(
        request=settings.request_timeout_ms,
        delivery=settings.delivery_timeout_ms,
        transaction=settings.transaction_timeout_ms,
        session=settings.session_timeout_ms,
        max_poll=settings.max_poll_interval_ms,
    )
    return Cluster(settings.prefix, tuple(servers), _options(settings), timings)


def _options(settings: KafkaSettings) -> dict[str, Any]:
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.ca_file is not None:
        _check(settings.ca_file, "kafka.ca_file")
        options["ssl_cafile"] = str(settings.ca_file)
    if settings.cert_file is not None:
        _check(settings.cert_file, "kafka.cert_file")
        options["ssl_certfile"] = str(settings.cert_file)
    if settings.key_file is not None:
        _secret(settings.key_file, "kafka.key_file")
        options["ssl_keyfile"] = str(settings.key_file)
    if settings.password_file is not None:
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.username
        options["sasl_plain_password"] = _secret(settings.password_file, "kafka.password_file")
    return options


def _secret(path: Path, setting: str) -> str:
    secret = _text(read_secret(path, setting), path, setting).strip()
    if not secret:
        raise ConfigError(f"{setting}: {path} is empty.")
    return secret


def _check(path: Path, setting: str) -> None:
    """Check that a file that the client reads by itself can be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "unknown error"
        raise ConfigError(f"{setting}: {path} cannot be read: {reason}.") from None
    _text(content, path, setting)


def _text(content: bytes, path: Path, setting: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:  # its message quotes a byte
        raise ConfigError(f"{setting}: {path} is not UTF-8 text.") from None
