"""On a broker that refuses unknown users: each role with the rights that it needs, no others."""

import json
import select
import ssl
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from rules.builders import login as login_event
from schemas.topics import DEAD_LETTERS, INCIDENTS, LOGINS, TOPICS
from tests.support.commands import PUBLIC_TOKENS, kafka_variables, walletwatch
from tests.support.crashing_worker import DEADLINE_SECONDS
from tests.support.kafka_place import TIMINGS, KafkaPlace
from tests.support.log_comparison import Outcome, differences, of_the_embedded_log, outcome
from tests.support.producer import PARTITIONS, crowd
from tests.support.secured_broker import SecuredBroker
from worker.engine.log import stored
from worker.engine.loop import COMMITTING
from worker.errors import ConfigError, LogError
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.names import Names
from worker.logs.kafka.ops.acls import Acl, Role, acls
from worker.logs.kafka.ops.reach import reach

SEED = 31
EVENTS = 600
POLL = 100
SHADOW = '[rules.cannot_log_in]\nmode = "shadow"\n'
CA_FILE, PASSWORD_FILE = "WALLETWATCH_KAFKA__CA_FILE", "WALLETWATCH_KAFKA__PASSWORD_FILE"
LATE_MS = 400
"""Four times as long as a broker waits before it refuses a login."""
LONG = [pytest.mark.chaos, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the embedded log makes of the same traffic."""
    return of_the_embedded_log(tmp_path_factory.mktemp("embedded"), SEED, EVENTS, POLL)


class SecuredCluster:
    """Topics under a prefix of their own, and places of users who are allowed certain things."""

    def __init__(self, broker: SecuredBroker, folder: Path) -> None:
        self.broker = broker
        self.prefix = f"{uuid.uuid4().hex[:12]}."
        self._folder = folder
        self._places = 0

    def allowed(self, *roles: Role) -> list[Acl]:
        """Return what the roles may do here."""
        return [acl for role in roles for acl in acls(Names(self.prefix), role)]

    def place(self, login: dict[str, str], address: str = "") -> KafkaPlace:
        """Return the place of the user who logs in so."""
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
        settings = kafka_variables(TIMINGS | {"prefix": self.prefix}) | PUBLIC_TOKENS
        url = f"kafka://{address or self.broker.scram}"
        return walletwatch(*arguments, "--log", url, **settings, **login)

    def make_topics(self) -> None:
        """Make the topics, as an operator."""
        login = self.broker.user(self.allowed(Role.OPERATOR))
        made = self.walletwatch(login, "topics", "create", "--partitions", str(PARTITIONS))
        assert made.returncode == 0, made.stdout + made.stderr


@pytest.fixture
def scene(secured: SecuredBroker, tmp_path: Path) -> SecuredCluster:
    """Topics without records."""
    scene = SecuredCluster(secured, tmp_path)
    scene.make_topics()
    return scene


@pytest.fixture
def filled(scene: SecuredCluster) -> SecuredCluster:
    """Topics with everything in them that a producer may write."""
    scene.user(Role.PRODUCER).fill(crowd(SEED, EVENTS))
    return scene


def assert_unharmed(scene: SecuredCluster, expected: Outcome) -> None:
    """As the embedded log has it; readers may look at everything but changelogs."""
    found = outcome(scene.user(Role.READER, Role.DEAD_LETTERS))
    assert differences(found, expected) == []
    assert found.misnumbered == []
    assert found.dangling == 0


def test_each_role_does_its_work_with_just_what_it_is_allowed(
    filled: SecuredCluster, expected: Outcome
) -> None:
    """SASL_SSL with SCRAM-SHA-512; alerts and incidents are those of the embedded log."""
    filled.user(Role.WORKER).finish()
    assert_unharmed(filled, expected)


def test_a_worker_may_take_over_from_a_dead_one(filled: SecuredCluster, expected: Outcome) -> None:
    """It aborts the transaction that the dead one has left open."""
    first = filled.user(Role.WORKER)
    for kill in range(2):
        with first.running("--until-ended") as process:
            first.await_phase(process, 4 * (kill + 1), COMMITTING)
            process.kill()
            process.wait()
    first.beside("other").finish()
    assert_unharmed(filled, expected)


def test_where_workers_go_on_is_decided_with_the_rights_of_a_worker(scene: SecuredCluster) -> None:
    """And with those of no other role: who runs it may also read the inputs."""
    command = ("topics", "accept", "wallet.logins", "--from", "oldest")
    for role, code in ((Role.WORKER, 0), (Role.OPERATOR, 70), (Role.PRODUCER, 70)):
        login = scene.broker.user(scene.allowed(role))
        done = scene.walletwatch(login, *command)
        assert done.returncode == code, done.stdout + done.stderr


def needed() -> list[Acl]:
    """Return what a worker is allowed, under the prefix `p.`."""
    return acls(Names("p."), Role.WORKER)


SHORT = {("Write", "p.wallet.signals"), ("Read", "p.walletwatch.detect.changelog"),
         ("DescribeConfigs", "p.wallet.late")}  # fmt: skip


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(n, id=str(acl), marks=[] if (acl.operation, acl.name) in SHORT else LONG)
        for n, acl in enumerate(needed())
    ],
)
def test_a_worker_can_do_with_nothing_less(number: int, filled: SecuredCluster) -> None:
    """Without any one thing that it is allowed it ends, and names what was refused.

    It follows a worker that died in the middle of a commit; a rule in shadow publishes, too.
    """
    dead = filled.user(Role.WORKER)
    dead.config.write_text(dead.config.read_text() + SHADOW)
    with dead.running("--until-ended") as process:
        dead.await_phase(process, 4, COMMITTING)
        process.kill()
        process.wait()
    allowed = filled.allowed(Role.WORKER)
    without = allowed.pop(number)
    if without.kind == "topic":
        allowed.append(without._replace(operation="Describe"))
    if without.operation == "Describe":
        allowed.remove(without)
    place = filled.place(filled.broker.user(allowed))
    place.config.write_text(dead.config.read_text())
    with place.running("--until-ended") as process:
        code = process.wait(DEADLINE_SECONDS)
    said = place.errors.read_text().splitlines()[-1]
    assert code in (70, 78), said
    assert without.name.removeprefix(filled.prefix).removesuffix(".") in said


BAD_LINE = "no event\n"


def test_a_producer_cannot_write_dead_letters(scene: SecuredCluster, tmp_path: Path) -> None:
    """It appends events; a file with a line that is none needs the role `ingest`, too."""
    good, bad = tmp_path / "good.ndjson", tmp_path / "bad.ndjson"
    event = json.dumps(login_event("10:00:00")) + "\n"
    good.write_text(event, "utf-8")
    bad.write_text(event + BAD_LINE, "utf-8")
    producer = scene.broker.user(scene.allowed(Role.PRODUCER))
    taken = scene.walletwatch(producer, "ingest", str(good))
    assert taken.returncode == 0, taken.stderr
    refused = scene.walletwatch(producer, "ingest", str(bad))
    assert refused.returncode == 70
    assert "wallet.dead-letters" in refused.stderr
    assert "walletwatch topics acls lists what a user must be allowed" in refused.stderr
    both = scene.broker.user(scene.allowed(Role.PRODUCER, Role.INGEST))
    aside = scene.walletwatch(both, "ingest", str(bad))
    assert aside.returncode == 1, aside.stderr
    reader = scene.broker.user(scene.allowed(Role.READER, Role.DEAD_LETTERS))
    with closing(scene.place(reader).open()) as log:
        assert [record.value for _, record in stored(log, DEAD_LETTERS)] == [BAD_LINE.encode()[:-1]]
        assert sum(1 for _ in stored(log, LOGINS)) == 2


def test_who_reads_incidents_reads_nothing_else(filled: SecuredCluster) -> None:
    """The incidents command does all its work; what other commands read is refused."""
    filled.user(Role.WORKER).finish()
    login = filled.broker.user(filled.allowed(Role.INCIDENTS))
    listed = filled.walletwatch(login, "incidents", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    incident = json.loads(listed.stdout.splitlines()[0])["incident_id"]
    shown = filled.walletwatch(login, "incidents", "show", incident)
    assert shown.returncode == 0, shown.stderr
    with closing(filled.place(login).open()) as log:
        for topic in (each.name for each in TOPICS if each.name != INCIDENTS):
            with pytest.raises(LogError, match=f"no topic {topic}, or it may not be read"):
                log.offsets(topic)


def test_the_doctor_names_what_is_not_allowed(filled: SecuredCluster) -> None:
    """And reports nothing if all are granted, its own included."""
    roles = (Role.WORKER, Role.DOCTOR)
    filled.user(Role.WORKER).finish()  # a cluster does not list groups that never existed
    well = filled.walletwatch(filled.broker.user(filled.allowed(*roles)), "doctor")
    assert well.returncode == 0, well.stdout
    assert "ok    rights: all that a worker needs on topics and groups" in well.stdout
    assert f"ok    broker {filled.broker.scram}: connected by TLSv1." in well.stdout
    lacking = [
        acl
        for acl in filled.allowed(*roles)
        if acl.name not in (f"{filled.prefix}wallet.alerts", f"{filled.prefix}walletwatch.triage")
    ]
    ill = filled.walletwatch(filled.broker.user(lacking), "doctor")
    assert ill.returncode == 1
    assert (
        f"FAIL  rights: not allowed: Write on topic {filled.prefix}wallet.alerts, "
        f"Read on group {filled.prefix}walletwatch.triage, "
        f"DescribeConfigs on topic {filled.prefix}wallet.alerts\n"
    ) in ill.stdout


@pytest.mark.parametrize("door", ["mtls", "plain"])
def test_certificates_and_plain_passwords_open_their_doors(
    door: str, filled: SecuredCluster, expected: Outcome
) -> None:
    """The same over mTLS, and over TLS with SASL PLAIN."""
    broker, name = filled.broker, door
    login = broker.certified(name) if door == "mtls" else broker.plain_user()
    broker.allow(name, filled.allowed(Role.WORKER))
    filled.place(login, getattr(broker, door)).finish()
    assert_unharmed(filled, expected)


def test_who_is_not_let_in_is_told_why(scene: SecuredCluster, tmp_path: Path) -> None:
    """By run, in one sentence with what and where, without a secret; a wrong login is 78."""
    broker = scene.broker
    login = broker.user([])
    wrong, foreign = tmp_path / "wrong", tmp_path / "foreign.pem"
    wrong.write_text("not-the-password", "utf-8")
    wrong.chmod(0o600)
    trustme.CA().cert_pem.write_to_path(str(foreign))
    encrypted = {name: value for name, value in login.items() if "CA_FILE" in name}
    encrypted["WALLETWATCH_KAFKA__SECURITY_PROTOCOL"] = "SSL"
    cases = [
        (login | {PASSWORD_FILE: str(wrong)}, broker.scram, 78, "refuse the login: Authentication"),
        (login | {CA_FILE: str(foreign)}, broker.scram, 70, "its certificate is not accepted"),
        (encrypted, broker.mtls, 70, "see kafka.cert_file"),
        ({}, broker.scram, 70, "can be used ("),
    ]
    with ThreadPoolExecutor() as pool:
        ends = list(
            pool.map(lambda case: scene.walletwatch(case[0], "run", address=case[1]), cases)
        )
    for (_, address, code, why), end in zip(cases, ends, strict=True):
        said = end.stderr.splitlines()[-1]
        assert end.returncode == code, said
        assert why in said
        assert address in said
        assert "not-the-password" not in end.stderr + end.stdout
        assert broker.password not in end.stderr + end.stdout


def test_a_refusal_is_heard_however_late_it_is_read(
    scene: SecuredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a client on a busy machine, which comes to read when the broker has hung up already."""
    receive = ssl.SSLSocket.recv

    def late(connection: ssl.SSLSocket, size: int) -> bytes:
        hung_up = select.poll()
        hung_up.register(connection, select.POLLRDHUP)
        hung_up.poll(LATE_MS)
        return receive(connection, size)

    monkeypatch.setattr(ssl.SSLSocket, "recv", late)
    options = {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(scene.broker.ca_file),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "nobody",
        "sasl_plain_password": "not-the-password",
    }
    with pytest.raises(ConfigError, match="refuse the login: Authentication"):
        Cluster("", (scene.broker.scram,), options).admin()


def test_the_doctor_tells_certificates_and_ports_apart(
    scene: SecuredCluster, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.pem"
    trustme.CA().cert_pem.write_to_path(str(foreign))
    login = scene.broker.user([])
    printed = scene.walletwatch(login | {CA_FILE: str(foreign)}, "doctor").stdout
    assert f"FAIL  broker {scene.broker.scram}: its certificate is not accepted: " in printed
    assert "-> set kafka.ca_file to the certificates of the authority" in printed
    printed = scene.walletwatch(login, "doctor", address=scene.broker.open).stdout
    assert f"FAIL  broker {scene.broker.open}: no TLS connection: " in printed
    assert "kafka.security_protocol" in printed


@pytest.mark.parametrize(("days", "soon"), [(15, False), (13, True)])
def test_a_certificate_that_expires_soon_is_seen(
    days: int, soon: bool, secured: SecuredBroker
) -> None:
    """Two weeks before."""
    options = {"security_protocol": "SASL_SSL", "ssl_cafile": str(secured.ca_file)}
    now = secured.expires_at - days * 86_400_000 - 1_000
    reached = reach(secured.scram, options, now)
    assert reached.expires_soon == soon
    assert reached.text.endswith(f"valid for {days} days more")
