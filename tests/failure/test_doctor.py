"""doctor on a real broker: no findings for a healthy one, and one sentence for each problem."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import kafka
import pytest
from kafka import codec
from kafka.record import util

from rules.builders import login
from schemas.topics import ALERTS, DEAD_LETTERS, LOGINS, TOPICS
from scripts.broker import Broker, free_port
from tests.support.commands import PUBLIC_TOKENS, kafka_variables, walletwatch
from tests.support.kafka_changes import delete
from tests.support.kafka_place import TIMINGS, KafkaPlace
from tests.support.open_transaction import OpenTransaction
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord
from worker.logs.finding import Finding, Verdict
from worker.logs.kafka.client import ClusterPartition
from worker.logs.kafka.cluster import Cluster
from worker.logs.kafka.kafka_python import decode
from worker.logs.kafka.kafka_python.connect import KafkaPythonClient
from worker.logs.kafka.ops.doctor import Doctor
from worker.logs.sqlite.log import wall_clock
from worker.run.open_log import examine, open_log

MINUTE = 60_000


def examined(place: KafkaPlace, ahead: int = 0) -> list[Finding]:
    """Return the findings, with a clock that is wrong by so many milliseconds."""
    with closing(place.open()) as log:
        return list(examine(log, place.settings, lambda: wall_clock() + ahead))


def bad(findings: list[Finding]) -> list[Finding]:
    """Return what is not as it should be, besides the public key, which these tests take."""
    found = [each for each in findings if each.verdict in (Verdict.WARN, Verdict.FAIL)]
    return [each for each in found if (each.check, each.verdict) != ("tokens", Verdict.WARN)]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run walletwatch doctor as a process: a client that fails leaves its sockets open."""
    settings = kafka_variables(TIMINGS) | PUBLIC_TOKENS | environment
    return walletwatch("doctor", *arguments, **settings)


def give(place: KafkaPlace, astray: int, right: int) -> None:
    """Append logins, so many of them where they do not belong."""
    value = json.dumps(login("10:00:00")).encode()
    keys = [b"account-%d" % number for number in range(astray + right)]
    records = [
        NewRecord(LOGINS, key, value, (partition_of(key, 4) + (number < astray)) % 4)
        for number, key in enumerate(keys)
    ]
    with closing(place.open()) as log:
        log.append(records)


def test_of_one_that_is_well_every_line_is_ok(place: KafkaPlace) -> None:
    """And nothing that anybody reads has changed."""
    give(place, 0, 50)
    with closing(place.open()) as log:
        before = {topic.name: log.offsets(topic.name) for topic in TOPICS}
        found = list(examine(log, place.settings))
        assert {topic.name: log.offsets(topic.name) for topic in TOPICS} == before
    assert bad(found) == []
    ok = [each.check for each in found if each.verdict is Verdict.OK]
    assert ok == [
        "crc32c", "client", "codecs", f"broker {place.url.removeprefix('kafka://')}", "login",
        "version", "cluster", "advertised", "topics", "rights", "producers", "held", "transaction",
        "clock",
    ]  # fmt: skip
    skipped = [each.found for each in found if each.verdict is Verdict.SKIP]
    assert skipped == [f"wallet.{name} has no records yet" for name in ("transactions", "balances")]
    with place.admin() as admin:
        groups = {each["group_id"] for each in admin.list_groups()}
    own = {name for name in groups if name.startswith(place.prefix)}
    assert own == {place.cluster.group("doctor")}


def test_it_may_be_asked_again_and_while_workers_run(place: KafkaPlace) -> None:
    """It commits under an identity that no worker can have."""
    give(place, 0, 10)
    with place.running() as process:
        place.await_phase(process, 3, "reading")
        for _ in range(2):
            assert bad(examined(place)) == []
        units = place.page.units
        place.await_phase(process, units + 2, "reading")
        process.terminate()
        assert process.wait(60) == 0, place.errors.read_text()


