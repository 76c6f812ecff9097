"""On a broker that lets in nobody it does not know: each role with what it is allowed, no more."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.failure.crashing import DEADLINE_SECONDS, ROOT, Place
from tests.failure.judging import Outcome, differences, outcome
from tests.failure.kafka_place import TIMINGS, KafkaPlace
from tests.failure.producer import PARTITIONS, crowd
from tests.secured_broker import SecuredBroker
from worker.logs.kafka.acls import Acl, Role, acls
from worker.logs.kafka.cluster import Cluster
from worker.loop import COMMITTING

SEED = 31
EVENTS = 600
POLL = 100


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the embedded log makes of the same traffic."""
    place = Place(tmp_path_factory.mktemp("embedded") / "whole", POLL)
    place.fill(crowd(SEED, EVENTS))
    place.finish()
    return outcome(place)


class Scene:
    """Topics under a prefix of their own, and places of users who are allowed certain things."""

    def __init__(self, broker: SecuredBroker, folder: Path) -> None:
        self.broker = broker
        self.prefix = f"{uuid.uuid4().hex[:12]}."
        self._folder = folder
        self._places = 0

    def allowed(self, *roles: Role) -> list[Acl]:
        """Return what the roles may do here."""
        cluster = Cluster((), prefix=self.prefix)
        return [acl for role in roles for acl in acls(cluster, role)]

    def place(self, login: dict[str, str], address: str = "") -> KafkaPlace:
        """Return the place of whoever logs in so."""
        self._places += 1
        folder = self._folder / f"place-{self._places}"
        address = address or self.broker.scram
        return KafkaPlace(folder, address, POLL, self.prefix, login=login)

    def user(self, *roles: Role) -> KafkaPlace:
        """Return the place of a new user with these roles."""
        return self.place(self.broker.user(self.allowed(*roles)))

    def walletwatch(
        self, login: dict[str, str], *arguments: str, address: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as somebody."""
        names = TIMINGS | {"prefix": self.prefix}
        settings = {f"WALLETWATCH_KAFKA__{key.upper()}": str(v) for key, v in names.items()}
        url = f"kafka://{address or self.broker.scram}"
        return subprocess.run(
            [sys.executable, "-m", "worker.cli.app", *arguments, "--log", url],
            cwd=ROOT,
            env={**os.environ, **settings, **login},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )

    def make_topics(self) -> None:
        """Make the topics, as an operator."""
        login = self.broker.user(self.allowed(Role.OPERATOR))
        made = self.walletwatch(login, "topics", "create", "--partitions", str(PARTITIONS))
        assert made.returncode == 0, made.stdout + made.stderr


@pytest.fixture
def scene(secured: SecuredBroker, tmp_path: Path) -> Scene:
    """Topics without records."""
    scene = Scene(secured, tmp_path)
    scene.make_topics()
    return scene


@pytest.fixture
def filled(scene: Scene) -> Scene:
    """Topics with everything in them that a producer may write."""
    scene.user(Role.PRODUCER).fill(crowd(SEED, EVENTS))
    return scene


def assert_unharmed(scene: Scene, expected: Outcome) -> None:
    """As the embedded log has it; readers may look at everything but changelogs."""
    found = outcome(scene.user(Role.READER, Role.DEAD_LETTERS))
    assert differences(found, expected) == []
    assert found.misnumbered == []
    assert found.dangling == 0


def test_each_role_does_its_work_with_just_what_it_is_allowed(
    filled: Scene, expected: Outcome
) -> None:
    """SASL_SSL with SCRAM-SHA-512; alerts and incidents are those of the embedded log."""
    filled.user(Role.WORKER).finish()
    assert_unharmed(filled, expected)


def test_a_worker_may_take_over_from_a_dead_one(filled: Scene, expected: Outcome) -> None:
    """It aborts the transaction that the dead one has left open."""
    first = filled.user(Role.WORKER)
    for kill in range(2):
        with first.running("--until-ended") as process:
            first.await_phase(process, 4 * (kill + 1), COMMITTING)
            process.kill()
            process.wait()
    first.beside("other").finish()
    assert_unharmed(filled, expected)
