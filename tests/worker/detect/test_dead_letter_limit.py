"""When too much is bad the worker stops, says where and how to go on, and has committed nothing."""

import re
from typing import Any

import pytest

from rules.contract import Params as NoParams
from rules.contract import Rule, State
from rules.effects import Effects
from rules.events import Login
from rules.facts import Facts
from rules.profile import Profile
from schemas.topics import DEAD_LETTERS, LOGINS, TRANSACTIONS
from tests.support.events.mutations import full_login
from tests.worker.detect.test_reader import RULES, Bench
from worker.detect.dead_letter_limit import DeadLetterWindow
from worker.detect.stage import Policy
from worker.engine.event_time import Source, SourceTime
from worker.engine.log import stored
from worker.engine.outcomes import DeadLettered, RuleFailure
from worker.engine.records import Record, TopicPartition
from worker.errors import DeadLetterLimit, Exit

WINDOW = 1000
LIMIT = 100


def policy(
    limit: int | None = LIMIT, accepted: dict[TopicPartition, list[tuple[int, int]]] | None = None
) -> Policy:
    """Return a policy with that limit, and known bad ranges."""
    return Policy(RULES, RULES, dead_letter_limit=limit, accepted_dead_letters=accepted or {})


def good(bench: Bench, count: int) -> None:
    """Give valid events."""
    first = bench.log.offsets(LOGINS)[0][1]
    for number in range(first, first + count):
        bench.give(full_login(event_id=f"good-{number}", account_id="other"), key="other")


def bad(bench: Bench, count: int, key: str | None = None, partition: int = 0) -> None:
    """Give records that are none, each of another key, or all of one."""
    first = bench.log.offsets(LOGINS)[partition][1]
    for number in range(first, first + count):
        bench.give(b"bad", key or f"key-{number}", partition=partition)


def accepted_by(message: str) -> dict[TopicPartition, list[tuple[int, int]]]:
    """Return what the printed command accepts."""
    _, command, arguments = message.partition("walletwatch run ")
    assert command
    return ranges_in(arguments, "--accept-dead-letters")


def ranges_in(arguments: str, option: str) -> dict[TopicPartition, list[tuple[int, int]]]:
    """Return the ranges that all arguments of a printed command give."""
    ranges: dict[TopicPartition, list[tuple[int, int]]] = {}
    words = arguments.split()
    for name, text in zip(words[::2], words[1::2], strict=True):
        found = re.fullmatch(r"(\S+)/(\d+):(\d+)-(\d+)", text)
        assert name == option
        assert found is not None
        topic, *numbers = found.groups()
        partition, first, last = map(int, numbers)
        ranges.setdefault(TopicPartition(topic, partition), []).append((first, last))
    return ranges


def test_a_hundred_of_a_thousand_pass() -> None:
    bench = Bench()
    bad(bench, LIMIT)
    good(bench, 2 * WINDOW)
    bad(bench, LIMIT)
    bench.work(policy=policy())
    assert bench.reasons() == ["not_json"] * 200


@pytest.mark.parametrize("poll", [1, 7, 100, 5000])
def test_one_more_stops_names_the_first_and_the_command(poll: int) -> None:
    bench = Bench()
    good(bench, 50)
    bad(bench, LIMIT + 1)
    with pytest.raises(DeadLetterLimit) as stopped:
        bench.work(poll, policy())
    message = str(stopped.value)
    assert "More than 100 of 1000 successive records of an input partition are bad." in message
    ((at, ((first, last),)),) = accepted_by(message).items()
    assert (at, last) == (TopicPartition(LOGINS, 0), 150)
    assert f"wallet.logins, partition 0, offsets {first} to 150: {151 - first} not_json" in message
    assert (first, last) == (50, 150) or poll <= 100
    assert "Nothing of it was committed." in message
    assert f"walletwatch dlq peek --input wallet.logins/0:{first}-150 " in message
    assert stopped.value.exit_code == Exit.FOUND
    assert "bad" not in message.replace("are bad", "")


def test_nothing_of_that_unit_of_work_is_committed() -> None:
    bench = Bench()
    bad(bench, 60)
    bench.work(policy=policy())
    good(bench, 100)
    bad(bench, 60)
    with pytest.raises(DeadLetterLimit):
        bench.work(policy=policy())
    assert len(bench.reasons()) == 60


def test_the_window_is_the_last_thousand_by_offset() -> None:
    """99 good ones fewer between them, and it stops."""
    for between, stops in ((WINDOW - LIMIT, False), (WINDOW - LIMIT - 1, True)):
        bench = Bench()
        bad(bench, LIMIT)
        good(bench, between)
        bad(bench, 1)
        if stops:
            with pytest.raises(DeadLetterLimit, match="offsets 0 to 999: 101 not_json"):
                bench.work(policy=policy())
        else:
            bench.work(policy=policy())
            assert len(bench.reasons()) == LIMIT + 1


def test_the_window_survives_restarts() -> None:
    bench = Bench()
    for _ in range(LIMIT):
        bad(bench, 1)
        bench.work(policy=policy())
        assert bench.counts[DeadLettered(LOGINS, "not_json")] == 1
    bad(bench, 1)
    with pytest.raises(DeadLetterLimit, match="offsets 100 to 100: 1 not_json"):
        bench.work(policy=policy())


