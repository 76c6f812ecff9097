"""How large the records of each topic may be, as read at start: what is written follows it."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from schemas.topics import TOPICS
from worker.engine.cutting import RECORD_BYTES
from worker.errors import LogError
from worker.logs.kafka.blocks import keys_of
from worker.logs.kafka.client import Admin, Outgoing, Visibility
from worker.logs.kafka.names import Names

MAX_REQUEST_BYTES: Final = 8 * 1024 * 1024
"""The largest record that the producer sends, where no topic takes a larger one."""
SETTING: Final = "max.message.bytes"
DEFAULT_LIMIT: Final = 1_048_588
"""Of a topic, where neither it nor its brokers are configured otherwise."""
BATCH_BYTES: Final = 256 * 1024
"""Of a batch, or of a block of states, where all topics take it."""
_OVERHEAD: Final = 68
"""The least that a record in a batch of its own takes beside key, value and headers."""
_HEADER_OVERHEAD: Final = 2
_BLOCK_OVERHEAD: Final = 256
"""More than a block of states takes beside its entries, its batch included."""


class Limits:
    """The limits of topics, by their names on the cluster; those of other topics are not known."""

    def __init__(self, limits: Mapping[str, int] | None = None, changelog: str = "") -> None:
        self._limits = dict(limits or {})
        self._changelog = changelog

    @property
    def batch(self) -> int:
        """Bytes of a batch that every topic takes."""
        return min(BATCH_BYTES, *self._limits.values()) if self._limits else BATCH_BYTES

    @property
    def largest(self) -> int:
        """Bytes of the largest record that any topic takes; 0 if no limit is known."""
        return max(self._limits.values(), default=0)

    @property
    def block(self) -> int:
        """Bytes of the entries of a block of states that the changelog takes."""
        limit = self._limits.get(self._changelog, BATCH_BYTES + _BLOCK_OVERHEAD)
        return max(1, min(BATCH_BYTES, limit - _BLOCK_OVERHEAD))

    def check(self, records: Iterable[Outgoing]) -> None:
        """Look for a record that its topic does not take.

        Raises:
            LogError: there is one.
        """
        for record in records:
            limit = self._limits.get(record[0].topic)
            if limit is not None and _size(record) > limit:
                raise self.refusal(record)

    def refusal(self, record: Outgoing) -> LogError:
        """Return the error about a record that its topic does not take.

        It names no key: that may be an account, also behind a hash that can be computed of a list.
        """
        at, _, value, _ = record
        what = "a record"
        if at.topic == self._changelog and value:
            (state,) = keys_of(value)[:1]
            what = "the state of the task itself" if state is None else "the state of one key"
        known = self._limits.get(at.topic)
        most = "fewer bytes" if known is None else f"at most {known} bytes"
        return LogError(
            f"Topic {at.topic} takes records of {most} ({SETTING}), and {what} for partition "
            f"{at.partition} has {_size(record)}. Nothing was committed. Raise {SETTING} of the "
            "topic above that with Kafka's own tool (kafka-configs --alter --entity-type topics "
            f"--entity-name {at.topic} --add-config {SETTING}=...)."
        )

    def largest_of(self, topic: str, records: Iterable[Outgoing]) -> Outgoing:
        """Return the largest record of a topic."""
        return max((each for each in records if each[0].topic == topic), key=_size)


UNKNOWN: Final = Limits()
"""Then batches are as large as usual, and the brokers refuse what is too large."""


def read_limits(admin: Admin, names: Names, stage: str | None = None) -> Limits:
    """Return the limits of what a stage writes, or, without one, of all that may be appended.

    Topics that are missing, or whose settings this user may not see, are left out.

    Raises:
        ClientError: the cluster did not answer.
    """
    changelog = names.changelog(stage) if stage else ""
    topics = [names.topic(each.name) for each in TOPICS if not stage or each.role != "input"]
    limits = _read(admin, [*topics, changelog] if changelog else topics)
    return Limits(limits, changelog)


def record_limit(admin: Admin, topic: str) -> int:
    """Return the bytes that a record of a topic on the cluster may have to be sent.

    Raises:
        ClientError: the cluster did not answer.
    """
    return min(_read(admin, [topic]).get(topic, RECORD_BYTES), MAX_REQUEST_BYTES)


def _read(admin: Admin, topics: Collection[str]) -> dict[str, int]:
    described = admin.describe_topics(list(topics))
    visible = [each.name for each in described if each.visibility is Visibility.VISIBLE]
    configs = admin.topic_configs(dict.fromkeys(visible, (SETTING,)))
    return {name: int(found[SETTING]) for name, found in configs.items() if SETTING in found}


def _size(record: Outgoing) -> int:
    """Return how many bytes a record takes at least, in a batch of its own."""
    _, key, value, headers = record
    extra = sum(len(name) + len(of or b"") + _HEADER_OVERHEAD for name, of in headers)
    return _OVERHEAD + len(key or b"") + len(value or b"") + extra
