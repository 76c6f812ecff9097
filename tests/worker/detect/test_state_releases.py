"""Saved state survives releases: older layouts are read, newer ones refused, rule by rule."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from rules.contract import AnyRule, Params, Rule, State
from rules.events import TRANSACTION
from rules.facts import Facts
from rules.habits import MAX_FAILED
from rules.profile import mark_of
from schemas.topics import ALERTS, DETECT_INPUTS, INCIDENTS
from tests.support.random_runs import POLICY, RULES
from tests.support.run_comparison import comparable, documents
from tests.support.saved_releases import (
    FOLDER,
    lines_of,
    meta_of,
    newest,
    records,
    restored,
    run,
    state_of,
    today,
)
from worker.detect import account as account_module
from worker.detect.account import KNOWN_FIELDS_SINCE, LAYOUT, Account, SavedAccounts
from worker.detect.account_upgrade import saved_name
from worker.detect.cause_counts import KeptBuckets
from worker.detect.kept_buckets import PREFIX
from worker.detect.reader import InputPolicy
from worker.detect.stage import DETECT, detect
from worker.detect.unkeyed_ids import UNKEYED
from worker.engine.event_time import BEGINNING
from worker.engine.keyed_state import Timer, pack, payload_of
from worker.engine.outcomes import (
    AlertPublished,
    Counts,
    DeadLettered,
    Redelivered,
    RuleFailure,
    StateDropped,
)
from worker.engine.packing import is_text, packed
from worker.engine.records import Commit, NewRecord, Snapshot, StateChange, TopicPartition
from worker.engine.task_meta import TaskMeta
from worker.errors import LogError
from worker.logs.memory import MemoryLog
from worker.tokens import PUBLIC
from worker.triage.handler import IncidentHandler
from worker.triage.stage import TRIAGE

FOLDERS = sorted(each for each in FOLDER.iterdir() if (each / "saved.ndjson").exists())
LAYOUT_1 = FOLDER / "1"
RULES_OF = {"1": {"A1", "A2", "A5"}}
"""The rules that older releases had, by folder, where they were not A1 to A5."""
AFTER_A_RELEASE = """
What this release saves differs from {folder}, made from the same events.
If no release has saved {folder} yet, write it again: python -m tests.data.state
If one has, raise what has changed and keep the old folder as it is:
  an account or the facts in it: LAYOUT in worker/detect/account.py, and account_upgrade.py reads
  the old
  the state of a rule: `version` of the rule, and its `upgrade` reads the old, or it starts afresh
  a task, an incident, a volume: its layout number, and its `load` reads the old
then: python -m tests.data.state NUMBER
"""

releases = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def accounts_of(folder: Path) -> dict[bytes, bytes]:
    """Return the saved bytes of accounts, without the header."""
    states = state_of(folder, DETECT)
    return {
        key: bytes(payload_of(value)) for key, value in states.items() if not key.startswith(PREFIX)
    }


def uninterrupted(folder: Path) -> MemoryLog:
    """Return the log of a run of this release over all events of the folder."""
    log = MemoryLog(partitions=1)
    for name in ("before.ndjson", "later.ndjson"):
        log.append(list(records(lines_of(folder, name))))
        run(log)
    return log


def resumed(folder: Path) -> tuple[MemoryLog, Counts]:
    """Return the log of a run that goes on from the folder's state, and what it counted."""
    log = restored(folder)
    log.append(list(records(lines_of(folder, "later.ndjson"))))
    return log, run(log)


# -- every release ------------------------------------------------------------------------


@releases
def test_every_account_that_a_release_has_saved_is_read(folder: Path) -> None:
    """And saved again in today's layout, which says the same."""
    saved = SavedAccounts(POLICY.known_rules)
    for payload in accounts_of(folder).values():
        account = saved.read(payload)
        assert account != saved.new()
        again = packed(account)
        assert msgspec.msgpack.decode(again)["v"] == LAYOUT
        assert saved.read(again) == account


