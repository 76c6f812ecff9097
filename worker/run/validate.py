"""Lines of files checked as a worker would read them: what is wrong with each, and why. Pure.

Of every event a hash of its identity and of its content is kept, about 270 bytes.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rules.events import Event
from worker.codec.bad_record import BadRecord, bad, too_large
from worker.codec.codec import Codec, Control
from worker.codec.lines import place
from worker.codec.mending import Mended
from worker.detect.reader import future
from worker.detect.redelivery import ROWS, begun, identity_of
from worker.detect.stage import Policy


class _First(NamedTuple):
    """What is remembered of the first event with an id."""

    content: bytes
    occurred_at: int
    file: str
    number: int


class Verdict(NamedTuple):
    """What a worker would do with a line."""

    bad: BadRecord | None
    """Why it would be a dead letter; None: it would be taken."""
    mended: Sequence[Mended] = ()
    """What would not be taken as it is."""


_TAKEN = Verdict(None)


class Validator:
    """Checks the lines of files one after the other, each against those before it too.

    Args:
        policy: what a worker would run with: its limits, currencies and allowed clock skew.
        now: milliseconds since the epoch at which the events would be appended.
        topic: the input whose records the lines are, as on the topic: `kind` may be absent; None:
            each line has its `kind`.

    Attributes:
        redelivered: how many events were there before, with the same content.
        unknown_fields: how many fields no schema names.
        mended: how often a field would not be taken as it is.
    """

    def __init__(self, policy: Policy, now: int, topic: str | None = None) -> None:
        self._limits = policy.limits
        self._horizon = policy.horizons.dedup
        self._inputs = {each.topic: each for each in policy.inputs}
        self._codecs = {each.topic: Codec(each.kind, policy.limits) for each in policy.inputs}
        key = policy.tokens.redelivery_key
        self._hashes = {each.topic: begun(each.topic, key) for each in policy.inputs}
        self._now = now
        self._topic = topic
        self._first: dict[tuple[str, bytes], _First] = {}
        self.redelivered = 0
        self.unknown_fields = 0
        self.mended: Counter[tuple[str, Mended]] = Counter()

    def check(self, file: str, number: int, raw: bytes) -> Verdict:
        """Return what a worker would do with a line, given by the file's name and its number."""
        most = self._limits.max_event_bytes
        if len(raw) > most:  # perhaps only its beginning has been read
            return Verdict(too_large(most))
        topic = self._topic
        if topic is None:
            line = place(raw)
            if isinstance(line, BadRecord):
                return Verdict(line)
            topic = line.topic
        if topic not in self._codecs:  # a heartbeat or an end of an input that detect does not read
            return _TAKEN
        return self._judged(topic, raw, file, number)

    def _judged(self, topic: str, raw: bytes, file: str, number: int) -> Verdict:
        codec = self._codecs[topic]
        event = codec.decode(raw)
        mended = tuple(codec.mended)
        codec.mended.clear()
        self.unknown_fields += codec.unknown_fields
        codec.unknown_fields = 0
        if isinstance(event, BadRecord):
            return Verdict(event)
        if isinstance(event, Control):
            return _TAKEN
        policy = self._inputs[topic]
        if event.occurred_at - self._now > policy.max_clock_skew:
            return Verdict(future(policy))
        if (conflict := self._conflict(topic, event, file, number)) is not None:
            return Verdict(conflict)
        self.mended.update((codec.name, each) for each in mended)
        return Verdict(None, mended)

    def _conflict(self, topic: str, event: Event, file: str, number: int) -> BadRecord | None:
        identity = identity_of(self._hashes[topic], event)
        key = event.account_id, identity[ROWS.id]
        found = _First(identity[ROWS.content], event.occurred_at, file, number)
        first = self._first.setdefault(key, found)
        if first is found or abs(first.occurred_at - event.occurred_at) > self._horizon:
            self._first[key] = found
            return None
        if first.content == found.content:
            self.redelivered += 1
            return None
        about = {"line": first.number, "file": first.file}
        return bad("event_id_conflict", "event_id", "used_before", **about)
