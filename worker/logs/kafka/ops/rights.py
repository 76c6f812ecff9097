"""What the user of a client is allowed to do, as the cluster answers."""

import re
from collections.abc import Collection, Iterator, Sequence

from worker.logs.kafka.client import Admin
from worker.logs.kafka.client_errors import NoCoordinator, NotAllowed
from worker.logs.kafka.ops.acls import Acl


def not_allowed(admin: Admin, needed: Sequence[Acl]) -> list[Acl]:
    """Return what is needed with topics and groups and not allowed.

    A cluster does not answer which transactional ids a user may use, nor which groups that have
    never had a member.

    Raises:
        ClientError: it did not answer.
    """
    granted: dict[tuple[str, str], Collection[str]] = {}
    for topic in admin.describe_topics(_names("topic", needed)):
        granted["topic", topic.name] = topic.operations
    for name, operations in _groups(admin, _names("group", needed)):
        granted["group", name] = operations
    return [
        acl
        for acl in needed
        if (acl.kind, acl.name) in granted
        and _in_capitals(acl.operation) not in granted[acl.kind, acl.name]
    ]


def _groups(admin: Admin, names: Sequence[str]) -> Iterator[tuple[str, Collection[str]]]:
    """Yield what may be done with each group that exists: nothing with one that is hidden."""
    for name in names:
        try:
            group = admin.describe_group(name)
        except NoCoordinator:
            continue  # a cluster that never had a group
        except NotAllowed:
            yield name, ()
        else:
            if not group.error:
                yield name, group.operations


def _names(kind: str, needed: Sequence[Acl]) -> list[str]:
    return sorted({acl.name for acl in needed if acl.kind == kind})


def _in_capitals(operation: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()
