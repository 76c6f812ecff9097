"""State as a release has saved it: made from fixed events, kept as files, given to a later one.

A folder of `tests/data/state` holds what one layout of the saved state looks like:

    before.ndjson   the events that were read, as lines of a file
    later.ndjson    the events that come after the update
    signals.ndjson  what detect had told triage by then
    saved.ndjson    per stage: the meta and offsets of its task, and the bytes of every key
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from rules.registry import ALL
from schemas.time import format_time, parse_time
from schemas.topics import DETECT_INPUTS, SIGNALS
from tests.support.random_runs import PLAIN, POLICY
from worker.codec.lines import PlacedLine, place
from worker.detect.stage import DETECT, Policy, detect
from worker.engine.log import stored
from worker.engine.loop import StageWorker
from worker.engine.outcomes import Counts
from worker.engine.records import Commit, NewRecord, StateChange, TopicPartition
from worker.logs.memory import MemoryLog, MemorySession
from worker.logs.topics import WALLET_TOPICS
from worker.triage.stage import TRIAGE, triage

FOLDER: Final = Path(__file__).parents[1] / "data" / "state"
UPDATE: Final = parse_time("2026-03-09T12:00:00Z")
"""When the older release stops and the newer one goes on, milliseconds of event time."""
_MOST_EXAMPLES: Final = 8
_SECOND: Final = 1_000
_DAY: Final = 24 * 3_600 * _SECOND
_TIMES: Final = ("occurred_at", "as_of", "posted_at", "lock_until", "expected_by")

Event = dict[str, Any]
Saved = list[dict[str, Any]]


def newest() -> Path:
    """Return the folder of the newest layout."""
    return max((each for each in FOLDER.iterdir() if (each / "saved.ndjson").exists()), key=_order)


def _order(folder: Path) -> tuple[int, str]:
    layout, _, more = folder.name.partition("-")
    return int(layout), more


# -- events -------------------------------------------------------------------------------


def events() -> tuple[list[Event], list[Event]]:
    """Return what comes before the update and after it: examples of every rule that fire.

    Of each example there are two accounts: with one the update comes before the last event, with
    the other after it; of every second one that event is still buffered then.
    """
    found: list[Event] = []
    for rule in ALL:
        firing = [example for example in rule.EXAMPLES if example.expect]
        step = -(-len(firing) // _MOST_EXAMPLES)
        for number, example in enumerate(firing[::step]):
            told = sorted(example.events, key=lambda event: parse_time(event["occurred_at"]))
            told = [event for event in told if event["kind"] in ("transaction", "login", "balance")]
            last = parse_time(told[-1]["occurred_at"])
            name = f"{rule.code.lower()}-{number}"
            found += _moved(told, f"{name}-cut", UPDATE + 10 * _SECOND - last)
            since = 3 if number % 2 else 10
            found += _moved(told, f"{name}-whole", UPDATE - since * _SECOND - last)
    found.sort(key=lambda event: parse_time(event["occurred_at"]))
    before = [event for event in found if parse_time(event["occurred_at"]) < UPDATE]
    later = [event for event in found if parse_time(event["occurred_at"]) >= UPDATE]
    redelivered = [event for event in before if event["account_id"].endswith("whole")][-20:]
    return [*before, *_controls("heartbeat", UPDATE)], [
        *redelivered,
        *later,
        *_controls("end", UPDATE + 8 * _DAY),
    ]


def _controls(kind: str, at: int) -> list[Event]:
    time = format_time(at)
    return [{"kind": kind, "occurred_at": time, "topic": topic} for topic in DETECT_INPUTS]


def _moved(told: Sequence[Event], account: str, by: int) -> list[Event]:
    moved = []
    for event in told:
        times = {
            name: format_time(parse_time(event[name]) + by) for name in _TIMES if name in event
        }
        provider = {"provider": "acme-pay"} if event["kind"] == "transaction" else {}
        moved.append(provider | event | times | {"account_id": account})
    return moved


# -- runs ---------------------------------------------------------------------------------


class RecordingLog(MemoryLog):
    """A log that tells what was committed: per stage the newest meta, offsets and states."""

    def __init__(self) -> None:
        super().__init__(partitions=1)
        self.committed: dict[str, Commit] = {}

    def open_session(
        self, stage: str, inputs: Sequence[str], tasks: Sequence[int] | None
    ) -> MemorySession:
        """Open a session that takes notes."""
        session = super().open_session(stage, inputs, tasks)
        write = session.commit
        notes = self.committed.setdefault(stage, Commit())

        def commit(unit: Commit) -> None:
            write(unit)
            kept = {change.key: change for change in [*notes.states, *unit.states]}
            notes.states = [change for change in kept.values() if change.value]
            notes.offsets.update(unit.offsets)
            notes.metas.update(unit.metas)

        session.commit = commit  # type: ignore[method-assign]
        return session


def run(log: MemoryLog, policy: Policy = POLICY) -> Counts:
    """Run both stages until nothing is left; return what was counted."""
    counts = Counts()
    for stage in (detect(policy), triage(policy, 1)):
        worker = StageWorker(log, stage, [0], lambda: 0, PLAIN)
        while worker.run_once():
            pass
        counts.update(worker.counts)
        worker.close()
    return counts


def records(lines: Iterable[bytes]) -> Iterator[NewRecord]:
    """Yield the records of lines of a file."""
    for raw in lines:
        line = place(raw)
        assert isinstance(line, PlacedLine), line
        yield NewRecord(line.topic, line.key, line.value, line.partition or 0)


def save(folder: Path) -> None:
    """Write what this release saves of the folder's events."""
    for name, lines in today(folder).items():
        (folder / name).write_bytes(b"".join(line + b"\n" for line in lines))


