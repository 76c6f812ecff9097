"""On a real broker: topics that are made again, lose records or grow, and offsets that others set.

No worker goes on by offsets that mean something else now. It ends with code 78 and a sentence with
the command that decides; after that command it goes on.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import kafka
import msgspec
import pytest

from rules.builders import at, login
from schemas.topics import BALANCES, DEAD_LETTERS, DETECT_INPUTS, LOGINS, SIGNALS, TRANSACTIONS
from scripts.broker import Broker, Unavailable, free_port
from tests.support.commands import ROOT, walletwatch
from tests.support.crashing_worker import DEADLINE_SECONDS
from tests.support.kafka_changes import (
    committed,
    delete,
    grow,
    set_offset,
    truncate,
)
from tests.support.kafka_place import KafkaPlace
from worker.engine.log import stored
from worker.engine.murmur2 import partition_of
from worker.engine.records import NewRecord

CHANGELOG = "walletwatch.detect.changelog"
ACCOUNT = next(name for name in map(str, range(100)) if partition_of(name.encode(), 4) == 0)


@pytest.fixture
def other_cluster(tmp_path: Path) -> Iterator[str]:
    """The address of another cluster."""
    try:
        broker = Broker(tmp_path / "other", cluster_id="AAAAAAAAQACAAAAAAAAAAQ")
    except Unavailable as missing:
        pytest.skip(f"a second Kafka broker: {missing}")
    broker.start()
    yield broker.address
    broker.kill()


def logins(*minutes: int) -> list[NewRecord]:
    """Return logins of one account, which is of partition 0."""
    events = [
        login(f"10:{minute:02}:00", event_id=f"login-{minute}", account_id=ACCOUNT)
        for minute in minutes
    ]
    return [NewRecord(LOGINS, ACCOUNT.encode(), msgspec.json.encode(event)) for event in events]


def ends(minute: int, *topics: str) -> list[NewRecord]:
    """Return ends for all partitions of topics."""
    end = {"kind": "end", "occurred_at": at(f"{10 + minute // 60}:{minute % 60:02}:00")}
    value = msgspec.json.encode(end)
    return [NewRecord(topic, None, value, number) for topic in topics for number in range(4)]


def run(place: KafkaPlace, *options: str) -> tuple[int, str]:
    """Run a worker to its end, and return its exit code and what it has printed."""
    with place.running("--until-ended", *options) as process:
        code = process.wait(DEADLINE_SECONDS)
    return code, place.errors.read_text()


def begin(place: KafkaPlace, count: int = 10) -> None:
    """Let a worker read that many logins, and end."""
    place.append([*logins(*range(count)), *ends(30, *DETECT_INPUTS)])
    assert run(place)[0] == 0


def decide(place: KafkaPlace, printed: str, where: str) -> str:
    """Run the command that a refusal names, and return what it prints."""
    found = re.search(
        r"run (walletwatch topics accept \S+ --from) oldest, .* or --from newest", printed
    )
    assert found, printed
    command = shlex.split(found[1])[1:]
    done = walletwatch(*command, where, "--log", place.url, **place.environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def dead(place: KafkaPlace) -> list[bytes | None]:
    """Return the dead letters."""
    with closing(place.open()) as log:
        return [record.value for _, record in stored(log, DEAD_LETTERS)]


def remake(place: KafkaPlace, *names: str) -> None:
    """Delete topics and make them again as an operator does."""
    delete(place, *names)
    made = walletwatch("topics", "create", "--log", place.url, **place.environment)
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize(("where", "bad"), [("oldest", [b"bad"]), ("newest", [])])
def test_an_input_made_again_is_refused_until_an_operator_decides(
    where: str, bad: list[bytes], place: KafkaPlace
) -> None:
    """What it holds below the old position would vanish: read from the oldest, none of it does."""
    begin(place)
    remake(place, LOGINS)
    place.append([NewRecord(LOGINS, None, b"bad", 0), *logins(1, 31)])
    for _ in range(2):
        code, printed = run(place)
        assert code == 78
        assert re.search(
            r"wallet\.logins/0 is not the topic that group \S+walletwatch\.detect has read up to "
            r"offset \d+: it was deleted and made again\. It holds offsets 0 to \d+ now\.",
            printed,
        ), printed
    assert dead(place) == []
    assert "wallet.logins/0 goes on at offset" in decide(place, printed, where)
    place.append(ends(60, *DETECT_INPUTS))
    code, printed = run(place)
    assert code == 0, printed
    assert dead(place) == bad
    assert printed.count("Another tool has set the offset of group") == 4
    assert ("1  redelivered wallet.logins" in printed) == (where == "oldest")
    assert run(place)[0] == 0


def test_signals_made_again_are_refused_by_triage(place: KafkaPlace) -> None:
    begin(place)
    remake(place, SIGNALS)
    code, printed = run(place)
    assert code == 78
    assert "wallet.signals/0 is not the topic that group" in printed
    assert "walletwatch.triage has read" in printed
    decide(place, printed, "oldest")
    assert run(place)[0] == 0


def test_all_inputs_made_again_are_refused(place: KafkaPlace) -> None:
    """Nothing is left of the group's offsets then; the changelog remembers."""
    begin(place)
    remake(place, *DETECT_INPUTS)
    assert committed(place, "detect", LOGINS, 0) is None
    code, printed = run(place)
    assert code == 78
    assert "is not the topic that group" in printed


