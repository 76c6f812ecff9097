"""What an account remembers of recent events, and when it forgets it."""

import json
import struct
from collections import Counter
from collections.abc import Iterator
from random import Random
from zlib import crc32

import msgspec
import pytest

from rules.events import EVENT_TYPES, Login, Transaction
from schemas.topics import LOGINS
from worker.detect.account import KNOWN_FIELDS_SINCE
from worker.detect.redelivery import ROWS, RecentIds, RowForm, begun, identity_of
from worker.detect.unkeyed_ids import UNKEYED, unkeyed_identity

KEY = b"the key of a task"
FORMS = pytest.mark.parametrize("form", [ROWS, UNKEYED], ids=["keyed", "unkeyed"])


def _row(form: RowForm, event_id: str, at: int, outcome: str = "success") -> bytes:
    event = Login(event_id, "acc-1", "login", outcome, at)
    if form is UNKEYED:
        return unkeyed_identity(LOGINS, event)
    return identity_of(begun(LOGINS, KEY), event)


@FORMS
def test_the_oldest_rows_go_until_one_is_recent(form: RowForm) -> None:
    """Their times are returned, for a timer that waits for the newest."""
    ids = bytearray().join(_row(form, str(at), at) for at in (1, 2, 3))
    assert form.without_old(ids, 0) == (ids, [1, 2, 3])
    assert form.without_old(ids, 3) == (bytearray(_row(form, "3", 3)), [3])
    assert form.without_old(ids, 4) == (bytearray(), [])


@FORMS
def test_an_old_row_that_came_late_goes_with_those_before_it(form: RowForm) -> None:
    """Until then it counts as forgotten all the same."""
    late = _row(form, "late", 1)
    kept, times = form.without_old(bytearray(_row(form, "first", 5) + late), 5)
    assert times == [5, 1]
    assert form.known_as(kept, late, oldest=1)
    assert form.known_as(kept, late, oldest=5) is None
    assert form.without_old(kept, 6) == (bytearray(), [])


@FORMS
def test_a_row_without_content_is_recognised_by_its_id_alone(form: RowForm) -> None:
    """And only where the id is the same, and recent."""
    row, other = _row(form, "known", 5), _row(form, "other", 5)
    ids = form.without_content(bytearray(row))
    assert len(ids) == len(row) == form.size
    changed = _row(form, "known", 5, "failure")
    assert form.known_as(bytearray(row), changed, oldest=5) is False
    assert form.known_as(ids, changed, oldest=5) is True
    assert form.known_as(ids, changed, oldest=6) is None
    assert form.known_as(ids, other, oldest=5) is None


def _payments() -> Iterator[Transaction]:
    for amount in (2**64 - 1, 2**64):
        yield Transaction(
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


def test_what_a_row_says_of_an_event_never_changes() -> None:
    """Rows stay in saved state; amounts beyond 64 bits are written otherwise."""
    rows = [identity_of(begun("t", KEY), event).hex() for event in _payments()]
    assert rows == [
        "1b2fab5fb12d9ec7ca41e8f60f7f6d3ae7887f0e4d081aba0000000000000005",
        "1b2fab5fb12d9ec7ca41e8f60f7f6d3ade848248a01870410000000000000005",
    ]


def test_what_releases_before_have_kept_of_an_event_is_made_as_they_did() -> None:
    """The content is msgpack, JSON beyond 64 bits, as a CRC."""
    encoders = (msgspec.msgpack.encode, msgspec.json.encode)
    for event, encode in zip(_payments(), encoders, strict=True):
        _, content, at = struct.unpack(">8sIq", unkeyed_identity("t", event))
        assert (content, at) == (crc32(encode(event)), 5)


def test_both_hashes_of_a_row_depend_on_the_key() -> None:
    """128 bits of topic and id, 64 bits of the content; the key decides every one of them."""
    event = next(_payments())
    rows = [identity_of(begun("t", key), event) for key in (b"1" * 32, b"2" * 32)]
    assert (ROWS.id, ROWS.content, ROWS.size) == (slice(16), slice(16, 24), 32)
    for part in (ROWS.id, ROWS.content):
        differing = int.from_bytes(rows[0][part]) ^ int.from_bytes(rows[1][part])
        assert differing.bit_count() > 2 * (part.stop - (part.start or 0))


def test_an_id_is_one_of_its_topic() -> None:
    """No topic and id run into each other, nor an id and what the event says."""
    names = [("t", "e"), ("te", ""), ("t2", "e"), ("t", "e2"), ("t", "e\xa3b")]
    rows = [
        identity_of(begun(topic, KEY), Login(event_id, "a", "login", "success", 5))
        for topic, event_id in names
    ]
    assert len({row[ROWS.id] for row in rows}) == len({row[ROWS.content] for row in rows}) == 5


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
        digest = choice.randrange(2_000).to_bytes(16, "big")
        identity = ROWS.pack(digest, choice.choice((b"1", b"1", b"1", b"2")), number)
        known = ROWS.known_as(ids, identity, oldest)
        assert recent.known_as(ids, identity, oldest) is known
        answers[known] += 1
        if known is None:
            ids += identity
    assert min(answers[known] for known in (True, False, None)) > 300
    assert recent._index
