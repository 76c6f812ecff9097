"""Odd and oversized records on real logs: each becomes a dead letter, and no worker ends."""

from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rules.builders import login
from schemas.dead_letter import DeadLetterHeaders
from schemas.topics import DEAD_LETTERS, DETECT_INPUTS, LOGINS
from tests.support.crashing_worker import Place
from tests.support.events.mutations import compact
from tests.support.hostile_records import OddName
from tests.support.kafka_place import KafkaPlace
from worker.cli.app import app
from worker.engine.log import Log, stored
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord
from worker.logs.kafka import cluster

MIB = 1024 * 1024
NARROW = 20_000
"""Bytes that the topic of dead letters takes; the inputs take 6 MiB."""
ACCOUNT = next(name for name in map(str, range(99)) if partition_of(name.encode(), 4) == 0)


@pytest.fixture
def on_kafka(kafka_address: str, tmp_path: Path) -> Iterator[KafkaPlace]:
    """A place on Kafka, whose inputs take larger records than the topic of dead letters."""
    place = KafkaPlace(tmp_path / "place", kafka_address, poll=5_000)
    place.configure(DETECT_INPUTS, max_message_bytes=6 * MIB)
    place.configure([DEAD_LETTERS], max_message_bytes=NARROW)
    yield place
    place.remove()


def odd_records() -> list[NewRecord]:
    """Return records of which none is an event."""
    good = compact(login("10:00:00", event_id="odd", account_id=ACCOUNT))
    many = tuple((f"name-{n}", b"\xff" * 9) for n in range(500))
    contents: list[tuple[bytes | None, bytes | None, Any]] = [
        (None, None, ()),
        (b"", b"", ()),
        (b"\xff\x00", b"\xff", (("n\u00e4me", b"\xff\x00"), ("", b""))),
        (b"many headers", b"bad", many),
        (b"twice", b"bad", (("dlq_reason", b"late"), ("dlq_reason", b"\xff"))),
        (b"half", b"b" * (NARROW - 700), ()),
        (b"full", b"b" * NARROW, ()),
        (b"large", b"b" * (5 * MIB), ()),
        (b"k" * (2 * MIB), good, ()),
        (b"k" * (2 * MIB), b"b" * (2 * MIB), ()),
    ]
    return [NewRecord(LOGINS, key, value, 0, headers) for key, value, headers in contents]


def end_all(log: Log) -> None:
    """End every input."""
    end = compact({"kind": "end", "occurred_at": "2026-03-05T00:00:00Z"})
    log.append(
        [NewRecord(topic, None, end, number) for topic in DETECT_INPUTS for number in range(4)]
    )


def letters(place: Place) -> dict[int, tuple[bytes | None, bytes | None, DeadLetterHeaders]]:
    """Return key, value and headers of each dead letter by its offset in the input."""
    with closing(place.open()) as log:
        found = [record for _, record in stored(log, DEAD_LETTERS)]
    each = [(r.key, r.value, DeadLetterHeaders.from_headers(r.headers)) for r in found]
    by_offset = {headers.dlq_offset: (key, value, headers) for key, value, headers in each}
    assert len(by_offset) == len(found)
    return by_offset


@pytest.mark.parametrize("where", ["embedded", "on_kafka"])
def test_every_record_is_put_aside_and_the_next_event_is_judged(
    where: str, request: pytest.FixtureRequest
) -> None:
    place: Place = request.getfixturevalue(where)
    given = odd_records()
    with closing(place.open()) as log:
        for record in given:  # one transaction each: together they are more than a request
            log.append([record])
        log.append(
            [
                NewRecord(
                    LOGINS,
                    ACCOUNT.encode(),
                    compact(login("10:00:01", event_id="e", account_id=ACCOUNT)),
                )
            ]
        )
        end_all(log)
        limit = log.record_limit(DEAD_LETTERS)
        offsets = [r.offset for r in log.read(LOGINS, 0, 0, len(given))]
    assert limit == (NARROW if where == "on_kafka" else MIB)
    place.finish()
    found = letters(place)
    assert sorted(found) == offsets
    for record, offset in zip(given, offsets, strict=True):
        key, value, headers = found[offset]
        for kept, whole, size, digest in (
            (value, record.value or b"", headers.dlq_size, headers.dlq_sha256),
            (key, record.key or b"", headers.dlq_key_size, headers.dlq_key_sha256),
        ):
            assert whole.startswith(kept or b"")
            is_cut = len(kept or b"") < len(whole)
            about = (len(whole), sha256(whole).hexdigest()) if is_cut else (None, None)
            assert (size, digest) == about
        assert headers.is_cut == (len(record.key or b"") + len(record.value or b"") > limit - 700)
    place.finish()
    assert letters(place).keys() == found.keys()


def test_many_large_records_in_a_row_end_no_worker(on_kafka: KafkaPlace) -> None:
    """Of one key, so that they do not stop it; together they are more than it reads at once."""
    on_kafka.configure([DEAD_LETTERS], max_message_bytes=MIB)
    value = b"x" * 900_000
    with closing(on_kafka.open()) as log:
        for _ in range(20):
            log.append([NewRecord(LOGINS, b"key", value, 1)] * 7)
        end_all(log)
    on_kafka.finish()
    assert [each[1] for each in letters(on_kafka).values()] == [value] * 140