@releases
def test_the_saved_events_leave_something_of_everything(folder: Path) -> None:
    """Open alerts of every rule, rule states, timers, balances, holds, incidents."""
    saved = SavedAccounts(POLICY.known_rules)
    accounts = [msgspec.msgpack.decode(payload) for payload in accounts_of(folder).values()]
    of_rules = RULES_OF.get(folder.name, {"A1", "A2", "A3", "A4", "A5"})
    if folder == newest():
        of_rules = {rule.code for rule in RULES}
    assert {row[0] for payload in accounts_of(folder).values() for row in _alerts(payload)} == (
        of_rules
    )
    assert {name.partition(".")[0] for each in accounts for name in each if "." in name}
    assert any(account.get("t") for account in accounts)
    read = [saved.read(payload) for payload in accounts_of(folder).values()]
    assert any(account.profile.balances for account in read)
    assert any(account.profile.holds for account in read)
    assert state_of(folder, TRIAGE)
    if folder != LAYOUT_1:
        assert any(key.startswith(PREFIX) for key in state_of(folder, DETECT))
        assert any(account.profile.habits.book.devices.rows for account in read)


@releases
def test_what_an_account_knew_it_still_knows(folder: Path) -> None:
    """Ids, balances, holds, open alerts and timers, one by one."""
    saved = SavedAccounts(POLICY.known_rules)
    for payload in accounts_of(folder).values():
        raw, account = msgspec.msgpack.decode(payload), saved.read(payload)
        facts = [*raw.get("f", ()), [], []]
        ids, unkeyed = raw.get("r", b""), raw.get("i", b"")
        assert not (unkeyed if folder == newest() else ids)
        if raw.get("v", 1) < KNOWN_FIELDS_SINCE:
            unkeyed = UNKEYED.without_content(unkeyed)
        assert (account.ids, account.unkeyed_ids) == (ids, unkeyed)
        assert [known.minor for known in account.profile.balances] == [row[2] for row in facts[0]]
        assert [hold.minor for hold in account.profile.holds] == [row[2] for row in facts[1]]
        kept = [alert for code in sorted(account.alerts) for alert in account.alerts[code]]
        assert sorted(alert.alert_id for alert in kept) == sorted(_alert_ids(payload))
        assert [packed(timer) for timer in account.timers] == [packed(t) for t in raw.get("t", ())]


@releases
def test_failures_of_before_they_were_counted_are_as_many_as_may_be(folder: Path) -> None:
    """No lock is said to be unjustified by them; where nobody has logged in there were none."""
    saved = SavedAccounts(POLICY.known_rules)
    habits = [saved.read(payload).profile.habits for payload in accounts_of(folder).values()]
    with_logins = {each.failed for each in habits if each.logins_since is not None}
    assert {each.failed for each in habits if each.logins_since is None} == {0}
    if folder == newest():
        assert {0, 5} <= with_logins
        assert MAX_FAILED not in with_logins
    else:
        assert with_logins == (set() if folder == LAYOUT_1 else {MAX_FAILED})
    assert not saved.afresh


@releases
def test_after_an_update_alerts_and_incidents_go_on(folder: Path) -> None:
    """From today's layout as if nothing had been; from an older one every open alert is closed."""
    log, counts = resumed(folder)
    assert not any(isinstance(outcome, DeadLettered | RuleFailure) for outcome in counts)
    assert sum(n for outcome, n in counts.items() if isinstance(outcome, Redelivered)) == 20
    open_before = {each for payload in accounts_of(folder).values() for each in _alert_ids(payload)}
    closed = {
        alert["alert_id"]
        for _, alert in documents(log, ALERTS)
        if alert["kind"] in ("cured", "retracted", "expired")
    }
    assert open_before - closed == set()
    raised = {a["alert_id"] for _, a in documents(log, ALERTS) if a["kind"] == "raised"}
    assert raised.isdisjoint(open_before)
    whole = uninterrupted(folder)
    if folder == newest():
        found, expected = comparable(log), comparable(whole)
        assert found.alerts
        assert [each for each in found.alerts if each not in expected.alerts] == []
        before = sum(b'\\"kind\\":\\"alert\\"' in s for s in lines_of(folder, "signals.ndjson"))
        assert len(found.alerts) == len(expected.alerts) - before
        assert found.incidents
        assert set(found.incidents) <= set(expected.incidents)
    told = {a["alert_id"] for _, a in documents(whole, ALERTS) if a["kind"] == "raised"}
    new = [a for _, a in documents(log, ALERTS) if a["kind"] == "raised"]
    assert new
    # A rule that asks whether an alert is open does not see those of layout 1.
    excused = _with_open_alerts(folder) if folder == LAYOUT_1 else set()
    assert {a["account_id"] for a in new if a["alert_id"] not in told} <= excused


