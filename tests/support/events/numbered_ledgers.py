"""Ledgers of many accounts as they might arrive: shuffled, redelivered, some rows wrong or missing.

Everything is made while it is asked for, in the order of arrival, so that a million rows need the
memory of some thousands. An account's rows come in bursts of four, a burst within a few seconds; in
some the order of time is not that of the numbers.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final

import msgspec

from rules.balance_mismatch.params import BalanceMismatchParams as Params
from rules.balance_mismatch.rule import BalanceMismatch
from schemas.money import from_minor
from schemas.time import format_time, parse_time
from schemas.topics import DEAD_LETTERS, DETECT_INPUTS, LATE, TRANSACTIONS
from tests.support.run_comparison import documents
from worker.detect.stage import Policy, detect
from worker.engine.loop import StageWorker
from worker.engine.outcomes import AlertPublished, Counts, EndForgotten, NotJudged, Redelivered
from worker.engine.records import NewRecord
from worker.engine.stage import Pace
from worker.logs.memory import MemoryLog

START: Final = parse_time("2026-03-02T00:00:00Z")
HOUR: Final = 3_600_000
LATENESS: Final = 5_000
BURST: Final = 4
TURNS: Final = 25
ROWS: Final = BURST * TURNS
"""Per account."""
SPAN: Final = 20 * HOUR
REDELIVERED: Final = 0.06
LATEST_REDELIVERY: Final = HOUR
CHUNK: Final = 20_000

Row = tuple[int, int]
"""(account, ledger_sequence from 1)."""

FIELDS: Final = ("amount", "balance_before", "balance_after")
_CREDITS: Final = frozenset({"topup", "transfer_in", "refund", "interest"})
_TYPES: Final = (
    *("payment", "payment", "payment", "transfer_out", "withdrawal", "fee"),
    *("topup", "transfer_in", "refund", "interest", "adjustment"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wrong with which rows."""

    accounts: int
    seed: int
    corrupted: frozenset[Row]
    missing: frozenset[Row]

    @property
    def rows(self) -> int:
        """How many rows there would be with nothing missing."""
        return self.accounts * ROWS


def plan(accounts: int, corrupted: int, missing: int, seed: int) -> Plan:
    """Choose rows: many of the corrupted ones next to each other, to a gap, first or last."""
    chance = random.Random(seed)
    gone: set[Row] = set()
    while len(gone) < missing:
        # Not before the row that comes first, which may be any of the first burst: it anchors.
        account, number = chance.randrange(accounts), chance.randrange(BURST + 1, ROWS)
        if not gone & {(account, number - 1), (account, number + 1)}:
            gone.add((account, number))
    wrong: set[Row] = set()
    while len(wrong) < corrupted:
        account, number = chance.randrange(accounts), chance.choice((1, 2, ROWS))
        match chance.randrange(5):
            case 0 if wrong:  # the neighbour of one that is wrong
                account, number = chance.choice(sorted(wrong))
                number += chance.choice((-2, -1, 1, 2))
            case 1 if gone:  # the neighbour of one that is missing
                account, number = chance.choice(sorted(gone))
                number += chance.choice((-1, 1))
            case 2 | 3:
                number = chance.randrange(1, ROWS + 1)
        if 1 <= number <= ROWS and (account, number) not in gone:
            wrong.add((account, number))
    return Plan(accounts, seed, frozenset(wrong), frozenset(gone))


def arrivals(of: Plan) -> Iterator[bytes]:
    """Yield the rows as they arrive: within the lateness of their time, some of them twice or more.

    An arrival time is occurred_at plus less than the lateness; so none is late.
    """
    chance = random.Random(of.seed + 1)
    balances = [chance.randrange(10**6, 10**9) for _ in range(of.accounts)]
    order = list(range(of.accounts))
    step = SPAN / (TURNS * of.accounts)
    pending: list[tuple[int, int, bytes]] = []
    number = 0
    for turn in range(TURNS):
        chance.shuffle(order)
        for place, account in enumerate(order):
            base = START + int((turn * of.accounts + place) * step)
            while pending and pending[0][0] <= base:
                yield from arrived(pending, chance)
            for sequence, at in enumerate(_times(base, chance), turn * BURST + 1):
                row = right_row(account, sequence, at, balances, chance)
                if (account, sequence) in of.missing:
                    continue
                if (account, sequence) in of.corrupted:
                    corrupt(row, chance)
                number += 1
                raw = msgspec.json.encode(row)
                heappush(pending, (at + chance.randrange(LATENESS), number, raw))
    while pending:
        yield from arrived(pending, chance)


