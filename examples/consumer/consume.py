"""Prints incidents and alerts as walletwatch publishes them: a consumer to begin with.

Needs kafka-python only:

    python consume.py broker1:9092 --group ticketing
"""

import argparse
import json
from typing import Any

from kafka import KafkaConsumer, TopicPartition

INCIDENTS = "wallet.incidents"
ALERTS = "wallet.alerts"


class Ticketing:
    """Keeps what is known; a real one keeps it in its database, with the offsets."""

    def __init__(self) -> None:
        self.incidents: dict[str, dict[str, Any]] = {}
        self.alerts: dict[str, int] = {}

    def incident(self, key: str, incident: dict[str, Any] | None) -> None:
        """Take over the newest state of an incident: each record has all of it."""
        if incident is None:  # a tombstone: resolved long ago, and not kept any more
            self.incidents.pop(key, None)
            return
        known = self.incidents.get(key)
        if known is not None and incident["revision"] <= known["revision"]:
            return  # delivered again, after a restart of this program
        self.incidents[key] = incident
        print(f"incident {key} {incident['status']} {incident['severity']}: {incident['title']}")

    def alert(self, alert: dict[str, Any]) -> None:
        """Take over one record of an alert: raised, updated, cured, retracted or expired."""
        if alert["sequence"] <= self.alerts.get(alert["alert_id"], 0):
            return
        self.alerts[alert["alert_id"]] = alert["sequence"]
        print(f"alert {alert['alert_id']} {alert['kind']} {alert['severity']}: {alert['title']}")


def consumer(brokers: str, group: str) -> KafkaConsumer:
    """Return a consumer of committed records that commits only what has been handled."""
    return KafkaConsumer(
        bootstrap_servers=brokers.split(","),
        group_id=group,
        # Without this, records are read that a worker which was killed had begun to write, and
        # which its successor writes again: alerts and incidents that never were.
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )


def at_end(reading: KafkaConsumer) -> bool:
    """Return whether everything that was published has been read."""
    partitions = reading.assignment()
    ends = reading.end_offsets(list(partitions))
    return bool(partitions) and all(reading.position(at) >= ends[at] for at in partitions)


def handle(ticketing: Ticketing, polled: dict[TopicPartition, list[Any]]) -> None:
    """Hand each record on; fields that are not known here may be there."""
    for at, records in polled.items():
        for record in records:
            value = None if record.value is None else json.loads(record.value)
            if at.topic.endswith(INCIDENTS):
                ticketing.incident(record.key.decode(), value)
            elif value is not None:
                ticketing.alert(value)


def main() -> None:
    """Read until Ctrl-C, or until all is read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("brokers", help="host:port,host:port")
    parser.add_argument("--group", default="ticketing", help="consumer group, yours alone")
    parser.add_argument("--prefix", default="", help="kafka.prefix of the workers")
    parser.add_argument("--until-read", action="store_true", help="stop when all is read")
    options = parser.parse_args()
    ticketing = Ticketing()
    reading = consumer(options.brokers, options.group)
    reading.subscribe([options.prefix + INCIDENTS, options.prefix + ALERTS])
    try:
        while True:
            handle(ticketing, reading.poll(timeout_ms=500))
            reading.commit()
            if options.until_read and at_end(reading):
                return
    except KeyboardInterrupt:
        pass
    finally:
        reading.close(autocommit=False)


if __name__ == "__main__":
    main()