def test_going_on_with_the_printed_command_lets_exactly_that_range_pass() -> None:
    bench = Bench()
    good(bench, 10)
    bad(bench, LIMIT + 1)
    good(bench, 10)
    bench.end()
    with pytest.raises(DeadLetterLimit) as stopped:
        bench.work(policy=policy())
    assert bench.reasons() == []
    accepted = accepted_by(str(stopped.value))
    bench.work(policy=policy(accepted=accepted))
    assert [int(headers["dlq_offset"]) for headers in bench.dead()] == list(range(10, 111))
    bench.work(policy=policy())
    assert len(bench.reasons()) == LIMIT + 1


def test_the_command_lets_the_whole_bad_stretch_of_the_batch_pass() -> None:
    """Whoever follows it need not come back every hundred records."""
    bench = Bench()
    bad(bench, 3 * (LIMIT + 1) + 5)
    with pytest.raises(DeadLetterLimit, match="offsets 0 to 307: 308 not_json") as stopped:
        bench.work(policy=policy())
    bench.work(policy=policy(accepted=accepted_by(str(stopped.value))))
    assert len(bench.reasons()) == 308


def test_a_bad_stretch_is_told_though_the_batch_went_on_with_good_records() -> None:
    bench = Bench()
    bad(bench, LIMIT + 1)
    good(bench, 2 * WINDOW)
    bad(bench, 1)
    with pytest.raises(DeadLetterLimit, match="offsets 0 to 2101: 102 not_json") as stop:
        bench.work(5000, policy())
    bench.work(5000, policy(accepted=accepted_by(str(stop.value))))
    assert len(bench.reasons()) == LIMIT + 2


def test_a_range_of_another_partition_or_topic_accepts_nothing_here() -> None:
    for at in (TopicPartition(TRANSACTIONS, 0), TopicPartition(LOGINS, 1)):
        bench = Bench()
        bad(bench, LIMIT + 1)
        with pytest.raises(DeadLetterLimit):
            bench.work(policy=policy(accepted={at: [(0, 10_000)]}))


@pytest.mark.parametrize(("first", "last", "stops"), [(2, 5, False), (3, 5, True), (2, 4, True)])
def test_an_accepted_range_is_from_its_first_to_its_last_offset(
    first: int, last: int, stops: bool
) -> None:
    bench = Bench()
    good(bench, 2)
    bad(bench, 4)
    strict = policy(0, {TopicPartition(LOGINS, 0): [(first, last)]})
    if stops:
        with pytest.raises(DeadLetterLimit):
            bench.work(policy=strict)
    else:
        bench.work(policy=strict)
        assert len(bench.reasons()) == 4


def test_partitions_and_inputs_are_counted_each_by_itself() -> None:
    bench = Bench(partitions=2)
    for topic in (LOGINS, TRANSACTIONS):
        for partition in range(2):
            for number in range(LIMIT):
                bench.give(b"bad", f"k{number}", topic, partition)
    bench.work(policy=policy())
    assert len(bench.reasons()) == 4 * LIMIT


def test_no_limit_never_stops_and_zero_stops_at_the_first() -> None:
    bench = Bench()
    bad(bench, 1500)
    bench.work(policy=policy(None))
    assert len(bench.reasons()) == 1500
    strict = Bench()
    bad(strict, 1)
    with pytest.raises(DeadLetterLimit, match="More than 0 of 1000"):
        strict.work(policy=policy(0))


def test_a_reread_counts_no_bad_record_twice() -> None:
    """A waiting event makes every restart read all of them again."""
    bench = Bench()
    bench.give(full_login("10:00:00"))
    bad(bench, LIMIT)
    for _ in range(3):
        bench.work(policy=policy())
    good(bench, 1)
    bench.work(policy=policy())
    assert len(bench.reasons()) == LIMIT


def test_one_key_alone_never_stops_the_others() -> None:
    """All that it sends are dead letters; the events of the others are judged."""
    bench = Bench()
    bad(bench, 3 * WINDOW, "noisy")
    good(bench, 1)
    bench.end()
    bench.work(policy=policy())
    assert bench.reasons() == ["not_json"] * 3 * WINDOW


@pytest.mark.parametrize(
    ("of_one_key", "of_others", "stops"),
    [
        (20, 80, False),
        (20, 81, True),
        (39, 80, False),
        (39, 81, True),
        (40, 79, False),
        (40, 80, True),
        (900, 36, False),
        (900, 37, True),
    ],
)
@pytest.mark.parametrize("noisy_first", [True, False])
def test_beyond_its_twentieth_record_a_key_counts_once_per_twenty(
    of_one_key: int, of_others: int, stops: bool, noisy_first: bool
) -> None:
    bench = Bench()
    for first in (noisy_first, not noisy_first):
        if first:
            bad(bench, of_one_key, "noisy")
        else:
            bad(bench, of_others)
    if stops:
        with pytest.raises(DeadLetterLimit):
            bench.work(policy=policy())
    else:
        bench.work(policy=policy())
        assert len(bench.reasons()) == of_one_key + of_others


