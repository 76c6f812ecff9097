"""An answer to a fetch that is larger than the client accepts is an error, not a silent retry.

kafka-python closes the connection, logs, and asks for the same again, for ever. Brokers send at
least one batch of records, however large it is. This depends on private names of the library.
"""

from typing import Any

from kafka.errors import InvalidReceiveError

from worker.logs.kafka.client import ClusterPartition
from worker.logs.kafka.client_errors import AnswerTooLarge


class LargeAnswers:
    """Watches the fetches of one consumer of the library."""

    def __init__(self, client: Any) -> None:
        self._asked: frozenset[ClusterPartition] | None = None
        """The partitions of the last answer that was too large; None once it was checked."""
        fetcher = client._fetcher
        handle = fetcher._handle_fetch_error

        def watch(node: Any, error: Exception) -> None:
            if isinstance(error, InvalidReceiveError):
                asked = fetcher._session_handlers[node].session_partitions
                self._asked = frozenset(ClusterPartition(*at) for at in asked)
            handle(node, error)

        fetcher._handle_fetch_error = watch

    def check(self) -> None:
        """Look whether an answer was too large.

        Raises:
            AnswerTooLarge: names the partitions that were asked for.
        """
        asked, self._asked = self._asked, None
        if asked is not None:
            raise AnswerTooLarge(asked)