@releases
def test_incidents_of_a_release_before_list_their_alerts(folder: Path) -> None:
    """Those that are open when it is read; a release that had no list counts the others only."""
    handler = IncidentHandler(PUBLIC, 1)
    states = [handler.load(stored).state for stored in _incidents(folder)]
    assert states
    for state in filter(None, states):
        assert set(state.members) <= set(state.alert_ids)
        if folder == newest():
            assert len(state.alert_ids) == state.total
    log, _ = resumed(folder)
    for _, incident in documents(log, INCIDENTS):
        assert len(incident["alert_ids"]) >= incident["alerts"]["active"]
        assert len(set(incident["alert_ids"])) == len(incident["alert_ids"])


def _incidents(folder: Path) -> list[bytes]:
    return [value for key, value in state_of(folder, TRIAGE).items() if key]


def _with_open_alerts(folder: Path) -> set[str]:
    return {key.decode() for key, each in accounts_of(folder).items() if _alerts(each)}


def _alert_ids(payload: bytes) -> list[str]:
    return [row[5] for row in _alerts(payload)]


def _alerts(payload: bytes) -> list[Any]:
    """Return the open alerts as rows of values, as the folder's layout has them."""
    raw = msgspec.msgpack.decode(payload)
    if raw.get("v", 1) < 3:
        return list(raw.get("a", ()))
    alerts = []
    for kept in raw.get("a", {}).values():
        begin = 0
        for row in struct.iter_unpack(">qIIIH", kept[1]):
            alerts.append(msgspec.msgpack.decode(kept[3][begin : begin + row[3]]))
            begin += row[3]
    return alerts


