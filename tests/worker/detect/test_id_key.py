"""Ids of alerts are made with a key that a task keeps; those that were raised before stay."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from schemas.topics import ALERTS, DETECT_INPUTS, INCIDENTS
from tests.support.random_runs import POLICY
from tests.support.run_comparison import documents
from tests.support.saved_releases import lines_of, newest, records, restored, run
from tests.worker.detect.test_state_releases import releases
from worker.detect import silence
from worker.detect.alerts import derived_id
from worker.detect.stage import DETECT, Policy
from worker.engine.context import Context
from worker.engine.records import Commit
from worker.engine.task_meta import TaskMeta, read_meta
from worker.logs.memory import MemoryLog
from worker.tokens import PUBLIC, PUBLIC_KEY, Key, Tokens

KEYS: Final[Sequence[Key]] = [(f"k{number}", bytes([number]) * 32) for number in range(1, 4)]
CLOSED: Final = ("cured", "retracted", "expired")

Run = tuple[str, Tokens]
"""The name of a file of events, and by which tokens they are worked on."""


def tokens_of(key: Key, former: Key) -> Tokens:
    """Return tokens that know devices as the public ones do: what is learned of them may stay."""
    tokens = Tokens(key, former)
    tokens.marks = PUBLIC.marks
    return tokens


FIRST: Final = tokens_of(KEYS[0], PUBLIC_KEY)
SECOND: Final = tokens_of(KEYS[1], KEYS[0])
THIRD: Final = tokens_of(KEYS[2], KEYS[1])


def under(tokens: Tokens) -> Policy:
    """Return the policy with these tokens."""
    return replace(POLICY, tokens=tokens)


def lines() -> list[bytes]:
    """Return the events of the newest folder, which raise alerts of every rule."""
    return [line for name in ("before", "later") for line in lines_of(newest(), f"{name}.ndjson")]


def worked(*parts: tuple[Iterable[bytes], Tokens]) -> MemoryLog:
    """Return the log of a run over some events after the others, each with its tokens."""
    log = MemoryLog(partitions=1)
    for part, tokens in parts:
        log.append(list(records(part)))
        run(log, under(tokens))
    return log


def halves(first: Tokens, second: Tokens) -> MemoryLog:
    """Return the log of a run whose tokens change when a part of the alerts is open."""
    before, later = (lines_of(newest(), f"{name}.ndjson") for name in ("before", "later"))
    return worked((before, first), (later, second))


def ids(log: MemoryLog) -> set[str]:
    """Return the ids of all alerts."""
    return {alert["alert_id"] for _, alert in documents(log, ALERTS)}


def found(log: MemoryLog) -> Counter[tuple[Any, ...]]:
    """Return what was found, without anything that depends on a key."""
    alerts = ("rule", "account_id", "kind", "sequence", "at", "detected_at", "severity")
    incidents = ("title", "opened_at", "revision", "status", "severity", "summary", "evidence")
    return Counter(
        (topic, *(str(document.get(name)) for name in names))
        for topic, names in ((ALERTS, alerts), (INCIDENTS, incidents))
        for _, document in documents(log, topic)
    )


def twice(log: MemoryLog) -> list[str]:
    """Return the ids under which something was raised or opened more than once."""
    begun = Counter(a["alert_id"] for _, a in documents(log, ALERTS) if a["kind"] == "raised")
    opened = (i for _, i in documents(log, INCIDENTS) if i.get("revision") == 1)
    begun.update(incident["incident_id"] for incident in opened)
    return [each for each, count in begun.items() if count > 1]


def open_ones(log: MemoryLog) -> set[str]:
    """Return the ids of the alerts that are open."""
    ended = {a["alert_id"] for _, a in documents(log, ALERTS) if a["kind"] in CLOSED}
    return ids(log) - ended


def saved(log: MemoryLog) -> TaskMeta:
    """Return what is saved of the one task of detect."""
    session = log.open_session(DETECT, DETECT_INPUTS, [0])
    meta = session.restore(0).meta
    session.close()
    return read_meta(meta, DETECT, DETECT_INPUTS)


# -- how an id is made --------------------------------------------------------------------


def test_an_id_is_an_hmac_of_rule_account_and_anchor() -> None:
    """Without a key it is the one that the releases before made."""
    text, parts = b"rule\0acc-1\0e1", ("rule", "acc-1", "e1")
    assert derived_id(b"key", *parts) == hmac.digest(b"key", text, "sha256").hex()[:32]
    assert derived_id(b"", *parts) == hashlib.sha256(text).hexdigest()[:32]


def test_the_key_of_ids_is_derived_and_no_key_of_anything_else() -> None:
    keys = {each for tokens in (FIRST, SECOND) for each in (tokens.id_key, tokens.redelivery_key)}
    assert len(keys) == 4
    assert {len(each) for each in keys} == {32}
    assert FIRST.id_key == Tokens(KEYS[0]).id_key == Tokens(("renamed", KEYS[0][1])).id_key
    assert PUBLIC.id_key == Tokens(("k9", PUBLIC_KEY[1])).id_key == b""


def test_ids_of_silent_topics_need_no_key() -> None:
    """They are of no account; their cures make them again, after an update too."""
    made = []
    for key in (b"", b"secret"):
        context = Context(0, 0, 0, key)
        silence.watch(b"", {"wallet.logins": 0}, 1, 9, context)
        (numbered,) = context.outbox.outputs
        assert callable(numbered)
        made.append(msgspec.json.decode(numbered(1)[0].value or b"")["alert_id"])
    assert made == [derived_id(b"", silence.RULE, "wallet.logins", "0")] * 2


def test_only_the_key_decides_what_the_ids_are() -> None:
    """The rest of what is found does not depend on it."""
    one, again, other, public = (worked((lines(), each)) for each in (FIRST, FIRST, SECOND, PUBLIC))
    assert len(ids(one)) > 20
    assert ids(one) == ids(again)
    assert ids(one).isdisjoint(ids(other) | ids(public))
    assert found(one) == found(other) == found(public)
    for _, alert in documents(public, ALERTS):
        assert len(alert["alert_id"]) == 32


# -- keys that change ---------------------------------------------------------------------


def test_the_first_secret_key_of_a_task_makes_its_ids_for_ever() -> None:
    """Whatever key comes later, also where none of them is active any more."""
    whole, rotated = worked((lines(), FIRST)), halves(FIRST, SECOND)
    assert ids(rotated) == ids(whole)
    assert found(rotated) == found(whole)
    assert saved(rotated).id_key == FIRST.id_key
    part = len(lines()) // 4
    parts = [lines()[n * part : (n + 1) * part if n < 3 else None] for n in range(4)]
    often = worked(*zip(parts, (FIRST, SECOND, THIRD, PUBLIC), strict=True))
    assert ids(often) == ids(whole)
    assert saved(often).id_key == FIRST.id_key


def test_a_task_that_began_with_the_public_key_takes_the_first_secret_one() -> None:
    """Ids raised before stay, and what is open is cured under them."""
    whole, changed = worked((lines(), PUBLIC)), halves(PUBLIC, FIRST)
    before = worked((lines_of(newest(), "before.ndjson"), PUBLIC))
    assert saved(before).id_key == b""
    assert saved(changed).id_key == FIRST.id_key
    assert open_ones(before)
    assert ids(before) <= ids(changed)
    assert ids(changed) - ids(before) <= ids(worked((lines(), FIRST)))
    assert open_ones(changed) == set()
    assert found(changed) == found(whole)
    assert twice(changed) == []


@releases
def test_a_log_of_a_release_before_goes_on(folder: Path) -> None:
    """Its open alerts keep their ids and are closed under them; new ones have ids of the key."""
    logs = []
    for tokens in (PUBLIC, FIRST):
        logs.append(restored(folder))
        logs[-1].append(list(records(lines_of(folder, "later.ndjson"))))
        run(logs[-1], under(tokens))
    public, keyed = logs
    assert saved(keyed).id_key == FIRST.id_key
    assert found(keyed) == found(public)
    assert twice(keyed) == []
    begun = {a["alert_id"] for _, a in documents(keyed, ALERTS) if a["kind"] == "raised"}
    assert begun
    assert begun.isdisjoint(ids(public))
    assert ids(keyed) - begun == {a["alert_id"] for _, a in documents(public, ALERTS)} - {
        a["alert_id"] for _, a in documents(public, ALERTS) if a["kind"] == "raised"
    }


@pytest.mark.parametrize("parts", [3, 8, 25])
def test_a_rolling_update_raises_and_opens_nothing_twice(
    parts: int,
) -> None:
    """The task goes to and fro between workers of both releases; the older ones save no key."""
    older = tokens_of(KEYS[0], PUBLIC_KEY)
    older.id_key = b""
    size = len(lines()) // parts + 1
    log = MemoryLog(partitions=1)
    for number in range(parts):
        is_older = number % 2 == 0
        log.append(list(records(lines()[number * size : (number + 1) * size])))
        run(log, under(older if is_older else FIRST))
        if not is_older:
            assert saved(log).id_key == FIRST.id_key
            _forget_key(log)
    whole = worked((lines(), FIRST))
    assert found(log) == found(whole)
    assert twice(log) == []
    assert ids(log) & ids(whole)
    assert ids(log) - ids(whole) <= ids(worked((lines(), PUBLIC)))
    assert ids(log) - ids(whole)


def _forget_key(log: MemoryLog) -> None:
    """Save the task as a release before does, which does not know the key."""
    without = msgspec.structs.replace(saved(log), id_key=b"")
    session = log.open_session(DETECT, DETECT_INPUTS, [0])
    session.restore(0)
    session.commit(Commit(metas={0: msgspec.msgpack.encode(without)}))
    session.close()
