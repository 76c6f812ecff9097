"""Checks whether workers can run on a cluster: one finding for each thing that can be wrong.

Nothing is changed on the cluster but the offsets of a group that only the doctor uses.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

from schemas.topics import DETECT_INPUTS
from worker.config.settings import Settings
from worker.detect.stage import DETECT
from worker.engine.log import Log
from worker.engine.murmur2 import partition_of
from worker.errors import LogError, WalletwatchError
from worker.logs.exposed import unencrypted
from worker.logs.finding import Finding, Verdict
from worker.logs.kafka.client import Admin, ClusterPartition, CommittedOffset, GroupMetadata
from worker.logs.kafka.client_errors import ClientError, Unsupported
from worker.logs.kafka.cluster import SEE_DOCTOR, Cluster
from worker.logs.kafka.ops.acls import Role, acls
from worker.logs.kafka.ops.clusters import foreign, two_clusters
from worker.logs.kafka.ops.held import held_inputs
from worker.logs.kafka.ops.installed import installed
from worker.logs.kafka.ops.reach import Unreachable, reach
from worker.logs.kafka.ops.rights import not_allowed
from worker.logs.kafka.ops.topics import PARTITIONS, Topics

_SAMPLE: Final = 200
"""Newest records per partition whose keys are checked."""
_NAMES_TRANSACTIONS: Final = (3, 0)
"""The first release whose brokers name the open transactions, and when they began."""
_HANGS: Final = "the broker may hang, or still be starting: look at it on its machine; else "
_OWN: Final = "~doctor"
"""Instead of a slot; no slot can have this name."""


class Doctor:
    """Checks one cluster with the settings of a worker.

    Args:
        log: the same cluster as a log, to read records.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self, cluster: Cluster, settings: Settings, log: Log, clock: Callable[[], int]
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._log = log
        self._clock = clock

    def findings(self) -> Iterator[Finding]:
        """Yield each finding as soon as it is known. Checks that need a failed one are skipped."""
        yield from installed(self._settings.kafka.lean_decode)
        reached = []
        for server in self._cluster.servers:
            finding = self._broker(server)
            reached.append(finding.verdict is not Verdict.FAIL)
            yield finding
        if not any(reached):
            yield Finding("login", Verdict.SKIP, "no broker was reached; nor is all the rest known")
            return
        try:
            admin = self._cluster.admin()
        except WalletwatchError as error:
            reason = str(error).removesuffix(SEE_DOCTOR)
            # A refusal is an answer; without one the credentials may be right.
            silent = isinstance(error, LogError)
            advice = f"{_HANGS if silent else ''}{self._login_advice()}"
            yield Finding("login", Verdict.FAIL, reason, advice)
            return
        with closing(admin):
            yield from self._inside(admin)

    def _inside(self, admin: Admin) -> Iterator[Finding]:
        """Yield the findings that need a login."""
        yield self._login()
        yield _version(admin.broker_version)
        found = list(_guarded("cluster", lambda: self._one_cluster(admin)))
        yield from found
        if any(each.verdict is Verdict.FAIL for each in found):
            text = "each answer may come from another cluster"
            yield Finding("advertised, topics, rights, all that follows", Verdict.SKIP, text)
            return
        yield from _guarded("advertised", lambda: self._advertised(admin))
        yield from _guarded("topics", self._topics)
        yield from _guarded("rights", lambda: self._rights(admin))
        if self._partitions() is None:
            text = f"{self._cluster.topic(DETECT_INPUTS[0])} is not there, or may not be read"
            yield Finding("producers, held, transaction, clock", Verdict.SKIP, text)
            return
        yield from _guarded("producers", self._producers)
        yield from _guarded("held", lambda: self._held(admin))
        yield from _guarded("transaction", lambda: self._transaction(admin))

    # -- ways to the brokers ----------------------------------------------------------------

    def _broker(self, server: str) -> Finding:
        try:
            reached = reach(server, self._cluster.options, self._clock())
        except Unreachable as error:
            return Finding(f"broker {server}", Verdict.FAIL, str(error), error.advice)
        if reached.expires_soon:
            advice = "renew the certificate of the broker"
            return Finding(f"broker {server}", Verdict.WARN, reached.text, advice)
        return Finding(f"broker {server}", Verdict.OK, reached.text)

    def _login(self) -> Finding:
        user = self._settings.kafka.username
        if user is None:
            return Finding("login", Verdict.OK, "none is asked for")
        return Finding("login", Verdict.OK, f"as {user} ({self._settings.kafka.sasl_mechanism})")

    def _login_advice(self) -> str:
        if self._settings.kafka.username is None:
            return (
                "if the port asks for TLS, a certificate or a login, set kafka.security_protocol, "
                "kafka.cert_file, or kafka.username with kafka.password_file"
            )
        return "check kafka.sasl_mechanism, kafka.username and kafka.password_file"

    def _one_cluster(self, admin: Admin) -> Iterator[Finding]:
        """Check that all servers of log.url belong to one cluster."""
        others = foreign(self._cluster, admin)
        if others:
            advice = "name servers of one cluster in log.url"
            yield Finding("cluster", Verdict.FAIL, two_clusters(admin.cluster_id(), others), advice)
        else:
            yield Finding("cluster", Verdict.OK, admin.cluster_id())

    def _advertised(self, admin: Admin) -> Iterator[Finding]:
        """Check the addresses that the cluster advertises to its clients."""
        brokers = admin.brokers()
        bad = []
        for server in brokers:
            try:
                reach(server, self._cluster.options, self._clock())
            except Unreachable as error:
                bad.append(f"{server} ({error})")
        if bad:
            yield Finding(
                "advertised",
                Verdict.FAIL,
                f"the cluster sends clients on to {', '.join(bad)}",
                "set advertised.listeners of the brokers to addresses that exist here",
            )
        else:
            yield Finding("advertised", Verdict.OK, ", ".join(brokers))
        yield from unencrypted(self._settings, sorted(set(brokers) - set(self._cluster.servers)))

    # -- topics -----------------------------------------------------------------------------

    def _topics(self) -> Iterator[Finding]:
        topics = Topics(self._cluster, self._settings, self._partitions())
        differences = topics.differences(as_state=True)
        missing = [each.topic for each in differences if each.what == "topic"]
        if missing:
            yield Finding(
                "topics",
                Verdict.FAIL,
                f"missing: {', '.join(missing)}",
                "walletwatch topics create makes them",
            )
        for each in differences:
            if each.topic not in missing:
                verdict = Verdict.FAIL if each.vital else Verdict.WARN
                advice = "change it with Kafka's own tools, or the setting that asks for it"
                if each.what == PARTITIONS:
                    advice = "docs/kafka.md says under More partitions how to move to other topics"
                yield Finding("topics", verdict, str(each), advice)
        if not differences:
            yield Finding("topics", Verdict.OK, "as they should be")

    def _partitions(self) -> int | None:
        """Return the number of partitions, fixed for life; None if the topic cannot be read."""
        try:
            return self._log.partitions(DETECT_INPUTS[0])
        except LogError:
            return None

    def _rights(self, admin: Admin) -> Iterator[Finding]:
        """Compare what this user may do with topics and groups with what a worker needs to."""
        lacking = [str(acl) for acl in not_allowed(admin, acls(self._cluster, Role.WORKER))]
        if lacking:
            advice = "walletwatch topics acls lists all that a worker must be allowed"
            yield Finding("rights", Verdict.FAIL, f"not allowed: {', '.join(lacking)}", advice)
        else:
            yield Finding("rights", Verdict.OK, "all that a worker needs on topics and groups")

    def _producers(self) -> Iterator[Finding]:
        """Check in which partitions producers have put the newest records of each input."""
        for topic in DETECT_INPUTS:
            keys, astray = self._astray(topic)
            if not keys:
                yield Finding("producers", Verdict.SKIP, f"{topic} has no records yet")
                continue
            text = f"{topic}: {astray} of the {keys} newest keys are in another partition"
            if not astray:
                yield Finding("producers", Verdict.OK, f"{topic}: {keys} keys where they belong")
            else:
                limit = self._settings.engine.dead_letter_limit or keys
                yield Finding(
                    "producers",
                    Verdict.FAIL if astray * 1000 > limit * keys else Verdict.WARN,
                    f"{text} than murmur2 of the key says; each becomes a dead letter",
                    "let its producers use murmur2 (librdkafka: partitioner=murmur2_random), "
                    "then walletwatch dlq replay --reason wrong_partition",
                )

    def _astray(self, topic: str) -> tuple[int, int]:
        """Return how many of the newest records have a key, and how many a wrong partition."""
        extents = self._log.offsets(topic)
        keys = [
            (record.key, partition)
            for partition, (first, end) in enumerate(extents)
            for record in self._log.read(topic, partition, max(first, end - _SAMPLE), _SAMPLE)
            if record.key is not None
        ]
        return len(keys), sum(partition_of(key, len(extents)) != at for key, at in keys)

    def _held(self, admin: Admin) -> Iterator[Finding]:
        limit = self._settings.engine.silence_limit_ms
        return held_inputs(self._cluster, admin, self._log, self._clock(), limit)

    # -- commits ----------------------------------------------------------------------------

    def _transaction(self, admin: Admin) -> Iterator[Finding]:
        """Commit a position of the doctor's own group, and nothing else, in a transaction."""
        cluster = self._cluster
        own, group = cluster.transactional_id(DETECT, _OWN), cluster.group("doctor")
        at = ClusterPartition(cluster.topic(DETECT_INPUTS[0]), 0)
        with closing(cluster.producer(own)) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            before = self._clock()
            position = CommittedOffset(self._log.offsets(DETECT_INPUTS[0])[0][0])
            producer.send_offsets({at: position}, GroupMetadata(group))
            began = _began(admin, own)
            after = self._clock()
            producer.commit_transaction()
        yield Finding("transaction", Verdict.OK, f"committed one as {own}")
        yield self._judged(before, began, after)

    def _judged(self, before: int, began: int | None, after: int) -> Finding:
        """Compare a transaction's start by the broker's clock with before and after by this one."""
        if began is None:
            return Finding("clock", Verdict.SKIP, "brokers before Kafka 3.0 do not give their time")
        ahead = max(0, before - began) or min(0, after - began)
        if not ahead:
            return Finding("clock", Verdict.OK, f"that of the broker, within {after - before} ms")
        inputs = self._settings.inputs
        lateness = min(
            each.lateness_ms for each in (inputs.transactions, inputs.logins, inputs.balances)
        )
        text = (
            f"this machine is {abs(ahead):,} ms {'ahead of' if ahead > 0 else 'behind'} the broker"
        )
        advice = "set both by the same time servers: idle inputs are judged by this clock"
        return Finding("clock", Verdict.FAIL if ahead > lateness else Verdict.WARN, text, advice)


def _guarded(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; an error that it does not expect is a finding too."""
    try:
        yield from check()
    except (ClientError, WalletwatchError) as error:
        yield Finding(name, Verdict.FAIL, str(error))


def _version(version: tuple[int, ...]) -> Finding:
    named = ".".join(map(str, version))
    if version >= _NAMES_TRANSACTIONS:
        return Finding("version", Verdict.OK, f"requests of Kafka {named} or newer")
    return Finding(
        "version",
        Verdict.WARN,
        f"Kafka {named}: who takes over from a dead worker has to wait for its transaction to time "
        "out",
        "use brokers of Kafka 3.0 or newer",
    )


def _began(admin: Admin, transactional_id: str) -> int | None:
    """Return when its open transaction began by its coordinator's clock, ms; None if unknown."""
    try:
        return admin.transaction_start(transactional_id)
    except Unsupported:
        return None
