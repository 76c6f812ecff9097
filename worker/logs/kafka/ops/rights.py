"""What the user of a client is allowed to do, as the cluster tells it."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError

from worker.logs.kafka.ops.acls import Acl


def not_allowed(admin: KafkaAdminClient, needed: Sequence[Acl]) -> list[Acl]:
    """Return what is needed with topics and groups and not allowed.

    A cluster does not tell who may use which transactional ids, nor which groups that nobody has
    been a member of yet.

    Raises:
        KafkaError: it did not answer.
    """
    granted = {
        **_granted("topic", {it["name"]: it for it in admin.describe_topics(_of("topic", needed))}),
        **_granted("group", _groups(admin, _of("group", needed))),
    }
    return [
        acl
        for acl in needed
        if (acl.kind, acl.name) in granted
        and _in_capitals(acl.operation) not in granted[acl.kind, acl.name]
    ]


def _groups(admin: KafkaAdminClient, names: list[str]) -> dict[str, Mapping[str, Any]]:
    """Return what is told of the groups that exist, and of those that are hidden."""
    found: dict[str, Mapping[str, Any]] = {}
    for name in names:
        try:
            facts = admin.describe_groups([name])[name]
        except CoordinatorNotAvailableError:
            continue  # a cluster that never had a group
        except GroupAuthorizationFailedError:
            facts = {"error": None}
        if not facts["error"]:
            found[name] = facts
    return found


def _of(kind: str, needed: Sequence[Acl]) -> list[str]:
    return sorted({acl.name for acl in needed if acl.kind == kind})


def _granted(
    kind: str, described: Mapping[str, Mapping[str, Any]]
) -> dict[tuple[str, str], Collection[str]]:
    """Return what may be done with each: nothing with what is hidden."""
    return {
        (kind, name): facts.get("authorized_operations") or () for name, facts in described.items()
    }


def _in_capitals(operation: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()