def today(folder: Path) -> dict[str, list[bytes]]:
    """Return what this release saves of the folder's events, as lines by file."""
    log = RecordingLog()
    log.append(list(records(lines_of(folder, "before.ndjson"))))
    run(log)
    signals = [
        {"key": (record.key or b"").decode(), "value": (record.value or b"").decode()}
        for _, record in stored(log, SIGNALS)
    ]
    saved: Saved = []
    for stage, unit in log.committed.items():
        saved.append(
            {
                "stage": stage,
                "meta": base64.b64encode(unit.metas[0]).decode(),
                "offsets": {at.topic: offset for at, offset in unit.offsets.items()},
            }
        )
        saved += [
            {
                "stage": stage,
                "key": change.key.decode(),
                "value": base64.b64encode(change.value).decode(),
            }
            for change in sorted(unit.states)
        ]
    return {"signals.ndjson": _encoded(signals), "saved.ndjson": _encoded(saved)}


def _encoded(rows: Saved) -> list[bytes]:
    return [msgspec.json.encode(row, order="deterministic") for row in rows]


def lines_of(folder: Path, name: str) -> list[bytes]:
    """Return the lines of a file of the folder."""
    return (folder / name).read_bytes().splitlines()


def restored(folder: Path, *added: str) -> MemoryLog:
    """Return a log with what the folder's release has read, written and saved.

    Args:
        added: topics that the release did not have.
    """
    log = MemoryLog({**WALLET_TOPICS, **dict.fromkeys(added, "delete")}, partitions=1)
    log.append(list(records(lines_of(folder, "before.ndjson"))))
    for line in lines_of(folder, "signals.ndjson"):
        signal = msgspec.json.decode(line)
        log.append([NewRecord(SIGNALS, signal["key"].encode(), signal["value"].encode(), 0)])
    saved = [msgspec.json.decode(line) for line in lines_of(folder, "saved.ndjson")]
    for stage, inputs in ((DETECT, DETECT_INPUTS), (TRIAGE, (SIGNALS,))):
        session = log.open_session(stage, inputs, [0])
        session.restore(0)
        session.poll(10**6)
        session.commit(_unit([row for row in saved if row["stage"] == stage]))
        session.close()
    return log


def _unit(rows: Saved) -> Commit:
    unit = Commit()
    for row in rows:
        if "meta" in row:
            unit.metas[0] = base64.b64decode(row["meta"])
            unit.offsets = {TopicPartition(topic, 0): n for topic, n in row["offsets"].items()}
        else:
            value = base64.b64decode(row["value"])
            unit.states.append(StateChange(0, row["key"].encode(), value))
    return unit


def meta_of(folder: Path, stage: str) -> bytes:
    """Return what is saved of a stage's task."""
    rows = [msgspec.json.decode(line) for line in lines_of(folder, "saved.ndjson")]
    (meta,) = [row["meta"] for row in rows if row["stage"] == stage and "meta" in row]
    return base64.b64decode(meta)


def state_of(folder: Path, stage: str) -> dict[bytes, bytes]:
    """Return the saved bytes of a stage's keys."""
    rows = [msgspec.json.decode(line) for line in lines_of(folder, "saved.ndjson")]
    return {
        row["key"].encode(): base64.b64decode(row["value"])
        for row in rows
        if row["stage"] == stage and "key" in row
    }
