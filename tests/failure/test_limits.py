"""On a real broker: topics that take small records only, and records that are too large."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from schemas.topics import ALERTS, DEAD_LETTERS, DETECT_INPUTS, LATE, LOGINS, TOPICS
from tests.support.commands import walletwatch
from tests.support.kafka_place import KafkaPlace
from tests.support.log_comparison import Outcome, differences, of_the_embedded_log, outcome
from tests.support.producer import crowd
from worker.detect.stage import DETECT
from worker.engine.records import Commit, NewRecord, StateChange
from worker.errors import LogError
from worker.logs.kafka.limits import UNKNOWN
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


CHANGELOGS = [f"walletwatch.{stage}.changelog" for stage in (DETECT, TRIAGE)]
EVERYTHING = [*(topic.name for topic in TOPICS), *CHANGELOGS]


def test_batches_and_blocks_follow_the_limits(place: KafkaPlace, expected: Outcome) -> None:
    """All topics take 20,000 bytes; a unit of work has many times as much for one partition."""
    place.configure(EVERYTHING, max_message_bytes=SMALL)
    place.fill(crowd(SEED, EVENTS))
    place.finish()
    assert differences(outcome(place), expected) == []


def refused(place: KafkaPlace, unit: Commit, lowered: Sequence[str] = ()) -> str:
    """Return why a commit fails; before it the limits of some topics are lowered."""
    with closing(place.open()) as log:
        session = log.open_session(DETECT, DETECT_INPUTS, [0])
        list(session.restore(0).states)
        place.configure(lowered or [ALERTS], max_message_bytes=SMALL)
        with pytest.raises(LogError) as caught:
            session.commit(unit)
    with closing(place.open()) as log:
        assert log.read(ALERTS, 0, 0, 99) == []
        session = log.open_session(DETECT, DETECT_INPUTS, [0])
        assert list(session.restore(0).states) == []
    assert KEY.decode() not in str(caught.value)
    return str(caught.value)


def test_a_state_that_is_too_large_is_named(place: KafkaPlace) -> None:
    """Without its key, before anything is sent; the other states do not matter."""
    place.configure(CHANGELOGS, max_message_bytes=SMALL)
    states = [StateChange(0, b"%d" % n, b"v" * 10_000) for n in range(9)]
    said = refused(place, Commit(states=[*states, StateChange(0, KEY, b"v" * SMALL)]))
    assert said.startswith(
        f"Topic {place.prefix}walletwatch.detect.changelog takes records of at most 20000 bytes "
        "(max.message.bytes), and the state of one key for partition 0 has 20"
    )
    assert "--add-config max.message.bytes=" in said


@pytest.mark.parametrize("known", [True, False])
def test_an_output_that_is_too_large_is_named(known: bool, place: KafkaPlace) -> None:
    """Also if the limit is lower than it was at the start: then the broker refuses the record."""
    if known:
        place.configure([ALERTS], max_message_bytes=SMALL)
    outputs = [NewRecord(ALERTS, b"%d" % n, b"v" * 1_000, 0) for n in range(9)]
    outputs.append(NewRecord(ALERTS, KEY, b"v" * SMALL, 0))
    unit = Commit(outputs, [StateChange(0, b"large", b"v" * 100_000)])
    said = refused(place, unit)
    most = "20000" if known else "1048588"
    assert said.startswith(
        f"Topic {place.prefix}wallet.alerts takes records of at most {most} bytes "
        "(max.message.bytes), and a record for partition 0 has 20"
    )


@pytest.mark.parametrize("known", [True, False])
def test_what_is_appended_follows_the_limits(
    known: bool, place: KafkaPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for users who may not see them: then the client makes smaller batches when refused."""
    place.configure([LOGINS], max_message_bytes=SMALL)
    if not known:
        monkeypatch.setattr("worker.logs.kafka.log.read_limits", lambda *_: UNKNOWN)
    records = [NewRecord(LOGINS, KEY, b"%0900d" % n, 1) for n in range(300)]
    with closing(place.open()) as log:
        log.append(records)
        assert [each.value for each in log.read(LOGINS, 1, 0, 500)] == [r.value for r in records]
        with pytest.raises(LogError, match=r"wallet\.logins takes records of .* has 20"):
            log.append([*records, NewRecord(LOGINS, KEY, b"v" * SMALL, 1)])


def test_check_compares_limits(place: KafkaPlace) -> None:
    """Dead letters and late records must take what the inputs take."""

    def differing() -> str:
        settings = place.environment | {"WALLETWATCH_LOG__URL": place.url}
        return walletwatch("topics", "check", **settings).stdout

    assert differing() == "ok: every topic is as it should be\n"
    place.configure([LOGINS], max_message_bytes=3_000_000)
    place.configure([LATE], max_message_bytes=4_000_000)
    place.configure([ALERTS, *CHANGELOGS], max_message_bytes=SMALL)
    small_block = "max.message.bytes should be at least 8388608, and is 20000"
    found = differing().replace(place.prefix, "").splitlines()
    assert found == [
        "wallet.alerts: max.message.bytes should be at least 1048588, and is 20000",
        "wallet.dead-letters: max.message.bytes should be at least 3000000, and is 1048588",
        *(f"{each}: {small_block}" for each in CHANGELOGS),
    ]
    place.configure([ALERTS, DEAD_LETTERS, *CHANGELOGS], max_message_bytes=9_000_000)
    assert differing() == "ok: every topic is as it should be\n"