def test_a_changelog_made_again_is_refused_until_an_operator_accepts(place: KafkaPlace) -> None:
    """Also by `topics create`, where it had gone missing."""
    begin(place)
    remake(place, CHANGELOG)
    place.append(logins(31))
    code, printed = run(place)
    assert code == 78
    assert f"{CHANGELOG} is empty, although group" in printed
    decided = decide(place, printed, "oldest")
    assert all(f"{topic}/3 goes on at offset" in decided for topic in DETECT_INPUTS)
    place.append(ends(60, *DETECT_INPUTS))
    code, printed = run(place)
    assert code == 0, printed
    assert "redelivered" not in printed
    assert run(place)[0] == 0


def test_a_changelog_that_lost_the_last_commit_is_refused(place: KafkaPlace) -> None:
    """A copy of before, or one whose newest records are gone, holds the note of another commit."""
    begin(place)
    offset = committed(place, "detect", LOGINS, 0).offset
    set_offset(place, "detect", LOGINS, 0, offset, "0123456789abcdef|7|walletwatch.detect.a")
    code, printed = run(place)
    assert code == 78
    assert f"{CHANGELOG} does not hold the last commit of group" in printed
    assert "Stop all workers of the stage, delete it, and make it" in printed


def test_lost_records_are_refused_with_their_range(own_broker: Broker, tmp_path: Path) -> None:
    """The topic is the same, and ends before what was read of it."""
    place = KafkaPlace(tmp_path / "place", own_broker.address)
    begin(place)
    with closing(place.open()) as log:
        read = log.offsets(LOGINS)[0][1]
    own_broker.stop()
    truncate(tmp_path / "kafka" / "data", place.prefix + LOGINS, 0)
    own_broker.start()
    place.append([NewRecord(LOGINS, None, b"bad", 0)])
    code, printed = run(place)
    assert code == 78
    assert re.search(
        rf"wallet\.logins/0 ends at offset 2, but group \S+walletwatch\.detect has read it up to "
        rf"{read}: offsets 2 to {read - 1} were lost\. It holds offsets 0 to 1 now\.",
        printed,
    ), printed
    assert "topics accept wallet.logins/0 --from" in printed
    decide(place, printed, "oldest")
    place.append(ends(60, LOGINS))
    code, printed = run(place)
    assert code == 0, printed
    assert dead(place) == [b"bad"]


def test_an_offset_set_beyond_the_end_is_refused(place: KafkaPlace) -> None:
    begin(place)
    set_offset(place, "detect", LOGINS, 0, 1_000)
    code, printed = run(place)
    assert code == 78
    assert "walletwatch.detect has read it up to 1000: offsets" in printed
    decide(place, printed, "newest")
    place.append(ends(60, LOGINS))  # the end before the newest offset is passed over
    assert run(place)[0] == 0


def test_offsets_set_to_the_end_are_said_and_counted(place: KafkaPlace) -> None:
    """Kafka's own tool can do that while no worker runs; what is passed over is not silent."""
    begin(place)
    before = committed(place, "detect", LOGINS, 0).offset
    place.append(logins(31, 32))
    with closing(place.open()) as log:
        end = log.offsets(LOGINS)[0][1]
    set_offset(place, "detect", LOGINS, 0, end)
    place.append(ends(60, *DETECT_INPUTS))
    code, printed = run(place)
    assert code == 0
    (line,) = (line for line in printed.splitlines() if "Another tool" in line)
    assert re.fullmatch(
        rf"Another tool has set the offset of group \S+walletwatch\.detect for wallet\.logins/0 to "
        rf"{end}, from {before}: what was not read before that is passed over\.",
        line,
    )
    assert "1  log_changed offsets_set" in printed
    assert committed(place, "detect", LOGINS, 0).offset > end
    code, printed = run(place)
    assert (code, "Another tool" in printed) == (0, False)


def test_an_offset_set_back_reads_again_what_was_judged(place: KafkaPlace) -> None:
    begin(place)
    set_offset(place, "detect", LOGINS, 0, 0)
    code, printed = run(place)
    assert code == 0
    assert re.search(r"logins/0 to 0, from \d+: what was read before is read again", printed)


def test_offsets_that_expired_are_those_of_the_last_commit(place: KafkaPlace) -> None:
    """Brokers forget the offsets of a group that has had no member for a week."""
    begin(place)
    before = committed(place, "detect", LOGINS, 0).offset
    at = kafka.TopicPartition(place.prefix + LOGINS, 0)
    with place.admin() as admin:
        admin.delete_group_offsets(place.cluster.group("detect"), [at])
    assert committed(place, "detect", LOGINS, 0) is None
    place.append([*logins(31), *ends(60, *DETECT_INPUTS)])
    code, printed = run(place)
    assert code == 0
    assert "redelivered" not in printed
    assert committed(place, "detect", LOGINS, 0).offset > before


