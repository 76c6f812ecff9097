"""On Kafka without a key for tokens: what makes tokens refuses, all else works."""

import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from schemas.topics import ALERTS, TOPICS
from tests.support.commands import PUBLIC_TOKENS, walletwatch
from tests.support.kafka_place import KafkaPlace


@pytest.fixture
def keyless(place: KafkaPlace) -> KafkaPlace:
    """A place whose configuration has no key."""
    for name in PUBLIC_TOKENS:
        del place.environment[name]
    return place


def call(place: KafkaPlace, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command on the log of a place."""
    return walletwatch(*words, "--log", place.url, **place.environment)


def test_what_makes_tokens_refuses(keyless: KafkaPlace, tmp_path: Path) -> None:
    """A worker, whatever its stage, and what names accounts by them; nothing is written."""
    for words in (
        ["run"],
        ["run", "--stage", "detect", "--until-ended"],
        ["forget", "acc-1", "--yes"],
        ["incidents", "list", "--account", "acc-1"],
        ["demo", "--dir", str(tmp_path / "demo")],
    ):
        done = call(keyless, *words)
        assert (done.returncode, done.stdout) == (78, ""), words
        assert done.stderr.startswith("walletwatch: tokens.key_file: a log on Kafka needs a key")
    with closing(keyless.open()) as log:
        assert all(end == 0 for topic in TOPICS for _, end in log.offsets(topic.name))


def test_what_makes_none_works(keyless: KafkaPlace, tmp_path: Path) -> None:
    """Producers and readers need no key."""
    events = tmp_path / "events"
    events.write_text("")
    for words in (
        ["ingest", str(events)],
        ["incidents", "list"],
        ["alerts", "list"],
        ["dlq", "peek"],
        ["tail", ALERTS, "--from-start", "--json"],
        ["topics", "check"],
    ):
        done = call(keyless, *words)
        assert done.returncode in (0, 1), (words, done.stderr)
        assert "tokens.key_file" not in done.stderr


def test_doctor_fails_without_a_key(keyless: KafkaPlace) -> None:
    """And warns of the public one."""
    found = call(keyless, "doctor")
    assert found.returncode == 1
    assert found.stdout.startswith("FAIL  tokens: tokens.key_file: a log on Kafka needs a key")
    keyless.environment |= PUBLIC_TOKENS
    found = call(keyless, "doctor")
    assert found.returncode == 0
    assert found.stdout.startswith("warn  tokens: account tokens and ids of alerts use the public")
