"""What an account remembers of recent events, and when it forgets it."""

import json
import struct
from collections import Counter
from random import Random
from zlib import crc32

import msgspec

from rules.events import EVENT_TYPES, Login, Transaction
from worker.detect.account import KNOWN_FIELDS_SINCE
from worker.detect.redelivery import (
    RecentIds,
    begun,
    identity_of,
    known_as,
    without_content,
    without_old,
)


def _row(event_id: str, at: int) -> bytes:
    event = Login(event_id, "acc-1", "login", "success", at)
    return identity_of(begun("logins"), event)


def test_the_oldest_rows_go_until_one_is_recent() -> None:
    """Their times are told, for a timer that waits for the newest."""
    ids = bytearray().join(_row(str(at), at) for at in (1, 2, 3))
    assert without_old(ids, 0) == (ids, [1, 2, 3])
    assert without_old(ids, 3) == (bytearray(_row("3", 3)), [3])
    assert without_old(ids, 4) == (bytearray(), [])


def test_an_old_row_that_came_late_goes_with_those_before_it() -> None:
    """Until then it counts as forgotten all the same."""
    late = _row("late", 1)
    kept, times = without_old(bytearray(_row("first", 5) + late), 5)
    assert times == [5, 1]
    assert known_as(kept, late, oldest=1)
    assert known_as(kept, late, oldest=5) is None
    assert without_old(kept, 6) == (bytearray(), [])


def test_a_row_without_content_is_recognised_by_its_id_alone() -> None:
    """And only where the id is the same, and recent."""
    row, other = _row("known", 5), _row("other", 5)
    ids = without_content(bytearray(row))
    assert len(ids) == len(row)
    changed = identity_of(begun("logins"), Login("known", "acc-1", "login", "failure", 5))
    assert known_as(bytearray(row), changed, oldest=5) is False
    assert known_as(ids, changed, oldest=5) is True
    assert known_as(ids, changed, oldest=6) is None
    assert known_as(ids, other, oldest=5) is None


def test_what_a_row_says_of_an_event_never_changes() -> None:
    """The content of rows that releases before have saved: msgpack, JSON beyond 64 bits."""
    for amount, encode in ((2**64 - 1, msgspec.msgpack.encode), (2**64, msgspec.json.encode)):
        event = Transaction(
            event_id="e",
            transaction_id="t",
            account_id="a",
            type="payment",
            status="completed",
            amount=amount,
            currency="COIN",
            occurred_at=5,
            exponent=18,
        )
        assert struct.unpack(">8sIq", identity_of(begun("t"), event))[1] == crc32(encode(event))


def test_the_layout_is_raised_with_the_known_fields() -> None:
    """A field more changes what a redelivery is compared by: raise both in account, then this."""
    fields = json.dumps([kind.__struct_fields__ for kind in EVENT_TYPES])
    assert (KNOWN_FIELDS_SINCE, crc32(fields.encode())) == (3, 2273302932)


def test_an_account_with_many_events_is_asked_by_an_index_that_finds_the_same() -> None:
    """Redeliveries, other contents, forgotten rows that come again; two accounts in turn."""
    choice, recent = Random(1), RecentIds()
    accounts = [bytearray(), bytearray()]
    answers = Counter[bool | None]()
    for number in range(6_000):
        ids = accounts[number // 500 % 2]
        oldest = number - 1_000
        digest = choice.randrange(2_000).to_bytes(8, "big")
        identity = struct.pack(">8sIq", digest, choice.choice((1, 1, 1, 2)), number)
        known = known_as(ids, identity, oldest)
        assert recent.known_as(ids, identity, oldest) is known
        answers[known] += 1
        if known is None:
            ids += identity
    assert min(answers[known] for known in (True, False, None)) > 300
    assert recent._index
