"""`walletwatch topics` on a real broker, and workers that refuse what is wrong there."""

import uuid
from collections.abc import Iterator

import pytest
from kafka.admin import NewTopic
from typer.testing import CliRunner

from schemas.topics import TOPICS, TRANSACTIONS
from tests.support.commands import PUBLIC_TOKENS, walletwatch
from tests.support.kafka_clients import library_client
from worker.cli.app import app
from worker.logs.kafka.cluster import Cluster

NAMES = [topic.name for topic in TOPICS] + [
    "walletwatch.detect.changelog",
    "walletwatch.triage.changelog",
]


class Site:
    """A prefix on the broker, and the command line for it."""

    def __init__(self, address: str) -> None:
        self.cluster = Cluster(servers=(address,), prefix=f"{uuid.uuid4().hex[:12]}.")
        self.admin = library_client(self.cluster.admin())
        self._address = address

    def run(self, *words: str, replication: int = 1) -> tuple[int, str]:
        environment = {
            "WALLETWATCH_KAFKA__PREFIX": self.cluster.prefix,
            "WALLETWATCH_KAFKA__REPLICATION": str(replication),
            "WALLETWATCH_KAFKA__MIN_INSYNC": "1",
            **PUBLIC_TOKENS,
        }
        arguments = [*words, "--log", f"kafka://{self._address}"]
        done = CliRunner().invoke(app, arguments, env=environment)
        return done.exit_code, done.output

    def make(self, name: str, partitions: int, **configs: str) -> None:
        named = {key.replace("_", "."): value for key, value in configs.items()}
        new = NewTopic(self.cluster.topic(name), partitions, 1, topic_configs=named)
        self.admin.create_topics([new], wait_for_metadata=True)

    def remove(self) -> None:
        found = [topic["name"] for topic in self.admin.describe_topics()]
        own = [name for name in found if name.startswith(self.cluster.prefix)]
        if own:
            self.admin.delete_topics(own)
        self.admin.close()


@pytest.fixture
def site(kafka_address: str) -> Iterator[Site]:
    site = Site(kafka_address)
    yield site
    site.remove()


def test_create_makes_every_topic_and_check_is_content(site: Site) -> None:
    """A second time it makes nothing."""
    code, output = site.run("topics", "create", "--partitions", "3")
    assert code == 0
    made = [line.removeprefix("made ") for line in output.splitlines() if line.startswith("made")]
    assert sorted(made) == sorted(site.cluster.prefix + name for name in NAMES)
    assert site.run("topics", "create", "--partitions", "3") == (
        0,
        "ok: every topic is as it should be\n",
    )
    assert site.run("topics", "check", "--partitions", "3")[0] == 0


def test_check_says_exactly_what_differs(site: Site) -> None:
    """Missing topics, partitions, cleanup, timestamps; create leaves what exists alone."""
    site.make(TRANSACTIONS, 2, cleanup_policy="compact")
    code, output = site.run("topics", "check")
    assert code == 1
    name = site.cluster.topic(TRANSACTIONS)
    assert f"{name}: partitions should be 4, and is 2" in output
    assert f"{name}: cleanup.policy should be delete, and is compact" in output
    assert f"{name}: message.timestamp.type should be LogAppendTime, and is CreateTime" in output
    assert output.count("topic should be there, and is missing") == len(NAMES) - 1
    code, output = site.run("topics", "create")
    assert code == 1
    assert output.count("made ") == len(NAMES) - 1
    assert f"{name}: partitions should be 4, and is 2" in output


def test_a_cluster_that_cannot_replicate_says_so(site: Site) -> None:
    """With the setting that decides it."""
    code, output = site.run("topics", "create", replication=3)
    assert code == 70
    assert "kafka.replication" in output


def test_a_worker_refuses_wrong_topics(site: Site) -> None:
    """Before it has taken anything; with the command that says more."""
    code, output = site.run("run", "--until-ended")
    assert code == 70
    assert "no topic wallet.transactions" in output
    site.make(TRANSACTIONS, 2)
    code, output = site.run("run", "--until-ended")
    assert code == 78
    assert "walletwatch topics check" in output
    assert "message.timestamp.type should be LogAppendTime" in output


def test_topics_are_only_for_kafka() -> None:
    """A file has none to make."""
    done = CliRunner().invoke(app, ["topics", "check", "--log", "sqlite:///x.db"])
    assert done.exit_code == 78
    assert "not on Kafka" in done.output


def test_a_broker_that_is_not_there_is_named() -> None:
    """Within the time that a client may take; in a process, as the client leaves sockets open."""
    done = walletwatch("topics", "check", "--log", "kafka://127.0.0.1:1")
    assert done.returncode == 70
    assert "No Kafka broker at 127.0.0.1:1 can be used" in done.stderr