@releases
@pytest.mark.parametrize(("since", "reason"), [(1, "dead_letter"), (LAYOUT + 1, "redelivered")])
def test_a_redelivery_with_a_field_that_was_not_known_before_is_no_conflict(
    folder: Path, since: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved rows of a layout that knew fewer fields answer by id alone, others do not.

    What a release before did not know is played by `extra`, which its events did not have.
    """
    monkeypatch.setattr(account_module, "LAYOUT", max(since, LAYOUT))
    monkeypatch.setattr(account_module, "KNOWN_FIELDS_SINCE", since)
    log = restored(folder)
    redelivered = msgspec.json.decode(lines_of(folder, "later.ndjson")[0])
    again = msgspec.json.encode(redelivered | {"extra": {"field": "new"}})
    log.append(list(records([again])))
    for topic in DETECT_INPUTS:
        end = b'{"kind":"end","occurred_at":"2026-12-01T00:00:00Z"}'
        log.append([NewRecord(topic, None, end, 0)])
    counts = run(log)
    kinds = ("redelivered", "dead_letter")
    assert {kind.name: n for kind, n in counts.items() if kind.name in kinds} == {reason: 1}


@releases
def test_an_input_added_later_begins_at_the_watermark(folder: Path) -> None:
    """A log of before goes on: nothing is released until the new input has come as far."""
    added = "wallet.complaints"
    policy = replace(POLICY, inputs=(*POLICY.inputs, InputPolicy(added, TRANSACTION)))
    task = detect(policy).make(0, Snapshot(meta_of(folder, DETECT), ()))
    source = task.sources[-1]
    assert (source.position, source.reread_until) == (0, 0)
    assert task.watermark > BEGINNING
    assert [(time.proof, time.frontier) for time in source.inputs] == [(task.watermark,) * 2]
    assert all(each.reread_until > 0 for each in task.sources[:-1])

    whole, _ = resumed(folder)
    log = restored(folder, added)
    log.append(list(records(lines_of(folder, "later.ndjson"))))
    assert not any(isinstance(outcome, AlertPublished) for outcome in run(log, policy))
    log.append([NewRecord(added, None, b'{"kind":"end","occurred_at":"2030-01-01T00:00:00Z"}', 0)])
    run(log, policy)
    assert comparable(log).alerts == comparable(whole).alerts


def test_this_release_saves_what_its_folder_holds() -> None:
    """Or else somebody has changed what is saved without a word to those who must read it."""
    folder = newest()
    differing = [name for name, lines in today(folder).items() if lines_of(folder, name) != lines]
    assert differing == [], AFTER_A_RELEASE.format(folder=folder.name)


def test_todays_layout_is_read_without_a_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """One decoding per account, as before there were layouts."""

    def refuse(*args: object) -> None:
        raise AssertionError("the slow way was gone")

    monkeypatch.setattr(account_module, "upgraded", refuse)
    saved = SavedAccounts(POLICY.known_rules)
    for payload in accounts_of(newest()).values():
        saved.read(payload)


@pytest.mark.parametrize("encode", [msgspec.json.encode, packed])
def test_an_older_layout_with_amounts_beyond_64_bits_is_read(
    encode: Callable[[Any], bytes],
) -> None:
    """It was saved as JSON then; what is saved today will be an older layout one day."""
    known = ["ETH", "posted", 10**20, 5, 7, "event-1", 0, 4]
    old = {"i": bytearray(20), "f": [[known], [["tx-1", "ETH", 10**20, 3]]]}
    account = SavedAccounts(RULES).read(encode(old))
    assert account.unkeyed_ids == bytes(20)
    assert (account.profile.balances[0].minor, account.profile.balances[0].ref.offset) == (
        10**20,
        7,
    )
    assert account.profile.holds[0].mark == mark_of("tx-1")


def test_an_account_with_amounts_beyond_64_bits_is_read_as_it_was_saved_before() -> None:
    """As JSON; saved again it is msgpack as any other."""
    saved = SavedAccounts(RULES)
    for payload in accounts_of(newest()).values():
        account = saved.read(payload)
        if account.profile.balances:
            account.profile.balances[0].minor += 10**37
            assert is_text(msgspec.json.encode(account))
            assert saved.read(msgspec.json.encode(account)) == account
            assert not is_text(packed(account))
            assert saved.read(packed(account)) == account
            return
    raise AssertionError("no saved account knows a balance")


# -- rules change one by one --------------------------------------------------------------


class OldState(State):
    """One number."""

    count: int = 0


class NewState(State):
    """The number doubled, and a word."""

    doubled: int = 0
    word: str = ""


class Old(Rule[Params, State, Facts]):
    """Version 1."""

    id = "changing"
    code = "T1"
    category = "access"
    Params = Params
    State: ClassVar[type[Any]] = OldState
    Facts = Facts


class New(Old):
    """Version 2, which cannot use what version 1 has saved."""

    version = 2
    State = NewState


class Kept(New):
    """Version 2, which can."""

    @classmethod
    def upgrade(cls, version: int, saved: Any) -> Any:
        """Double the number."""
        assert version == 1
        return NewState(2 * saved[0], "from 1")


class Other(Old):
    """Another rule."""

    id = "other"
    code = "T2"


def made(account: Any, **states: State) -> bytes:
    """Return the bytes of an account with rule states."""
    for code, state in states.items():
        setattr(account, code, state)
    return packed(account)


def rules(*kinds: type[AnyRule]) -> list[AnyRule]:
    """Return the rules, live."""
    return [kind(Params()) for kind in kinds]


def test_another_version_of_a_rule_starts_afresh_and_leaves_the_others_alone() -> None:
    """It is counted."""
    saved = made(SavedAccounts(rules(Old, Other)).new(), T1=OldState(5), T2=OldState(7))
    later = SavedAccounts(rules(New, Other))
    account: Any = later.read(saved)
    of_other = account.T2
    assert account.T1 is None
    assert of_other == OldState(7)
    assert later.afresh == {StateDropped("changing"): 1}


def test_a_rule_may_use_what_an_older_version_has_saved() -> None:
    saved = made(SavedAccounts(rules(Old, Other)).new(), T1=OldState(5), T2=OldState(7))
    later = SavedAccounts(rules(Kept, Other))
    account: Any = later.read(saved)
    own, of_other = account.T1, account.T2
    assert own == NewState(10, "from 1")
    assert of_other == OldState(7)
    assert not later.afresh


def test_what_starts_afresh_is_counted_once_in_a_run() -> None:
    """Also where another key is handled meanwhile."""
    folder = newest()

    class Renewed(POLICY_RULE):  # type: ignore[misc]
        version = POLICY_RULE.version + 1

    policy = _with(Renewed)
    log = restored(folder)
    log.append(list(records(lines_of(folder, "later.ndjson"))))
    name = saved_name(POLICY_RULE(POLICY_RULE.Params()))
    had = sum(name in msgspec.msgpack.decode(each) for each in accounts_of(folder).values())
    assert run(log, policy)[StateDropped(POLICY_RULE.id)] == had > 0


POLICY_RULE: Any = type(next(rule for rule in RULES if rule.code == "A5"))


def _with(rule: type[AnyRule]) -> Any:
    from dataclasses import replace

    changed = [rule(rule.Params()) if each.code == rule.code else each for each in RULES]
    return replace(POLICY, rules=changed, known_rules=changed)


# -- downgrades ---------------------------------------------------------------------------

REFUSED = r"A newer release of walletwatch has saved {}: run that release on this log, or one after"


def refused(what: str) -> Any:
    """Expect one clear sentence."""
    return pytest.raises(LogError, match=REFUSED.format(what))


def test_accounts_of_a_newer_layout_are_refused() -> None:
    with refused("accounts"):
        SavedAccounts(rules(Old)).read(packed({"v": LAYOUT + 1, "new": 1}))


def test_states_of_a_newer_or_unknown_rule_are_refused() -> None:
    newer = made(SavedAccounts(rules(New)).new(), T1=NewState(1))
    with refused("states of version 2 of rule T1"):
        SavedAccounts(rules(Old)).read(newer)
    with refused("states of a rule T1"):
        SavedAccounts(rules(Other)).read(newer)


def test_open_alerts_of_a_newer_or_unknown_rule_are_refused() -> None:
    """Where there is no state that would tell."""
    for payload in accounts_of(newest()).values():
        raw = msgspec.msgpack.decode(payload)
        for code, kept in raw.get("a", {}).items():
            only = packed({"v": LAYOUT, "a": {code: kept}})
            with refused(f"alerts of version {kept[0]} of rule {code}"):
                SavedAccounts(rules(Old)).read(only)
            return


class Outside(Old):
    """A rule from outside: its code has more than one letter."""

    id = "outside"
    code = "OWN1"


class OutsideLater(Outside):
    """Its next version."""

    version = 2
    State = NewState


def test_states_of_a_rule_from_outside_say_what_to_install() -> None:
    """No other release of walletwatch has that rule."""
    saved = made(SavedAccounts(rules(OutsideLater, Old)).new(), OWN1=NewState(1))
    with pytest.raises(LogError) as refused:
        SavedAccounts(rules(Old)).read(saved)
    assert str(refused.value) == (
        "The log holds states of a rule OWN1, which is from outside walletwatch and is missing "
        "here: install its package, or name its module in rules.modules; mode off stops a rule. "
        "Nothing was changed."
    )
    with pytest.raises(LogError) as refused:
        SavedAccounts(rules(Outside, Old)).read(saved)
    assert str(refused.value) == (
        "A newer version of the package of that rule has saved states of version 2 of rule OWN1: "
        "install that version. Nothing was changed."
    )


@pytest.mark.parametrize("code", ["OWN1", "OWN1_shadow"])
def test_open_alerts_of_a_rule_from_outside_say_what_to_install(code: str) -> None:
    """Also those of a rule in shadow."""
    payload = next(each for each in accounts_of(newest()).values() if _alerts(each))
    kept = next(iter(msgspec.msgpack.decode(payload)["a"].values()))
    only = packed({"v": LAYOUT, "a": {code: kept}})
    missing = f"holds alerts of version {kept[0]} of rule {code}, .* install its package"
    with pytest.raises(LogError, match=missing):
        SavedAccounts(rules(Old)).read(only)


def test_a_newer_task_incident_or_volume_is_refused() -> None:
    meta = packed(TaskMeta(3))
    with refused("a task of stage detect"):
        detect(POLICY).make(0, Snapshot(meta, ()))
    with refused("incidents"):
        IncidentHandler(PUBLIC, 1).load(pack([], packed([2, {"else": 1}])))
    with refused("counts by cause"):
        KeptBuckets().load(pack([], packed([3, 0, {}, []])))


def test_a_downgrade_ends_a_run_before_anything_is_committed() -> None:
    """The log stays as it was: the newer release goes on as if nothing had been."""
    folder = newest()
    log = restored(folder)
    log.append(list(records(lines_of(folder, "later.ndjson"))))
    session = log.open_session(DETECT, DETECT_INPUTS, [0])
    session.restore(0)
    key = min(state_of(folder, DETECT).keys() - {b""}, key=lambda key: key[:1] == PREFIX)
    session.commit(
        Commit(states=[StateChange(0, key, pack([Timer(0, "", "ids")], packed({"v": LAYOUT + 1})))])
    )
    session.close()
    before = log.offsets(ALERTS), _position(log)
    with refused("accounts"):
        run(log)
    assert (log.offsets(ALERTS), _position(log)) == before


def _position(log: MemoryLog) -> dict[TopicPartition, int]:
    return dict(log._tasks[DETECT, 0].offsets)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{", packed([1]), packed({"f": 1})])
def test_damaged_bytes_end_with_a_sentence(payload: bytes) -> None:
    with pytest.raises(LogError, match=r"^The saved state of an account cannot be read"):
        SavedAccounts(RULES).read(payload)
    assert isinstance(SavedAccounts(RULES).new(), Account)
