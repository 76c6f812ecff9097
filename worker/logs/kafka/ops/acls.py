"""The permissions that each role needs on a cluster, and no more: for people and tests. Pure."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from schemas.topics import (
    DEAD_LETTERS,
    DETECT_INPUTS,
    INCIDENTS,
    LATE,
    TOPICS,
)
from worker.logs.kafka.names import Names
from worker.logs.kafka.ops.stages import INPUTS_OF, READ

_OWN_ACCESS: Final = (LATE, DEAD_LETTERS)
"""Topics that hold the original bytes of events, which few may read."""
_WRITTEN: Final = tuple(
    topic.name for topic in TOPICS if not INPUTS_OF.keys().isdisjoint(topic.written_by)
)
"""The outputs of all stages."""

_DESCRIBING: Final = ("Read", "Write")
"""Operations that imply Describe."""


class Role(StrEnum):
    """What a user of a cluster does there."""

    WORKER = "worker"
    DOCTOR = "doctor"
    PRODUCER = "producer"
    INGEST = "ingest"
    READER = "reader"
    INCIDENTS = "incidents"
    DEAD_LETTERS = "dead-letters"
    OPERATOR = "operator"


ROLES: Final = {
    Role.WORKER: "`run`, `forget`, `topics accept`",
    Role.DOCTOR: "`doctor`, beside those of a worker",
    Role.PRODUCER: "your platform, `simulate`",
    Role.INGEST: "`ingest`, beside those of a producer",
    Role.READER: "`tail`, `alerts`, `incidents`, `explain`",
    Role.INCIDENTS: "`incidents`; ticketing",
    Role.DEAD_LETTERS: "`dlq`, and `tail` of late events, beside those of a producer",
    Role.OPERATOR: "`topics create`, `topics check`",
}
"""What each role runs."""

Kind = Literal["topic", "group", "transactional_id"]


class Acl(NamedTuple):
    """One operation that one role is allowed."""

    kind: Kind
    name: str
    operation: str
    """As Kafka's tools write it."""
    why: str
    prefixed: bool = False
    """Whether the name is a prefix of names."""

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}"

    @property
    def pattern(self) -> str:
        """The type of the name, as Kafka's tools write it."""
        return "prefixed" if self.prefixed else "literal"

    def arguments(self, principal: str) -> str:
        """Return the permission as arguments of Kafka's own tool, kafka-acls."""
        resource = f"--{self.kind.replace('_', '-')} {self.name}"
        return (
            f"--add --allow-principal {principal} --operation {self.operation} {resource} "
            f"--resource-pattern-type {self.pattern}"
        )


def acls(names: Names, role: Role) -> list[Acl]:
    """Return all that the role must be allowed, and nothing more."""
    roles = {
        Role.WORKER: _worker,
        Role.DOCTOR: _doctor,
        Role.PRODUCER: _producer,
        Role.INGEST: _ingest,
        Role.READER: _reader,
        Role.INCIDENTS: _incidents,
        Role.DEAD_LETTERS: _dead_letters,
        Role.OPERATOR: _operator,
    }
    found = list(roles[role](names))
    described = {(acl.kind, acl.name) for acl in found if acl.operation in _DESCRIBING}
    return [
        acl for acl in found if acl.operation != "Describe" or (acl.kind, acl.name) not in described
    ]


def _worker(names: Names) -> Iterator[Acl]:
    for name in READ:
        yield Acl("topic", names.topic(name), "Read", "reads its input")
    for name in _WRITTEN:
        yield Acl("topic", names.topic(name), "Write", "publishes")
    for stage in INPUTS_OF:
        changelog = names.changelog(stage)
        yield Acl("topic", changelog, "Write", "keeps its state")
        yield Acl("topic", changelog, "Read", "restores it, and finds what a dead worker left open")
        yield Acl("group", names.group(stage), "Read", "shares the tasks, commits positions")
        ids = names.transactional_id(stage, "")
        yield Acl("transactional_id", ids, "Write", "commits; fences a dead worker", prefixed=True)
    yield from _checks(names)


def _every_topic(names: Names) -> list[str]:
    return [*(names.topic(topic.name) for topic in TOPICS), *map(names.changelog, INPUTS_OF)]


def _checks(names: Names) -> Iterator[Acl]:
    """Yield the permissions to check whether the topics are as they should be."""
    for name in _every_topic(names):
        yield Acl("topic", name, "Describe", "sees that it is there")
        yield Acl("topic", name, "DescribeConfigs", "sees how it is kept")


def _doctor(names: Names) -> Iterator[Acl]:
    yield Acl("group", names.group("doctor"), "Read", "commits a position of its own")


def _producer(names: Names) -> Iterator[Acl]:
    for topic in TOPICS:
        if "you" in topic.written_by:
            yield Acl("topic", names.topic(topic.name), "Write", "appends events")
    own = names.transactional_id("append", "")
    why = "appends all or nothing"
    yield Acl("transactional_id", own, "Write", why, prefixed=True)


def _ingest(names: Names) -> Iterator[Acl]:
    why = "appends lines that are no events"
    yield Acl("topic", names.topic(DEAD_LETTERS), "Write", why)


def _reader(names: Names) -> Iterator[Acl]:
    for topic in TOPICS:
        if topic.name not in _OWN_ACCESS:
            yield Acl("topic", names.topic(topic.name), "Read", "shows its records")


def _incidents(names: Names) -> Iterator[Acl]:
    yield Acl("topic", names.topic(INCIDENTS), "Read", "shows its records")


def _dead_letters(names: Names) -> Iterator[Acl]:
    for name in _OWN_ACCESS:
        yield Acl("topic", names.topic(name), "Read", "shows its records")
    for name in DETECT_INPUTS:
        yield Acl("topic", names.topic(name), "Read", "shows the records that stopped a worker")


def _operator(names: Names) -> Iterator[Acl]:
    for name in _every_topic(names):
        yield Acl("topic", name, "Create", "makes it")
    yield from _checks(names)
