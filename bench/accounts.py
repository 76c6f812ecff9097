"""How the cost of an event grows with accounts, alerts and rules: microseconds of CPU each.

One detect task reads, works and saves, without a log, in polls as a worker makes them. Every
account has a history of some events before the measured ones begin. Beside each figure is that of
parsing and validating the same records in the same run.

Use: python -m bench.accounts [NAME ...]; NAME is one of those that it prints, or all.
"""

import random
import statistics
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from bench.baseline import validator
from bench.speed import cpu_of, policy
from schemas.time import format_time
from schemas.topics import LOGINS, TRANSACTIONS
from worker.detect.stage import detect
from worker.engine.records import Record, Snapshot, TopicPartition
from worker.engine.stage import Pace
from worker.engine.task import Task
from worker.run.gc_pause import calm_collector

EVENTS: Final = 100_000
ROUNDS: Final = 3
_BEGIN: Final = 1_780_272_000_000
_PER_DAY: Final = 10
"""Events of an account, in the mean."""
_TYPES: Final = ("topup", "payment", "withdrawal", "transfer_out")
_COUNTRIES: Final = ("DE", "FR", "BR", "US", "PL")


class Traffic(NamedTuple):
    """What is measured."""

    accounts: int
    alerting: float = 0.0
    """The share of events that raise an alert."""
    open_alerts: int = 0
    """How many alerts of each account are open before."""
    busy: bool = False
    """Half of the events are of one account."""
    busy_before: int = 0
    """How many events the busy account has had before."""


TRAFFICS: Final = {
    "1k": Traffic(1_000),
    "20k": Traffic(20_000),
    "100k": Traffic(100_000),
    "1m": Traffic(1_000_000),
    "20k alerting": Traffic(20_000, alerting=0.12),
    "20k open": Traffic(20_000, open_alerts=5),
    "1k open": Traffic(1_000, open_alerts=100),
    "20k busy": Traffic(20_000, busy=True),
    "20k merchant": Traffic(20_000, busy=True, busy_before=150_000),
}


class _Wallets:
    """Writes events of wallets whose balances are right."""

    def __init__(self, traffic: Traffic, seed: int) -> None:
        self._traffic = traffic
        self._random = random.Random(seed)
        self._balances: dict[int, int] = {}
        self._events = 0
        self._offsets = {TRANSACTIONS: 0, LOGINS: 0}
        # Alerts must not expire before all accounts have theirs.
        per_day = max(_PER_DAY, 1 + traffic.open_alerts)
        self._gap = 86_400_000 // traffic.accounts // per_day
        self._at = _BEGIN

    def history(self) -> Iterator[tuple[str, Record]]:
        """Yield one payment of each account, its open alerts, and what the busy one had before."""
        for account in range(self._traffic.accounts):
            for _ in range(self._traffic.open_alerts):
                yield self._transaction(account, fails=True)
            yield self._transaction(account)
        for _ in range(self._traffic.busy_before):
            yield self._transaction(0)

    def events(self, count: int) -> Iterator[tuple[str, Record]]:
        """Yield four transactions to a login, skewed towards the first accounts."""
        traffic, chance = self._traffic, self._random.random
        for _ in range(count):
            account = int(traffic.accounts * chance() ** 1.5)
            if traffic.busy and chance() < 0.5:
                account = 0
            if chance() < 0.2 and not traffic.alerting:
                yield self._login(account)
            else:
                yield self._transaction(account, fails=chance() < traffic.alerting)

    def _transaction(self, account: int, fails: bool = False) -> tuple[str, Record]:
        pick = self._random.randrange
        before = self._balances.setdefault(account, pick(10_000, 500_000))
        kind, amount = _TYPES[pick(4)], pick(100, 50_000)
        after, failed = before, ""
        if fails and before:  # for insufficient funds, though they suffice
            kind, amount = "payment", pick(before) + 1
            failed = '"failure_code":"insufficient_funds",'
        elif kind == "topup":
            after = before + amount
        elif amount > before:
            failed = '"failure_code":"insufficient_funds",'
        else:
            after = before - amount
        self._balances[account] = after
        fields = (
            f'"transaction_id":"{self._random.getrandbits(64):016x}","type":"{kind}",'
            f'"status":"{"failed" if failed else "completed"}",{failed}"amount":"{_money(amount)}",'
            f'"fee":"0.00","currency":"EUR","balance_before":"{_money(before)}",'
            f'"balance_after":"{_money(after)}","balance_kind":"posted","provider":"visa"'
        )
        return self._record(TRANSACTIONS, account, "transaction", fields)

    def _login(self, account: int) -> tuple[str, Record]:
        failed = self._random.random() < 0.1
        outcome = '"failure","reason":"bad_credentials"' if failed else '"success"'
        fields = f'"action":"login","outcome":{outcome},"ip":"10.1.{account % 256}.7"'
        return self._record(LOGINS, account, "login", fields)

    def _record(self, topic: str, account: int, kind: str, fields: str) -> tuple[str, Record]:
        self._events += 1
        self._at += self._gap
        name, second = f"acc-{account:07d}", self._random.random() < 0.02
        value = (
            f'{{"kind":"{kind}","event_id":"e{self._events:09d}","account_id":"{name}",{fields},'
            f'"device_id":"d-{account * 2 + second:08x}","country":"{_COUNTRIES[account % 5]}",'
            f'"occurred_at":"{format_time(self._at)}"}}'
        )
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        return topic, Record(offset, self._at, name.encode(), value.encode())


