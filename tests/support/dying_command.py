"""The walletwatch command, which is killed (-9) right after a commit.

Environment: WALLETWATCH_TEST_DIES_AFTER is the number of that commit, the first being 1.
"""

import os
import signal
from itertools import count
from typing import Any

from worker.cli.app import main
from worker.logs.kafka.session import KafkaSession
from worker.logs.sqlite.session import SqliteSession


def dying(commit: Any, last: int) -> Any:
    """Return a commit that kills this process when it has been done that many times."""
    numbers = count(1)

    def commit_and_die(self: Any, unit: Any) -> None:
        commit(self, unit)
        if next(numbers) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return commit_and_die


if __name__ == "__main__":
    number = int(os.environ["WALLETWATCH_TEST_DIES_AFTER"])
    for kind in (SqliteSession, KafkaSession):
        kind.commit = dying(kind.commit, number)  # type: ignore[method-assign]
    main()
