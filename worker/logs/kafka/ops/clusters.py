"""Whether all servers of a bootstrap list belong to one cluster.

A client takes the first that answers and never compares: with two clusters in the list, each start
may work on another one.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final

from worker.errors import ConfigError, LogError
from worker.logs.kafka.client import Admin
from worker.logs.kafka.client_errors import ClientError
from worker.logs.kafka.cluster import Cluster

_BOOTSTRAP_MS: Final = 3_000


def refuse_two_clusters(cluster: Cluster) -> None:
    """Check that no server belongs to another cluster than the others; those that are down may.

    Raises:
        ConfigError: one does, or refuses the login.
        LogError: no server answered.
    """
    if len(cluster.servers) > 1:
        with closing(cluster.admin()) as admin:
            others = foreign(cluster, admin)
            if others:
                raise ConfigError(two_clusters(admin.cluster_id(), others))


def foreign(cluster: Cluster, admin: Admin) -> dict[str, str]:
    """Return the servers that belong to another cluster than that of `admin`, with its id.

    Those that the cluster advertises need not be asked.

    Raises:
        ConfigError: a server refuses the login.
    """
    own, known = admin.cluster_id(), set(admin.brokers())
    asked = (server for server in cluster.servers if server not in known)
    return {server: found for server, found in _ids(cluster, asked) if found != own}


def two_clusters(own: str, others: dict[str, str]) -> str:
    """Return the sentence about servers of other clusters than the one with this id."""
    found = ", ".join(f"{server} to {id_}" for server, id_ in others.items())
    return (
        f"log.url names servers of several clusters: {found}, the others to {own}. Name servers of "
        "one cluster."
    )


def _ids(cluster: Cluster, servers: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yield each server that answers with the id of its cluster."""
    timings = replace(cluster.timings, bootstrap=_BOOTSTRAP_MS)
    for server in servers:
        try:
            with closing(replace(cluster, servers=(server,), timings=timings).admin()) as admin:
                yield server, admin.cluster_id()
        except (ClientError, LogError):
            continue
