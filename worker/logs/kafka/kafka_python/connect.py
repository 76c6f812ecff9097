"""Making a client of kafka-python, and why that failed."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from kafka.errors import KafkaError, SaslAuthenticationFailedError

from worker.logs.kafka.client_errors import LoginRefused, NotConnected
from worker.logs.kafka.kafka_python.errors import describe_failed_connection
from worker.logs.kafka.kafka_python.last_bytes import deliver_last_bytes

_CONNECTIONS: Final = logging.getLogger("kafka.net.manager")


class KafkaPythonClient:
    """What the three kinds of clients share.

    Args:
        kind: the library's class.
        options: its arguments.

    Raises:
        LoginRefused: a broker refused the credentials.
        NotConnected: no broker could be used in time.
    """

    def __init__(self, kind: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self.servers = ",".join(options["bootstrap_servers"])
        self._client = _connect(kind, options)

    @property
    def broker_version(self) -> tuple[int, ...]:
        """See the seam."""
        # Consumers and producers keep it as a setting, the admin client only where it found it.
        client = self._client
        version: tuple[int, ...] = client.config["api_version"] or client._manager.broker_version
        return version


def _connect(kind: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    deliver_last_bytes()
    logged = _LoggedErrors()
    _CONNECTIONS.addHandler(logged)
    try:
        return kind(**options)
    except KafkaError as error:
        reason = logged.reason or error
        if isinstance(reason, SaslAuthenticationFailedError):
            raise LoginRefused(str(reason).rpartition(": ")[2]) from error
        raise NotConnected(describe_failed_connection(reason)) from error
    finally:
        _CONNECTIONS.removeHandler(logged)


class _LoggedErrors(logging.Handler):
    """Keeps why connecting failed, which the library logs but does not raise.

    That is the first error: after a refusal, connections are merely closed. A refused login
    explains more than any other error.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason: Exception | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Look for an error among the arguments of a log record."""
        for argument in record.args or ():
            if isinstance(argument, SaslAuthenticationFailedError) or (
                isinstance(argument, Exception) and self.reason is None
            ):
                self.reason = argument