def _money(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _handle_all(task: Task, chunks: Iterable[Sequence[tuple[str, Record]]]) -> None:
    for chunk in chunks:
        _handle(task, chunk)


def _handle(task: Task, events: Sequence[tuple[str, Record]]) -> None:
    """Do one unit of work."""
    by_topic: dict[str, list[Record]] = {TRANSACTIONS: [], LOGINS: []}
    for topic, record in events:
        by_topic[topic].append(record)
    for topic, records in by_topic.items():
        if records:
            task.read(TopicPartition(topic, 0), records)
    newest = max(records[-1].append_time or 0 for records in by_topic.values() if records)
    for source in task.sources:
        source.inputs[0].prove(newest - 5_000)
    task.numbered(task.work(newest))
    task.save()


def measured(traffic: Traffic) -> tuple[float, float, int]:
    """Return CPU seconds per event of detect and of validation, and bytes of state per account."""
    with calm_collector():
        return _measured(traffic)


def _measured(traffic: Traffic) -> tuple[float, float, int]:
    wallets = _Wallets(traffic, seed=1)
    task = detect(policy()).make(0, Snapshot(None, ()))
    size = Pace().poll_records
    _handle_all(task, _chunks(wallets.history(), size))
    spent, validating = [], []
    validate = validator(bounded=True)
    for _ in range(ROUNDS):
        chunks = list(_chunks(wallets.events(EVENTS), size))
        spent.append(cpu_of(partial(_handle_all, task, chunks)))
        values = [record.value or b"" for chunk in chunks for _, record in chunk]
        validating.append(cpu_of(partial(deque, map(validate, values), 0)))
    states = task.states.values()
    mean = sum(map(len, states)) // len(states)
    return statistics.median(spent) / EVENTS, statistics.median(validating) / EVENTS, mean


def _chunks(events: Iterator[tuple[str, Record]], size: int) -> Iterator[list[tuple[str, Record]]]:
    while chunk := list(islice(events, size)):
        yield chunk


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    names = arguments or list(TRAFFICS)
    print(f"{EVENTS:,} events, medians of {ROUNDS} rounds; us of CPU per event")
    print("accounts          detect   parse, validate   ratio   bytes of state")
    for name in names:
        detecting, validating, size = measured(TRAFFICS[name])
        print(
            f"{name:<14}{detecting * 1e6:>10.1f}{validating * 1e6:>18.1f}"
            f"{validating / detecting:>8.2f}{size:>17}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
