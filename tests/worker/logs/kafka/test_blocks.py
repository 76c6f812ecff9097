"""Blocks of a changelog hold what a plain dict would, through cleaning, compaction and crashes."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.packing import packed
from worker.errors import LogError
from worker.logs.kafka import blocks as module
from worker.logs.kafka.blocks import Blocks, Key

Stored = list[tuple[bytes, bytes | None]]

KEYS = st.sampled_from([None, b"", b"\0", b"a", b"b", b"ab", b"\xff\xfe"])
KEYS_OF_STATES = (b"", b"\0", b"a", b"b", b"ab", b"\xff\xfe")
CHANGES = st.dictionaries(KEYS, st.binary(max_size=12), max_size=8)
COMMIT = st.tuples(st.just("commit"), CHANGES)
STEPS = st.lists(
    st.one_of(
        COMMIT,
        COMMIT,
        COMMIT,
        st.tuples(st.just("erase"), CHANGES),
        st.tuples(st.just("abort"), CHANGES),
        st.tuples(st.just("restore"), st.none()),
        st.tuples(st.just("compact"), st.sets(st.integers(0, 60))),
        st.tuples(st.just("expire"), st.sets(st.integers(0, 60))),
    ),
    max_size=60,
)


@pytest.fixture(autouse=True)
def _small_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cleaning begins at once."""
    monkeypatch.setattr(module, "_FLOOR", 4)


def restored(stored: Stored, limit: int = 40) -> Blocks:
    blocks = Blocks(limit)
    for name, block in stored:
        blocks.apply(name, block)
    return blocks


def compacted(stored: Stored, chosen: Callable[[int], bool]) -> Stored:
    """Without those chosen records for which a later one with the same key exists."""
    last = {name: index for index, (name, _) in enumerate(stored)}
    return [
        record
        for index, record in enumerate(stored)
        if last[record[0]] == index or not chosen(index)
    ]


def expired(stored: Stored, chosen: Callable[[int], bool]) -> Stored:
    """Without those chosen tombstones of which the block is gone."""
    first = {name: index for index, (name, _) in reversed(list(enumerate(stored)))}
    return [
        record
        for index, record in enumerate(stored)
        if record[1] is not None or first[record[0]] < index or not chosen(index)
    ]


@given(STEPS)
@settings(max_examples=400)
def test_what_is_restored_is_what_was_committed(
    steps: list[tuple[str, Any]],
) -> None:
    """Over writes, removals, erasure, cleaning, aborted commits, restores and compaction."""
    blocks, stored, truth = Blocks(40), Stored(), dict[Key, bytes]()
    for what, argument in steps:
        if what == "compact":
            stored = compacted(stored, argument.__contains__)
            continue
        if what == "expire":
            stored = expired(stored, argument.__contains__)
            continue
        if what in ("commit", "erase", "abort"):
            written = blocks.write(argument, erase=what == "erase")
        if what in ("commit", "erase"):
            stored += written
            truth |= argument
            truth = {key: value for key, value in truth.items() if value}
        else:
            blocks = restored(stored)
        assert dict(blocks.items()) == truth
    least = compacted(stored, lambda _: True)
    for rest in (stored, least, expired(least, lambda _: True)):
        again = restored(rest)
        assert dict(again.items()) == truth
        assert again.entries == blocks.entries


@given(st.lists(CHANGES, max_size=20), CHANGES)
@settings(max_examples=200)
def test_nothing_of_what_was_erased_is_left_once_all_is_compacted(
    before: list[dict[Key, bytes]], erased: dict[Key, bytes]
) -> None:
    """Neither a removed key nor older bytes of one that stays; all else is as it was."""
    names = {key: b"name of %b;" % key for key in KEYS_OF_STATES}
    blocks, stored, truth = Blocks(60), Stored(), dict[Key, bytes]()
    turns = [(changes, False) for changes in before] + [(erased, True)]
    for turn, (changes, erase) in enumerate(turns):
        named: dict[Key, bytes] = {
            names[key]: b"bytes %d of %b;" % (turn, key) if value else b""
            for key, value in changes.items()
            if key is not None
        }
        stored += blocks.write({**named, None: b"meta %d" % turn}, b"note", erase)
        truth = {key: value for key, value in (truth | named).items() if value}
    left = compacted(stored, lambda _: True)
    kept = b"".join(block for _, block in left if block is not None)
    for key, value in erased.items():
        if key is not None:
            assert (names[key] in kept) == bool(value)
            assert kept.count(b" of %b;" % key) == 2 * bool(value)
    again = restored(left)
    assert dict(again.items()) == truth | {None: b"meta %d" % (len(turns) - 1)}
    assert again.note == b"note"


