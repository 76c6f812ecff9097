"""All that an account remembers of recent events, wherever it is kept. Pure.

The newest rows are in the account's own record, those before them in segments if it is a busy
account, and those of the time before hashes had a key beside them until they are forgotten.
"""

from collections.abc import Sequence
from typing import Final

from worker.detect.account import Account
from worker.detect.id_segments import IdSegments
from worker.detect.redelivery import ROWS, RecentIds
from worker.detect.unkeyed_ids import UNKEYED, unkeyed_identity
from worker.engine.context import Context
from worker.engine.records import TopicPartition
from worker.engine.reorder import EVENT, IDENTITY, SOURCE, Entry

_MANY: Final = 64


class RememberedIds:
    """Recognises redeliveries to the accounts of one task.

    Args:
        addresses: of the inputs, by source.
        horizon: how long an event is remembered, milliseconds.
    """

    def __init__(self, addresses: Sequence[TopicPartition], horizon: int) -> None:
        self._addresses = addresses
        self._horizon = horizon
        self._recent = RecentIds()
        self._segments = IdSegments()
        self._segment_bytes = self._segments.segment_bytes

    def known_as(self, live: Account, entry: Entry, oldest: int, context: Context) -> bool | None:
        """Return whether an event is remembered: with this content True, other False; else None.

        Events with an occurred_at before `oldest` count as forgotten.
        """
        ids = live.ids
        known = self._recent.known_as(ids, entry[IDENTITY], oldest) if ids else None
        if known is None and live.segments:
            known = self._segments.known_as(live, entry[IDENTITY], oldest, context)
        if known is None and live.unkeyed_ids:
            topic = self._addresses[entry[SOURCE]].topic
            identity = unkeyed_identity(topic, entry[EVENT])
            known = UNKEYED.known_as(live.unkeyed_ids, identity, oldest)
        return known

    def remember(self, live: Account, identity: bytes, context: Context) -> bool:
        """Remember an event; return whether it is the only one."""
        ids = live.ids
        only = not (ids or live.segments or live.unkeyed_ids)
        ids += identity
        if len(ids) >= self._segment_bytes:
            self._segments.take(live, context)
        return only

    def forget_old(self, live: Account, due: int, context: Context) -> int | None:
        """Forget events whose horizon has passed; return when to come back, None if none is left.

        Few ids wait until the newest may go, many leave by the hour: so memory stays bounded by
        about the horizon and an account costs one or two timers a day.
        """
        oldest = due - self._horizon
        self._segments.forget_old(live, oldest, context)
        live.ids, times = ROWS.without_old(live.ids, oldest)
        live.unkeyed_ids, unkeyed = UNKEYED.without_old(live.unkeyed_ids, oldest)
        times += unkeyed
        by_the_hour = due + self._horizon // 24
        if live.segments:
            return by_the_hour
        if not times:
            return None
        again = max(times) + self._horizon + 1
        return min(again, by_the_hour) if len(times) > _MANY else again