@pytest.mark.parametrize(
    ("astray", "verdict"), [(5, Verdict.WARN), (10, Verdict.WARN), (11, Verdict.FAIL)]
)
def test_producers_with_another_partitioner_are_found(
    astray: int, verdict: Verdict, place: KafkaPlace
) -> None:
    """It fails where the worker would stop: above the limit of dead letters, 100 of 1000."""
    give(place, astray, 100 - astray)
    (found,) = bad(examined(place))
    assert (found.check, found.verdict) == ("producers", verdict)
    assert found.found.startswith(f"wallet.logins: {astray} of the 100 newest keys are in another")
    assert "murmur2_random" in found.advice


@pytest.mark.parametrize(
    ("ahead", "verdict", "text"),
    [
        (4_000, Verdict.WARN, "ahead of the broker"),
        (MINUTE, Verdict.FAIL, "ahead of the broker"),
        (-MINUTE, Verdict.WARN, "behind the broker"),
    ],
)
def test_a_clock_that_goes_wrong_is_found(
    ahead: int, verdict: Verdict, text: str, place: KafkaPlace
) -> None:
    """It fails where it runs ahead by more than the allowed lateness, 5 s: an input that is idle
    for a moment would make what comes next late.
    """
    (found,) = bad(examined(place, ahead))
    assert (found.check, found.verdict) == ("clock", verdict)
    assert text in found.found


def test_wrong_topics_are_named(place: KafkaPlace) -> None:
    delete(place, ALERTS, DEAD_LETTERS)
    place.configure([LOGINS], retention_ms=1000)
    missing, *others = bad(examined(place))
    prefix = place.prefix
    assert missing.found == f"missing: {prefix}wallet.alerts, {prefix}wallet.dead-letters"
    assert missing.verdict is Verdict.FAIL
    assert f"{prefix}wallet.logins: retention.ms should be 604800000, and is 1000" in {
        each.found for each in others
    }


def test_without_topics_the_rest_is_skipped(kafka_address: str) -> None:
    done = command("--log", f"kafka://{kafka_address}", WALLETWATCH_KAFKA__PREFIX="nobody.made.")
    assert done.returncode == 1
    assert "FAIL  topics: missing: nobody.made.wallet.transactions, " in done.stdout
    assert "-> walletwatch topics create makes them" in done.stdout
    assert (
        "skip  producers, held, transaction, clock: nobody.made.wallet.transactions" in done.stdout
    )
    assert done.stderr == ""