def arrived(pending: list[tuple[int, int, bytes]], chance: random.Random) -> Iterator[bytes]:
    """Yield what comes next; now and then it will come again."""
    at, number, raw = heappop(pending)
    if chance.random() < REDELIVERED:
        heappush(pending, (at + chance.randrange(LATEST_REDELIVERY), number, raw))
    yield raw


def _times(base: int, chance: random.Random) -> list[int]:
    """Return the times of a burst; now and then equal, or not in the order of the numbers."""
    times = sorted(base + chance.randrange(8_000) for _ in range(BURST))
    match chance.randrange(10):
        case 0:
            chance.shuffle(times)
        case 1:
            times = [base] * BURST
    return times


def right_row(
    account: int, sequence: int, at: int, balances: list[int], chance: random.Random
) -> dict[str, Any]:
    """Return a right row, and move the account's balance by it."""
    kind = chance.choice(_TYPES)
    amount = chance.randrange(100, 100_000)
    fee = chance.choice((0, 0, 0, 25)) if kind in ("payment", "withdrawal") else 0
    status = chance.choice(("completed",) * 8 + ("failed", "pending"))
    moves = amount if kind in _CREDITS else -amount - fee
    if kind == "adjustment":
        moves = amount = chance.choice((-1, 1)) * amount
    before = balances[account]
    balances[account] += moves if status == "completed" else 0
    row = {
        "kind": "transaction",
        "event_id": f"r-{account}-{sequence}",
        "transaction_id": f"t-{account}-{sequence}",
        "account_id": f"account-{account}",
        "type": kind,
        "status": status,
        "amount": from_minor(amount, 2),
        "currency": "EUR",
        "occurred_at": format_time(at),
        "balance_before": from_minor(before, 2),
        "balance_after": from_minor(balances[account], 2),
        "balance_kind": "posted",
        "ledger_sequence": sequence,
    }
    return row | {"fee": from_minor(fee, 2)} if fee else row


def corrupt(row: dict[str, Any], chance: random.Random) -> None:
    """Move one of three fields by one minor unit; of a row that moves nothing, not its amount."""
    field_ = chance.choice(FIELDS if row["status"] == "completed" else FIELDS[1:])
    minor = int(row[field_].replace(".", "")) + chance.choice((-1, 1))
    row[field_] = from_minor(minor, 2)


@dataclass(slots=True)
class Comparison:
    """What was found and what was planned, compared."""

    problems: list[str] = field(default_factory=list)
    read: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    """Kinds of alerts about rows."""
    gaps: Counter[str] = field(default_factory=Counter)
    """Kinds of alerts about missing rows."""


def judge(of: Plan) -> Comparison:
    """Run A2 alone over the plan's rows and compare what it finds, in chunks of bounded memory."""
    comparison = Comparison()
    log, counts, comparison.read = observe(arrivals(of), Params())
    _compare(of, log, comparison)
    # What comes before the number that happened to come first anchors nothing: counted, no alert.
    counts.pop(NotJudged(BalanceMismatch.id, "old_sequence"), None)
    check_counts(counts, comparison.read - of.rows + len(of.missing), comparison)
    return comparison


