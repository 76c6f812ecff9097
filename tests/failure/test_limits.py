"""On a real broker: topics that take small records only, and records that are too large."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from schemas.topics import ALERTS, DEAD_LETTERS, DETECT_INPUTS, LATE, LOGINS, TOPICS
from tests.support.commands import walletwatch
from tests.support.crashing_worker import wait_until
from tests.support.kafka_clients import library_client
from tests.support.kafka_place import KafkaPlace
from tests.support.log_comparison import Outcome, differences, of_the_embedded_log, outcome
from tests.support.producer import crowd
from worker.detect.stage import DETECT
from worker.engine.records import Commit, NewRecord, StateChange
from worker.errors import LogError
from worker.logs.kafka.limits import SETTING, UNKNOWN
from worker.run.open_log import cluster_at
from worker.triage.stage import TRIAGE

SEED = 5
EVENTS = 1_000
POLL = 20_000
SMALL = 20_000
KEY = b"account-17"


@pytest.fixture
def place(kafka_address: str, tmp_path: Path) -> Iterator[KafkaPlace]:
    """A log on Kafka without records."""
    place = KafkaPlace(tmp_path / "place", kafka_address, POLL)
    yield place
    place.remove()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the embedded log makes of the same traffic."""
    return of_the_embedded_log(tmp_path_factory.mktemp("embedded"), SEED, EVENTS, POLL)


def limit(place: KafkaPlace, bytes_: int, topics: Sequence[str]) -> None:
    """Let topics take records of so many bytes at most."""
    wanted, names = {SETTING: str(bytes_)}, [place.prefix + name for name in topics]
    cluster = cluster_at(place.url, place.settings.kafka)
    with closing(cluster.admin()) as admin:
        library_client(admin).alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name, wanted) for name in names]
        )
        asked = dict.fromkeys(names, (SETTING,))
        wait_until(
            lambda: all(found == wanted for found in admin.topic_configs(asked).values()),
            "the limits",
        )


CHANGELOGS = [f"walletwatch.{stage}.changelog" for stage in (DETECT, TRIAGE)]
EVERYTHING = [*(topic.name for topic in TOPICS), *CHANGELOGS]


def test_batches_and_blocks_follow_the_limits(place: KafkaPlace, expected: Outcome) -> None:
    """All topics take 20,000 bytes; a unit of work has many times as much for one partition."""
    limit(place, SMALL, EVERYTHING)
    place.fill(crowd(SEED, EVENTS))
    place.finish()
    assert differences(outcome(place), expected) == []


def refused(place: KafkaPlace, unit: Commit, lowered: Sequence[str] = ()) -> str:
    """Return why a commit fails; before it the limits of some topics are lowered."""
    with closing(place.open()) as log:
        session = log.open_session(DETECT, DETECT_INPUTS, [0])
        list(session.restore(0).states)
        limit(place, SMALL, lowered or [ALERTS])
        with pytest.raises(LogError) as caught:
            session.commit(unit)
    with closing(place.open()) as log:
        assert log.offsets(ALERTS)[0] == (0, 0)
        session = log.open_session(DETECT, DETECT_INPUTS, [0])
        assert list(session.restore(0).states) == []
    assert KEY.decode() not in str(caught.value)
    return str(caught.value)


def test_a_state_that_is_too_large_is_named(place: KafkaPlace) -> None:
    """By the hash of its key, before anything is sent; the other states do not matter."""
    limit(place, SMALL, CHANGELOGS)
    states = [StateChange(0, b"%d" % n, b"v" * 10_000) for n in range(9)]
    said = refused(place, Commit(states=[*states, StateChange(0, KEY, b"v" * SMALL)]))
    assert said.startswith(
        f"Topic {place.prefix}walletwatch.detect.changelog takes records of at most 20000 bytes "
        "(max.message.bytes), and a state whose key's SHA-256 begins with "
        f"{sha256(KEY).hexdigest()[:16]}, for partition 0, has 20"
    )
    assert "--add-config max.message.bytes=" in said


@pytest.mark.parametrize("known", [True, False])
def test_an_output_that_is_too_large_is_named(known: bool, place: KafkaPlace) -> None:
    """Also if the limit is lower than it was at the start: then the broker refuses the record."""
    if known:
        limit(place, SMALL, [ALERTS])
    outputs = [NewRecord(ALERTS, b"%d" % n, b"v" * 1_000, 0) for n in range(9)]
    outputs.append(NewRecord(ALERTS, KEY, b"v" * SMALL, 0))
    unit = Commit(outputs, [StateChange(0, b"large", b"v" * 100_000)])
    said = refused(place, unit)
    most = "20000" if known else "1048588"
    assert said.startswith(
        f"Topic {place.prefix}wallet.alerts takes records of at most {most} bytes "
        "(max.message.bytes), and a record whose key's SHA-256 begins with "
        f"{sha256(KEY).hexdigest()[:16]}, for partition 0, has 20"
    )


@pytest.mark.parametrize("known", [True, False])
def test_what_is_appended_follows_the_limits(
    known: bool, place: KafkaPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for users who may not see them: then the client makes smaller batches when refused."""
    limit(place, SMALL, [LOGINS])
    if not known:
        monkeypatch.setattr("worker.logs.kafka.log.read_limits", lambda *_: UNKNOWN)
    records = [NewRecord(LOGINS, KEY, b"%0900d" % n, 1) for n in range(300)]
    with closing(place.open()) as log:
        log.append(records)
        assert [each.value for each in log.read(LOGINS, 1, 0, 500)] == [r.value for r in records]
        with pytest.raises(LogError, match=r"wallet\.logins takes records of .*, has 20"):
            log.append([*records, NewRecord(LOGINS, KEY, b"v" * SMALL, 1)])


def test_check_compares_limits(place: KafkaPlace) -> None:
    """Dead letters and late records must take what the inputs take."""

    def differing() -> str:
        settings = place.environment | {"WALLETWATCH_LOG__URL": place.url}
        return walletwatch("topics", "check", **settings).stdout

    assert differing() == "ok: every topic is as it should be\n"
    limit(place, 3_000_000, [LOGINS])
    limit(place, 4_000_000, [LATE])
    limit(place, SMALL, [ALERTS, *CHANGELOGS])
    small_block = "max.message.bytes should be at least 8388608, and is 20000"
    found = differing().replace(place.prefix, "").splitlines()
    assert found == [
        "wallet.alerts: max.message.bytes should be at least 1048588, and is 20000",
        "wallet.dead-letters: max.message.bytes should be at least 3000000, and is 1048588",
        *(f"{each}: {small_block}" for each in CHANGELOGS),
    ]
    limit(place, 9_000_000, [ALERTS, DEAD_LETTERS, *CHANGELOGS])
    assert differing() == "ok: every topic is as it should be\n"