def test_a_release_that_tombstones_only_the_oldest_block_restores_the_same() -> None:
    """Until the topic is compacted, the removals stand before the tombstones."""
    blocks, stored = Blocks(), Stored()
    for turn in range(5):
        stored += blocks.write({b"other": b"%d" % turn, b"gone": b"v%d" % turn})
    stored += blocks.write({b"cold": b"v"})
    stored += blocks.write({b"gone": b""}, erase=True)
    without = [each for each in stored if each[1] is not None]
    assert (
        dict(restored(without).items()) == dict(blocks.items()) == {b"other": b"4", b"cold": b"v"}
    )


def test_erasing_writes_only_the_blocks_again_that_have_the_key() -> None:
    """Whatever the task keeps beside."""
    blocks = Blocks(2_000)
    blocks.write({b"%d" % n: b"cold" for n in range(5_000)})
    written = blocks.write({b"17": b""}, erase=True)
    assert sum(block is None for _, block in written) == 2
    assert len(written) == 4


def test_the_blocks_stay_about_twice_as_many_entries_as_there_are_keys() -> None:
    """Whatever the mixture of keys that never change and keys that always do."""
    blocks, stored = Blocks(2_000), Stored()
    for start in range(0, 3_000, 100):
        stored += blocks.write({b"%d" % n: b"cold" for n in range(start, start + 100)})
    most = 0
    for turn in range(3_000):
        stored += blocks.write({b"%d" % n: b"%d" % turn for n in range(turn % 3, 30, 3)})
        most = max(most, blocks.entries)
    assert most < 2.2 * 3_000
    left = [block for _, block in compacted(stored, lambda _: True) if block is not None]
    assert sum(map(len, left)) < 0.2 * sum(len(block or b"") for _, block in stored)


def test_the_blocks_stay_so_when_every_key_changes_as_often() -> None:
    """Where cleaning has the most to write again for each entry that it frees."""
    chance, blocks, most = random.Random(1), Blocks(), 0
    for _ in range(300):
        blocks.write({b"%d" % n: b"v" * 100 for n in chance.sample(range(20_000), 2_000)})
        most = max(most, blocks.entries)
    assert most < 2.2 * 20_000


def test_no_key_is_written_twice_in_one_write() -> None:
    """A changed key whose oldest bytes are cleaned right now has its new bytes only."""
    chance, blocks = random.Random(1), Blocks()
    for turn in range(300):
        written = blocks.write({b"%d" % n: b"%d" % turn for n in chance.sample(range(20), 5)})
        keys = [key for _, block in written if block for key in module._read(block)[1]]
        assert len(keys) == len(set(keys))


def test_numbers_go_on_after_a_restore() -> None:
    """However few of the blocks are left: a number given twice would overwrite a block."""
    blocks, stored = Blocks(), Stored()
    for turn in range(100):
        stored += blocks.write({b"key": b"%d" % turn})
    left = expired(compacted(stored, lambda _: True), lambda _: True)
    assert len(left) < 10
    ((number, _), *_) = reversed(restored(left).write({b"key": b"next"}))
    assert number > max(name for name, _ in stored)


def test_keys_that_come_and_go_leave_nothing() -> None:
    """A churn of keys ends with what is left, and no more memory than that."""
    blocks = Blocks()
    for turn in range(2_000):
        blocks.write({b"%d" % turn: b"v", b"%d" % (turn - 5): b""})
    assert len(list(blocks.items())) == 5
    assert blocks.entries < 50
    assert len(blocks._where) < 50


