"""On a real broker: producers and topics that compress, with every codec of Kafka."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import DETECT_INPUTS
from tests.support.commands import ROOT, walletwatch
from tests.support.crashing_worker import DEADLINE_SECONDS
from tests.support.events.arrivals import Arrival
from tests.support.kafka_place import KafkaPlace
from tests.support.log_comparison import Outcome, differences, of_the_embedded_log, outcome
from tests.support.producer import crowd

SEED = 5
EVENTS = 400
POLL = 100
CODECS = ("gzip", "snappy", "lz4", "zstd")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the embedded log makes of the same traffic."""
    return of_the_embedded_log(tmp_path_factory.mktemp("embedded"), SEED, EVENTS, POLL)


@pytest.fixture
def place(kafka_address: str, tmp_path: Path) -> Iterator[KafkaPlace]:
    """A log on Kafka without records."""
    place = KafkaPlace(tmp_path / "place", kafka_address, POLL)
    yield place
    place.remove()


def compress_topics(place: KafkaPlace, codec: str) -> None:
    """Let the broker compress what is appended to the inputs, as it does it: in Java."""
    place.configure(DETECT_INPUTS, compression_type=codec)


def produce(place: KafkaPlace, arrival: Arrival, codec: str) -> None:
    """Append what arrives as a producer that compresses by itself."""
    with place.foreign_producer(compression_type=codec) as producer:
        for stream in arrival.streams.values():
            for record in stream:
                producer.send(
                    place.prefix + record.topic,
                    record.value,
                    record.key,
                    list(record.headers),
                    record.partition,
                )


@pytest.mark.parametrize("codec", CODECS)
def test_topics_may_compress(codec: str, place: KafkaPlace, expected: Outcome) -> None:
    """Alerts and incidents are those of the embedded log."""
    compress_topics(place, codec)
    place.fill(crowd(SEED, EVENTS))
    place.finish()
    assert differences(outcome(place), expected) == []


@pytest.mark.parametrize("codec", CODECS)
def test_producers_may_compress(codec: str, place: KafkaPlace, expected: Outcome) -> None:
    """Alerts and incidents are those of the embedded log."""
    produce(place, crowd(SEED, EVENTS), codec)
    place.finish()
    assert differences(outcome(place), expected) == []


@pytest.mark.parametrize("lean", ["true", "false"])
def test_a_codec_that_is_not_installed_is_named(
    lean: str, place: KafkaPlace, tmp_path: Path
) -> None:
    """By run with topic, partition and offsets, by doctor with what to install."""
    (tmp_path / "without" / "lz4").mkdir(parents=True)
    (tmp_path / "without" / "lz4" / "__init__.py").write_text("raise ImportError", "utf-8")
    paths = [str(tmp_path / "without"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    place.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    place.environment["WALLETWATCH_KAFKA__LEAN_DECODE"] = lean
    compress_topics(place, "lz4")
    place.fill(crowd(SEED, EVENTS))
    with place.running("--until-ended") as process:
        assert process.wait(DEADLINE_SECONDS) == 70
    said = place.errors.read_text().splitlines()[-1]
    assert re.search(r"wallet\.\w+/[0-3]: the records at offsets 0 to \d+ are compressed", said)
    assert "with lz4 and cannot be uncompressed (no package for it is installed)" in said
    assert "walletwatch doctor tries each codec" in said
    done = walletwatch("doctor", "--log", place.url, **place.environment)
    assert done.returncode == 1
    assert "FAIL  codecs: records compressed with lz4 cannot be read: no package" in done.stdout
    assert "-> install lz4 beside walletwatch" in done.stdout
    assert "did not answer" not in done.stdout