def test_a_topic_with_more_partitions_is_refused(place: KafkaPlace) -> None:
    """Kafka cannot take them away: the sentence names the way to other topics."""
    begin(place)
    grow(place, 6, TRANSACTIONS)
    code, printed = run(place)
    assert code == 78
    assert "wallet.transactions has 6 partitions, and had 4" in printed
    assert "another kafka.prefix" in printed
    assert "--end" in printed
    done = walletwatch("doctor", "--log", place.url, "--json", **place.environment)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    (failed,) = (each for each in found if each["verdict"] == "FAIL")
    assert failed["found"].endswith("transactions: partitions should be 4, and is 6")
    assert "More partitions" in failed["advice"]


def test_more_partitions_of_all_topics_are_refused(place: KafkaPlace) -> None:
    """The states of accounts are in the tasks of before."""
    begin(place)
    names = [TRANSACTIONS, LOGINS, BALANCES, SIGNALS, "wallet.incident-updates", "wallet.alerts"]
    names += ["wallet.alerts.shadow", "wallet.incidents", "wallet.notifications", "wallet.late"]
    names += [DEAD_LETTERS, CHANGELOG, "walletwatch.triage.changelog"]
    grow(place, 6, *names)
    code, printed = run(place)
    assert code == 78
    assert "wallet.transactions has 6 partitions, and had 4" in printed


def test_workers_move_to_topics_with_more_partitions(place: KafkaPlace, tmp_path: Path) -> None:
    """By the commands of docs/kafka.md, as they are written there."""
    begin(place)
    grow(place, 6, LOGINS)
    section = (ROOT / "docs/kafka.md").read_text("utf-8").partition("## More partitions")[2]
    section = section.partition("\n## ")[0]
    create = re.search(r"`(\S+PREFIX=v2. walletwatch topics create\s+--partitions 8)`", section)
    copy = re.findall(r"^ {7}(.*)$", section, re.MULTILINE)
    assert create
    new = f"{place.prefix}v2."
    script = "\n".join(
        [
            "set -e",
            'walletwatch() { "$PYTHON" -m walletwatch "$@"; }',
            " ".join(create[1].split()),
            *copy,
        ]
    ).replace("PREFIX=v2.", f"PREFIX={new}")
    environment = {
        **os.environ,
        **place.environment,
        "WALLETWATCH_LOG__URL": place.url,
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True, timeout=120)
    moved = KafkaPlace(tmp_path / "moved", place.url.removeprefix("kafka://"), prefix=new)
    code, printed = run(moved)
    assert code == 0, printed
    with closing(moved.open()) as log:
        assert log.partitions(LOGINS) == 8
        found = [(at.partition, record.key) for at, record in stored(log, LOGINS) if record.key]
        assert found == [(partition_of(ACCOUNT.encode(), 8), ACCOUNT.encode())] * 10
        assert [*stored(log, DEAD_LETTERS)] == []


def test_accepting_needs_a_topic_that_workers_read(place: KafkaPlace) -> None:
    for what in ("wallet.alerts", "wallet.logins/4", "wallet.logins/x", "wallet.logins/"):
        done = walletwatch(
            "topics", "accept", what, "--from", "oldest", "--log", place.url, **place.environment
        )
        assert done.returncode == 2, done.stderr
    done = walletwatch("topics", "accept", LOGINS, "--from", "here", "--log", place.url)
    assert done.returncode == 2
    assert "--from: here is none of oldest, newest." in done.stderr


def test_nothing_is_accepted_while_workers_run(place: KafkaPlace) -> None:
    with place.running() as process:
        place.await_phase(process, 3, "reading")
        done = walletwatch(
            "topics", "accept", LOGINS, "--from", "oldest", "--log", place.url, **place.environment
        )
        assert done.returncode == 70
        assert "has members: stop all workers of the stage first" in done.stderr
        units = place.page.units
        place.await_phase(process, units + 2, "reading")


def test_two_clusters_in_one_list_are_refused(
    place: KafkaPlace, other_cluster: str, kafka_address: str
) -> None:
    """By `run` and by `doctor`; a server that is down, or has a second name, does not disturb."""
    other = other_cluster
    for servers in (f"{kafka_address},{other}", f"{other},{kafka_address}"):
        done = walletwatch("run", "--log", f"kafka://{servers}", **place.environment)
        assert done.returncode == 78, done.stderr
        assert "log.url names servers of several clusters: " in done.stderr
        examined = walletwatch("doctor", "--log", f"kafka://{servers}", **place.environment)
        assert "FAIL  cluster: log.url names servers of several clusters" in examined.stdout
        assert examined.stdout.endswith("each answer may come from another cluster\n")
    begin(place)
    port = kafka_address.rpartition(":")[2]
    place.url = f"kafka://{kafka_address},localhost:{port},127.0.0.1:{free_port()}"
    assert run(place)[0] == 0