@pytest.mark.parametrize("key", [None, ""])
def test_records_without_a_key_are_not_those_of_one_key(key: str | None) -> None:
    """A producer that forgets the keys spoils every account."""
    bench = Bench()
    for _ in range(LIMIT + 1):
        bench.give(b"bad", key)
    with pytest.raises(DeadLetterLimit, match="101 not_json"):
        bench.work(policy=policy())


@pytest.mark.parametrize("poll", [1, 13, 5000])
def test_what_one_key_counts_leaves_the_window_and_survives_restarts(poll: int) -> None:
    """In the last 1,000 records there are 400 of the noisy key, which count 39, and 61 others."""
    for more, stops in ((61, False), (62, True)):
        bench = Bench()
        bad(bench, 1000, "noisy")
        bench.work(poll, policy())
        good(bench, 600 - more)
        bench.work(poll, policy())
        bad(bench, more)
        if stops:
            with pytest.raises(DeadLetterLimit):
                bench.work(poll, policy())
        else:
            bench.work(poll, policy())


def test_a_window_that_an_older_release_saved_counts_each_record() -> None:
    """It knows no keys."""
    source = Source(0, 1, SourceTime(bad=list(range(LIMIT))))
    assert source.bad_keys == [0] * LIMIT
    window, at = DeadLetterWindow(LIMIT), TopicPartition(LOGINS, 0)
    window.add(at, source, Record(LIMIT, None, b"key", b"bad"), "not_json")
    with pytest.raises(DeadLetterLimit, match="offsets 100 to 100: 1 not_json"):
        window.check()


def test_a_saved_window_holds_no_key() -> None:
    """But the same mark for the same key."""
    source = Source(0, 1, SourceTime())
    window = DeadLetterWindow(LIMIT)
    for offset, key in enumerate((b"acc-1", b"acc-2", b"acc-1", b"", None)):
        record = Record(offset, None, key, b"bad")
        window.add(TopicPartition(LOGINS, 0), source, record, "not_json")
    one, two, again, *without = source.save(None, 0).bad_keys
    assert one == again != two
    assert without == [0, 0]
    assert all(0 <= mark < 2**63 for mark in source.bad_keys)


def test_all_partitions_and_reasons_are_named_and_one_command_lets_all_pass() -> None:
    """A producer with another partitioner: every partition but the right one is bad."""
    bench = Bench(partitions=3)
    right = bench._partition_of()
    for partition in range(3):
        for number in range(400):
            account = f"acc-{number}"
            bench.give(full_login(event_id="e", account_id=account), account, LOGINS, partition)
    bad(bench, 2, partition=1)
    expected = {
        partition: sum(right(b"acc-%d" % number) != partition for number in range(400))
        for partition in range(3)
    }
    assert min(expected.values()) > LIMIT
    with pytest.raises(DeadLetterLimit) as stopped:
        bench.work(5000, policy())
    message = str(stopped.value)
    for partition, count in expected.items():
        assert re.search(
            rf"{LOGINS}, partition {partition}, offsets \d+ to \d+: {count} wrong_partition",
            message,
        )
    assert f"{expected[1]} wrong_partition, 2 not_json" in message
    accepted = accepted_by(message)
    assert accepted.keys() == {TopicPartition(LOGINS, number) for number in range(3)}
    look = message.partition("walletwatch dlq peek ")[2].partition(" If ")[0]
    assert ranges_in(look, "--input") == accepted
    bench.work(5000, policy(accepted=accepted))
    assert len(bench.reasons()) == sum(expected.values()) + 2


def test_a_partition_below_the_limit_is_not_named() -> None:
    """Its range need not be accepted."""
    bench = Bench(partitions=2)
    bad(bench, LIMIT + 1)
    bad(bench, LIMIT, partition=1)
    with pytest.raises(DeadLetterLimit) as stopped:
        bench.work(5000, policy())
    assert accepted_by(str(stopped.value)).keys() == {TopicPartition(LOGINS, 0)}


class _Raises(Rule[NoParams, State, Facts]):
    """Raises for every login."""

    id = "raises"
    code = "T1"
    category = "access"
    Params = NoParams
    State = State
    Facts = Facts

    def on_login(self, state: Any, event: Login, profile: Profile, fx: Effects) -> None:
        raise RuntimeError(event.event_id)


def test_errors_of_rules_do_not_count() -> None:
    """They are published, but a wrong rule is not a bad input."""
    bench = Bench()
    good(bench, 3 * LIMIT)
    bench.end()
    raising = [*RULES, _Raises(NoParams())]
    bench.work(policy=Policy(raising, raising, dead_letter_limit=LIMIT))
    assert bench.reasons() == ["rule_error"] * 3 * LIMIT
    assert bench.counts[RuleFailure("raises")] == 3 * LIMIT
    assert {headers["dlq_error"] for headers in bench.dead()} == {"rule raises: RuntimeError"}
    assert len(list(stored(bench.log, DEAD_LETTERS))) == 3 * LIMIT
