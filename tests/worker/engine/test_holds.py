"""Since when an open transaction has held an input."""

from worker.engine.holds import Hold, Holds
from worker.engine.records import TopicPartition

AT, OTHER = TopicPartition("in", 0), TopicPartition("in", 1)


def test_a_hold_lasts_while_the_same_transaction_is_the_oldest() -> None:
    """It may hide more and more."""
    holds = Holds()
    assert holds.follow({AT: range(5, 6)}, 100) == {AT: Hold(100, range(5, 6))}
    assert holds.follow({AT: range(5, 9)}, 200) == {AT: Hold(100, range(5, 9))}


def test_time_begins_anew_with_another_transaction() -> None:
    """One that began later, where the first has ended; and for each input by itself."""
    holds = Holds()
    holds.follow({AT: range(5, 9), OTHER: range(5, 9)}, 100)
    found = holds.follow({AT: range(7, 9), OTHER: range(5, 9)}, 200)
    assert {at: hold.since for at, hold in found.items()} == {AT: 200, OTHER: 100}
    assert holds.follow({}, 300) == {}
    assert holds.follow({OTHER: range(5, 9)}, 400)[OTHER].seconds(1_900) == 1.5
