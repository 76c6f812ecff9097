"""What a worker prints about the inputs that open transactions hold."""

import pytest

from worker.cli.printing.holding import Holding
from worker.engine.holds import Hold
from worker.engine.observer import Work
from worker.engine.records import TopicPartition
from worker.observe.holding import describe

AT, OTHER, THIRD = (TopicPartition("wallet.logins", number) for number in range(3))
LONG = (
    "wallet.logins/0 has been held for 60 s: an open transaction of a producer hides 3 offsets "
    "from 5 on. Its alerts wait; walletwatch doctor names the producer."
)


def test_a_long_hold_is_printed_once_and_so_is_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A short one is not; nor does the work of another stage end it."""
    observer = Holding(60_000)
    for since, now in ((1, 60_000), (0, 60_000), (0, 70_000)):
        observer.worked(Work("detect", now, (), (), {AT: Hold(since, range(5, 8))}))
        observer.worked(Work("triage", now, (), ()))
    assert capsys.readouterr().err.splitlines() == [LONG]
    observer.worked(Work("detect", 80_000, (), (), {AT: Hold(80_000, range(8, 9))}))
    observer.worked(Work("detect", 90_000, (), ()))
    assert capsys.readouterr().err.splitlines() == [
        "wallet.logins/0 is read on: that transaction has ended."
    ]


def test_the_longest_hold_is_named_and_the_others_are_counted() -> None:
    """Those that are long, too."""
    held = {OTHER: Hold(1, range(1)), AT: Hold(0, range(5, 8)), THIRD: Hold(59_999, range(1))}
    assert describe(held, 60_001, 60_000) == f"{LONG} So have been 1 more."
    assert describe(held, 59_000, 60_000) is None