def test_brokers_that_cannot_be_reached_are_told_apart(kafka_address: str) -> None:
    """One that answers is enough to go on."""
    closed = f"127.0.0.1:{free_port()}"
    url = f"kafka://{closed},unknown.invalid:9092,{kafka_address}"
    done = command("--log", url, "--json", WALLETWATCH_KAFKA__PREFIX="nobody.made.")
    found = {each["check"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert found[f"broker {closed}"]["found"] == "Connection refused"
    name = found["broker unknown.invalid:9092"]["found"]
    assert name == "the name unknown.invalid is not known here"
    assert found[f"broker {kafka_address}"]["verdict"] == "ok"
    assert found["login"]["verdict"] == "ok"
    assert done.returncode == 1


def test_where_no_broker_answers_nothing_more_is_tried() -> None:
    done = command("--log", f"kafka://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("skip  login: no broker was reached")


def test_an_address_that_only_the_brokers_know_is_found(own_broker: Broker) -> None:
    """The classic of containers: a cluster answers, and sends clients on to a closed port."""
    elsewhere = f"PLAINTEXT://127.0.0.1:{free_port()}"
    own_broker.stop()
    own_broker.change({"advertised.listeners": elsewhere})
    own_broker.start()
    done = command("--log", f"kafka://{own_broker.address}")
    assert done.returncode == 1
    assert f"FAIL  advertised: the cluster sends clients on to {elsewhere[12:]}" in done.stdout
    assert "advertised.listeners" in done.stdout


def test_old_brokers_are_said(place: KafkaPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those before 3.0 do not name the transactions that are open."""
    monkeypatch.setattr(KafkaPythonClient, "broker_version", (2, 8))
    (found,) = bad(examined(place))
    assert (found.check, found.verdict) == ("version", Verdict.WARN)
    assert found.found.startswith("Kafka 2.8: ")


def test_too_old_brokers_are_refused(place: KafkaPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KafkaPythonClient, "broker_version", (2, 6))
    with closing(place.open()) as log:
        found = list(examine(log, place.settings))
    (failed,) = bad(found)
    assert failed.check == "login"
    assert failed.found.endswith("are Kafka 2.6: walletwatch needs 2.7 or newer.")


@pytest.fixture
def unreached(tmp_path: Path, kafka_address: str) -> Iterator[Doctor]:
    """A doctor whose cluster has no address."""
    place = KafkaPlace(tmp_path / "place", kafka_address)
    cluster = Cluster(options={"security_protocol": "PLAINTEXT"})
    with closing(place.open()) as log:
        yield Doctor(cluster, place.settings, log, wall_clock)
    place.remove()


def test_slow_checksums_and_slow_decoding_are_said(
    unreached: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(util, "crc32c_c", None)
    monkeypatch.setattr(decode, "VERSIONS", ())
    checksum, client, _, login = unreached.findings()
    assert (checksum.check, checksum.verdict) == ("crc32c", Verdict.FAIL)
    assert (client.check, client.verdict) == ("client", Verdict.WARN)
    assert kafka.__version__ in client.found
    assert login.verdict is Verdict.SKIP


def test_a_codec_that_cannot_be_used_is_said(
    unreached: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is missing, and one that gives other bytes back, each with its package."""
    monkeypatch.setattr(codec, "zstd", None)
    monkeypatch.setattr(codec, "lz4_decode", lambda _: b"other")
    found = {each.found: each for each in bad(list(unreached.findings()))}
    lz4 = found["records compressed with lz4 cannot be read: it gives other bytes back"]
    zstd = found["records compressed with zstd cannot be read: no package for it is installed"]
    assert (lz4.check, lz4.verdict) == (zstd.check, zstd.verdict) == ("codecs", Verdict.FAIL)
    assert lz4.advice == "install lz4 beside walletwatch"
    assert zstd.advice == "install zstandard beside walletwatch"


def test_the_embedded_log_is_opened(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    assert command("--log", url).returncode == 2
    open_log(url).close()
    done = command("--log", url)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert (
        lines[0]
        == "warn  tokens: account tokens and ids of alerts use the public key, which hides nothing"
    )
    assert lines[2:] == [f"ok    log: {url}: opened, 4 partitions per topic"]


def test_an_open_transaction_that_holds_an_input_is_named(place: KafkaPlace) -> None:
    """With its partition, transactional id, age, and the command that aborts it; short ones too."""
    cluster = place.cluster
    at = ClusterPartition(cluster.topic(LOGINS), 1)
    give(place, 0, 50)
    with closing(place.open()) as log:
        (first, _), end = log.offsets(LOGINS)[1], log.offsets(LOGINS)[1][1]
    assert end > first
    transaction = OpenTransaction(cluster, [(at, b"key", b"value", ())])
    (short,) = (each for each in examined(place) if each.check == "held")
    named = f"{at.topic}/1 from offset {end} on, by a transaction of {transaction.transactional_id}"
    assert short.found.startswith(f"{named}, open for ")
    assert short.verdict is Verdict.OK
    (long,) = (each for each in examined(place, 5 * MINUTE) if each.check == "held")
    assert long.verdict is Verdict.WARN
    assert re.fullmatch(re.escape(named) + r", open for (3\d\d) s", long.found)
    assert long.advice.endswith(
        f"kafka-transactions abort --topic {at.topic} --partition 1 --start-offset {end}"
    )
    transaction.abort()
    (none,) = (each for each in examined(place) if each.check == "held")
    assert (none.verdict, none.found) == (Verdict.OK, "no open transaction holds an input")
