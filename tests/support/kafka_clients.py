"""The clients of kafka-python behind the seam, for calls that walletwatch itself never makes."""

from typing import Any

from worker.logs.kafka.client import Admin, Consumer, Producer


def library_client(client: Admin | Consumer | Producer) -> Any:
    """Return the library's client behind one of the seam; closing it closes both."""
    return vars(client)["_client"]
