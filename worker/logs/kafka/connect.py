"""Makes a cluster of the settings, and reads the secrets from their files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from worker.config.kafka_settings import KafkaSettings
from worker.errors import ConfigError
from worker.logs.kafka.cluster import Cluster, Timings

_OTHERS: Final = 0o077


def cluster_of(servers: Sequence[str], settings: KafkaSettings) -> Cluster:
    """Return how to reach the cluster that begins at these servers.

    Raises:
        ConfigError: a file cannot be read, or a secret can be read by others.
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
        _read(settings.ca_file, "kafka.ca_file")
        options["ssl_cafile"] = str(settings.ca_file)
    if settings.cert_file is not None:
        _read(settings.cert_file, "kafka.cert_file")
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
    text = _read(path, setting).strip()
    if path.stat().st_mode & _OTHERS:
        raise ConfigError(f"{setting}: {path} can be read by others: chmod 600 it.")
    if not text:
        raise ConfigError(f"{setting}: {path} is empty.")
    return text


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{setting}: {path} cannot be read: {error}.") from error