def run(place: Place, *options: str) -> Result:
    """Run `walletwatch run` to its end, in this process."""
    arguments = ["run", "--config", str(place.config), "--log", place.url, "--until-ended"]
    return CliRunner().invoke(app, [*arguments, *options], env=place.environment)


def test_a_record_too_large_to_be_read_is_named_and_stepped_over_alone(
    on_kafka: KafkaPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client accepts 17 MiB here, its least; the record has 20."""
    monkeypatch.setattr(cluster, "ANSWER_MAX_BYTES", 0)
    on_kafka.configure([LOGINS], max_message_bytes=32 * MIB)
    with on_kafka.foreign_producer(max_request_size=32 * MIB) as producer:
        for value in (b"before", b"x" * (20 * MIB), b"after"):
            producer.send(on_kafka.prefix + LOGINS, value, b"key", partition=2).get(60)
    with closing(on_kafka.open()) as log:
        log.append([NewRecord(LOGINS, b"key", b"elsewhere", number) for number in (0, 1, 3)])
        end_all(log)
    for _ in range(2):
        stopped = run(on_kafka)
        assert stopped.exit_code == 70
        assert f"{LOGINS}, partition 2, at offset 1 cannot be read" in stopped.stderr
    _, _, command = stopped.stderr.partition("walletwatch run ")
    assert command.split() == ["--step-over", f"{LOGINS}/2:1"]

    assert run(on_kafka, "--step-over", f"{LOGINS}/2:0").exit_code == 70
    assert run(on_kafka, *command.split()).exit_code == 0
    with closing(on_kafka.open()) as log:
        found = [record for _, record in stored(log, DEAD_LETTERS)]
    each = [(DeadLetterHeaders.from_headers(r.headers), r.value) for r in found]
    assert sorted((h.dlq_partition, h.dlq_offset, value or b"") for h, value in each) == [
        (0, 0, b"elsewhere"),
        (1, 0, b"elsewhere"),
        (2, 0, b"before"),
        (2, 1, b""),
        (2, 2, b"after"),
        (3, 0, b"elsewhere"),
    ]
    assert run(on_kafka, *command.split()).exit_code == 0


@pytest.mark.parametrize("lean", ["true", "false"])
def test_a_batch_that_cannot_be_uncompressed_is_named_and_stepped_over(
    on_kafka: KafkaPlace, monkeypatch: pytest.MonkeyPatch, lean: str
) -> None:
    """Each of its records becomes a dead letter, and no other."""
    on_kafka.environment["WALLETWATCH_KAFKA__LEAN_DECODE"] = lean
    for codec, values in ((None, [b"before"]), ("lz4", [b"lost" * 1000] * 3), (None, [b"after"])):
        with on_kafka.foreign_producer(compression_type=codec, linger_ms=60_000) as producer:
            for value in values:
                producer.send(on_kafka.prefix + LOGINS, value, b"key", partition=2)
            producer.flush()
    with closing(on_kafka.open()) as log:
        end_all(log)
    monkeypatch.setattr("kafka.codec.has_lz4", lambda: False)
    for _ in range(2):
        stopped = run(on_kafka)
        assert stopped.exit_code == 70
    _, _, command = stopped.stderr.partition("walletwatch run ")
    assert command.split() == ["--step-over", f"{LOGINS}/2:1-3"]

    assert run(on_kafka, *command.split()).exit_code == 0
    found = {offset: each[1] or b"" for offset, each in letters(on_kafka).items()}
    assert found == {0: b"before", 1: b"", 2: b"", 3: b"", 4: b"after"}


def test_only_a_log_on_kafka_has_records_to_step_over(embedded: Place) -> None:
    with closing(embedded.open()):
        pass
    refused = run(embedded, "--step-over", f"{LOGINS}/0:1")
    assert refused.exit_code == 2
    assert "only a log on Kafka" in refused.stderr
    for text in (f"{LOGINS}/0", f"{LOGINS}/0:1-", "wallet.alerts/0:1"):
        assert "is not TOPIC/PARTITION:FROM-TO" in run(embedded, "--step-over", text).stderr


@pytest.mark.parametrize("lean", ["true", "false"])
def test_names_of_headers_may_be_no_text(on_kafka: KafkaPlace, lean: str) -> None:
    """Such a record stopped its partition for good, whatever its value was."""
    headers = [(OddName("name"), b"\xff"), ("", b"")] * 100
    event = compact(login("10:00:00", event_id="e", account_id=ACCOUNT))
    with on_kafka.foreign_producer() as producer:
        for value in (event, b"bad", None):
            producer.send(on_kafka.prefix + LOGINS, value, ACCOUNT.encode(), headers, 0)
        producer.flush()
    with closing(on_kafka.open()) as log:
        end_all(log)
    on_kafka.environment["WALLETWATCH_KAFKA__LEAN_DECODE"] = lean
    on_kafka.finish()
    found = letters(on_kafka)
    assert {offset: each[1] for offset, each in found.items()} == {1: b"bad", 2: None}
