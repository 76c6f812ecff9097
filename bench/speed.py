"""Speed and memory: events per CPU-second, beside the baseline of the same run."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from bench.baseline import Baseline
from rules.registry import ALL
from worker import simulate as traffic
from worker.cli.ingest import Appender
from worker.config.load import load_settings
from worker.detect.stage import DETECT, Policy
from worker.logs.sqlite.log import wall_clock
from worker.run.open_log import open_log
from worker.run.replay import replay
from worker.run.runner import Runner
from worker.triage.stage import TRIAGE

ROUNDS = 3
REPLAY_LEAST, REPLAY_AIM = 0.25, 0.40
RUN_LEAST = 0.15
STATE_MOST, STATE_AIM = 400, 250


def policy(*codes: str) -> Policy:
    """Return the default policy with these rules, all if none is named."""
    rules = [rule(rule.Params()) for rule in ALL]
    live = [rule for rule in rules if not codes or rule.code in codes]
    return Policy(live, rules, dead_letter_limit=None)


def events(accounts: int, days: int) -> list[bytes]:
    """Return simulated traffic as lines, without heartbeats, which are no work."""
    config = traffic.SimulateConfig(accounts=accounts, days=days)
    simulated = traffic.simulate(config, 1, [])
    return [msgspec.json.encode(event) for event in simulated if event["kind"] != "heartbeat"]


def cpu_of(work: Callable[[], object]) -> float:
    """Return the CPU seconds that a call takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def beside(baseline: Baseline, work: Callable[[], float]) -> tuple[float, float, float]:
    """Return (CPU seconds of the work, of the baseline, their ratio): medians over the rounds.

    Each round measures the baseline right before and right after the work.
    """
    rows = []
    for _ in range(ROUNDS):
        before = baseline.cpu_seconds()
        spent = work()
        around = (before + baseline.cpu_seconds()) / 2
        rows.append((spent, around, around / spent))
    spent, around, share = (statistics.median(column) for column in zip(*rows, strict=True))
    return spent, around, share


def replayed(lines: Sequence[bytes], which: Policy) -> float:
    """Replay the lines; return the CPU seconds."""
    return cpu_of(lambda: replay((("bench", n, line) for n, line in enumerate(lines, 1)), which))


def ran(lines: Sequence[bytes]) -> float:
    """Run both stages on a SQLite log that holds the lines; return the CPU seconds of that."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'bench.db'}"
        settings = load_settings(None, {}, log_url=url).settings
        log = open_log(url, 4)
        appender = Appender(log, settings, wall_clock())
        appender.take("bench", enumerate(lines, 1))
        appender.end()

        def work() -> None:
            runner = Runner(log, settings, (DETECT, TRIAGE), range(4), wall_clock)
            runner.run(lambda: False, until_ended=True)
            runner.close()

        spent = cpu_of(work)
        log.close()
        return spent


def state_sizes(lines: Sequence[bytes]) -> tuple[float, float]:
    """Return mean bytes of state per account with >= 20 events: right after, and a day later."""
    counts: dict[str, int] = {}
    latest = ""
    for line in lines:
        head = msgspec.json.decode(line)
        counts[head["account_id"]] = counts.get(head["account_id"], 0) + 1
        latest = max(latest, head["occurred_at"])
    busy = {account.encode() for account, count in counts.items() if count >= 20}

    def mean(extra: Sequence[bytes]) -> float:
        named = (("bench", n, line) for n, line in enumerate([*lines, *extra], 1))
        log = replay(named, policy()).log
        states = dict(log.open_session(DETECT, (), (0,)).restore(0).states)
        return statistics.mean(len(states.get(account, b"")) for account in busy)

    clock = {
        "kind": "login",
        "event_id": "clock",
        "account_id": "clock",
        "action": "logout",
        "outcome": "success",
        "occurred_at": f"{int(latest[:4]) + 1}{latest[4:]}",
    }
    return mean(()), mean((msgspec.json.encode(clock),))


def main() -> int:
    """Print the figures; return 1 if one misses what it must reach."""
    lines = events(accounts=3000, days=4)
    count = len(lines)
    bare, bounded = Baseline(lines), Baseline(lines, bounded=True)
    print(f"{count:,} events, Python {sys.version.split()[0]}; medians of {ROUNDS} rounds")
    spent, validating, ratio = beside(bounded, lambda: replayed(lines, policy()))
    run_spent, _, run_ratio = beside(bounded, lambda: ran(lines))
    bare_spent, parsing, bare_ratio = beside(bare, lambda: replayed(lines, policy()))
    print("                            events per CPU-second   of parse and validate")
    print(f"parse, check types only        {count / parsing:>10,.0f}")
    print(f"parse and validate             {count / validating:>10,.0f}")
    print(f"replay, all rules              {count / spent:>10,.0f}  {ratio:>22.1%}")
    print(f"run on SQLite, both stages     {count / run_spent:>10,.0f}  {run_ratio:>22.1%}")
    print(
        f"replay beside types only       {count / bare_spent:>10,.0f}  {bare_ratio:>22.1%} of that"
    )
    none, _, _ = beside(bare, lambda: replayed(lines, policy("none")))
    print(f"replay without rules           {count / none:>10,.0f}")
    for rule in ALL:
        alone, _, _ = beside(bare, partial(replayed, lines, policy(rule.code)))
        print(f"  {rule.code} adds {(alone - none) / count * 1e9:>7,.0f} ns per event")
    active, idle = state_sizes(lines)
    print(f"state per account with >= 20 events: {active:.0f} bytes active, {idle:.0f} idle")
    good = ratio >= REPLAY_LEAST and run_ratio >= RUN_LEAST and idle <= STATE_MOST
    print("speed: " + ("as required" if good else "BELOW what is required"))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