def test_each_write_cleans_no_more_than_a_few_times_what_it_writes() -> None:
    """So that no commit is much slower than the others: the records of a write are bounded."""
    blocks = Blocks(2_000)
    blocks.write({b"%d" % n: b"cold" for n in range(5_000)})
    for turn in range(5_000):
        before = blocks._next
        blocks.write({b"hot": b"%d" % turn})
        assert blocks._next - before <= 3


def test_what_many_removals_leave_is_cleaned_little_by_little() -> None:
    """No write pays for them all, and in the end nothing of them is left."""
    blocks, cold = Blocks(2_000), [b"%d" % n for n in range(5_000)]
    blocks.write(dict.fromkeys(cold, b"cold"))
    blocks.write(dict.fromkeys(cold, b""))
    most = 0
    for turn in range(1_000):
        tombstones = [n for n, block in blocks.write({b"hot": b"%d" % turn}) if block is None]
        most = max(most, len(tombstones))
    assert most <= 3
    assert blocks.entries < 10


def test_a_block_is_as_large_as_allowed() -> None:
    """Units larger than that are several; a value larger than that is alone."""
    blocks = Blocks(1_000)
    changes: dict[Key, bytes] = {b"%d" % n: b"v" * 90 for n in range(100)}
    written = blocks.write(changes | {b"big": b"v" * 5_000})
    sizes = [len(block or b"") for _, block in written]
    assert len(sizes) == 13
    assert all(size <= 1_000 for size in sizes[:-1])
    assert sizes[-1] > 5_000


def test_nothing_to_write_is_no_record() -> None:
    """Not even for cleaning."""
    blocks = Blocks()
    blocks.write({b"k": b"v"})
    assert blocks.write({}) == []


def test_the_note_is_that_of_the_last_commit() -> None:
    """Which may be one without changes, one of several blocks, or one that noted nothing."""
    blocks, stored = Blocks(40), Stored()
    assert blocks.is_new
    assert blocks.note == b""
    units: list[tuple[dict[Key, bytes], bytes]] = [
        ({}, b"first"),
        ({b"%d" % n: b"v" * 20 for n in range(20)}, b"second"),
        ({b"1": b""}, b"third"),
        ({}, b"fourth"),
        ({b"1": b"v"}, b""),
    ]
    for changes, note in units:
        stored += blocks.write(changes, note)
        again = restored(stored)
        assert (again.note, again.is_new) == (note, False)
        assert dict(again.items()) == dict(blocks.items())


def test_blocks_of_other_releases_are_read() -> None:
    """Those of before have no note; what a later one adds behind it is passed over."""
    for more, note in (([], b""), ([b"note"], b"note"), ([b"note", b"later"], b"note")):
        blocks = Blocks()
        blocks.apply(b"\0" * 8, packed([1, [b"k"], [b"v"], *more]))
        assert dict(blocks.items()) == {b"k": b"v"}
        assert blocks.note == note


@pytest.mark.parametrize(
    ("name", "block", "says"),
    [
        (None, b"", "not written"),
        (b"account-1", b"state", "not written"),
        (b"\0" * 8, b"", "damaged"),
        (b"\0" * 8, b"state", "damaged"),
        (b"\0" * 8, packed([1, [b"k"], [b"v"], b"more"])[:-1], "damaged"),
        (b"\0" * 8, packed([1, [b"k"], [b"v", b"v"]]), "damaged"),
        (b"\0" * 8, packed([1, [b"k", b"k"], [b"v"]]), "damaged"),
        (b"\0" * 8, packed([1, [b"k"], ["v"]]), "damaged"),
        (b"\0" * 8, packed([1, ["k"], [b"v"]]), "damaged"),
        (b"\0" * 8, packed([0, [b"k"], [b"v"]]), "damaged"),
        (b"\0" * 8, packed([2, b"whatever"]), "newer release"),
    ],
)
def test_what_is_no_block_is_named(name: bytes | None, block: bytes, says: str) -> None:
    """Instead of becoming some state."""
    with pytest.raises(LogError, match=says):
        Blocks().apply(name, block)


def test_a_block_cut_anywhere_is_noticed() -> None:
    """Each shorter one."""
    ((name, block),) = Blocks().write({b"key": b"value", None: b"meta"})
    assert block is not None
    for size in range(len(block)):
        with pytest.raises(LogError):
            Blocks().apply(name, block[:size])