def observe(raws: Iterable[bytes], params: Params) -> tuple[MemoryLog, Counts, int]:
    """Run A2 alone over rows in chunks; return the log, what was counted, how many were read."""
    log, rules = MemoryLog(partitions=1), [BalanceMismatch(params)]
    policy = Policy(rules, rules)
    pace = Pace(poll_records=5_000, idle_advances=False, progress_interval=HOUR)
    worker = StageWorker(log, detect(policy), [0], lambda: 0, pace)
    read = 0
    chunk: list[bytes] = []
    for raw in raws:
        chunk.append(raw)
        if len(chunk) == CHUNK:
            read += _feed(log, worker, chunk)
    read += _feed(log, worker, chunk)
    end = msgspec.json.encode({"kind": "end", "occurred_at": format_time(START + SPAN + 3 * HOUR)})
    log.append([NewRecord(topic, None, end, 0) for topic in DETECT_INPUTS])
    _work(worker)
    counts = Counter(
        {
            outcome: number
            for outcome, number in worker.counts.items()
            if not isinstance(outcome, AlertPublished | EndForgotten)
        }
    )
    return log, counts, read


def check_counts(counts: Counts, redelivered: int, comparison: Comparison) -> None:
    """Nothing but so many redeliveries may have been counted."""
    if counts != {Redelivered(TRANSACTIONS): redelivered}:
        comparison.problems.append(f"{redelivered} redelivered, but counted {counts}")


def _feed(log: MemoryLog, worker: StageWorker, chunk: list[bytes]) -> int:
    """Append rows, let the other inputs follow in time, work, and forget what was worked off."""
    count = len(chunk)
    records = []
    for raw in chunk:
        head = msgspec.json.decode(raw, type=_Head)
        records.append(NewRecord(TRANSACTIONS, head.account_id.encode(), raw, 0))
    if records:
        beat = msgspec.json.encode({"kind": "heartbeat", "occurred_at": head.occurred_at})
        records += [NewRecord(topic, None, beat, 0) for topic in DETECT_INPUTS[1:]]
    log.append(records)
    _work(worker)
    log.prune(dict.fromkeys(DETECT_INPUTS, 0), dict.fromkeys(DETECT_INPUTS, ("detect",)))
    chunk.clear()
    return count


def _work(worker: StageWorker) -> None:
    while worker.run_once():
        pass


class _Head(msgspec.Struct):
    account_id: str
    occurred_at: str


def _compare(of: Plan, log: MemoryLog, comparison: Comparison) -> None:
    rows: list[str] = []
    gaps: list[tuple[str, int, int]] = []
    ids = set()
    for _, alert in documents(log, "wallet.alerts"):
        details, kind = alert["details"], alert["kind"]
        if details.get("check") == "missing_entries" and kind in ("raised", "updated"):
            comparison.gaps[kind] += 1
            ids.add(alert["alert_id"])
            if kind == "raised":
                first, last = details["first_missing"], details["last_missing"]
                gaps.append((alert["account_id"], first, last))
        elif details.get("check") == "row" and kind == "raised":
            comparison.rows[kind] += 1
            rows.append(alert["evidence"][0]["event_id"])
            if abs(details["drift_minor"]) != 1 or alert["severity"] != "warning":
                comparison.problems.append(f"{rows[-1]}: drift {details['drift_minor']}")
        else:
            comparison.problems.append(f"{kind} alert of check {details.get('check')}")
    expect("rows", rows, [f"r-{account}-{number}" for account, number in of.corrupted], comparison)
    missing = [(f"account-{account}", number, number) for account, number in of.missing]
    expect("gaps", gaps, missing, comparison)
    if len(ids) != len(of.missing):
        comparison.problems.append(f"{len(ids)} different alert_ids for {len(of.missing)} gaps")
    for topic in (LATE, DEAD_LETTERS):
        if log.offsets(topic)[0][1]:
            comparison.problems.append(f"{log.offsets(topic)[0][1]} records on {topic}")


def expect(
    what: str, found: Sequence[Any], expected: Sequence[Any], comparison: Comparison
) -> None:
    """Note what was found too often or not at all."""
    if sorted(found) != sorted(expected):
        more, less = Counter(found) - Counter(expected), Counter(expected) - Counter(found)
        comparison.problems.append(
            f"{what}: {len(found)} alerts for {len(expected)}; too many: {sorted(more)[:5]}, "
            f"not found: {sorted(less)[:5]}"
        )
