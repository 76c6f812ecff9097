"""What a commit saves of a task beside the state of its keys: its time and its sources. Pure.

Layouts:
1. The sources are a list, in the order that the inputs of the stage had then; inputs that came
   later follow them.
2. The sources are named by their topics.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from worker.engine.event_time import BEGINNING, InputTime, SourceTime
from worker.engine.packing import Unpacker
from worker.engine.saved import layout_of, numbered

LAYOUT: Final = 2


class TaskMeta(Struct, array_like=True):
    """Layout 2."""

    layout: int = LAYOUT
    watermark: int = BEGINNING
    now: int = BEGINNING
    signals: int = 0
    """How many signals this task has written: the next origin sequence."""
    sources: dict[str, SourceTime] = {}
    """By topic."""
    stage: bytes = b""
    """What the stage itself keeps per task, opaque here."""
    secret: bytes = b""
    """A key for hashes in the states of the task, made with it; empty: it has none yet."""
    id_key: bytes = b""
    """A key for the ids that the task gives; empty: it has none yet."""

    def source(self, topic: str, inputs: int) -> SourceTime:
        """Return what is saved of a source with that number of inputs.

        One that an older release did not have begins at the oldest record and at the watermark of
        the task: what it brings of the time before is late.
        """
        saved = self.sources.get(topic)
        if saved is None:
            return SourceTime(inputs=[InputTime(self.watermark) for _ in range(inputs)])
        return saved


class _Positional(Struct, array_like=True):
    """Layout 1."""

    layout: int
    watermark: int
    now: int
    signals: int
    sources: list[SourceTime]
    stage: bytes = b""


_META: Final = Unpacker(TaskMeta)
_POSITIONAL: Final = Unpacker(_Positional)


def read_meta(meta: bytes | None, stage: str, topics: Sequence[str]) -> TaskMeta:
    """Decode what a commit has saved of a task; None: nothing was.

    Args:
        topics: the inputs of the stage, in the order in which they came into being.

    Raises:
        LogError: a newer release has written it, or it is damaged.
    """
    if not meta:
        return TaskMeta()
    what = f"a task of stage {stage}"
    if layout_of(meta) != 1:
        return numbered(_META, meta, what, LAYOUT)
    old = numbered(_POSITIONAL, meta, what)
    sources = dict(zip(topics, old.sources, strict=False))
    return TaskMeta(LAYOUT, old.watermark, old.now, old.signals, sources, old.stage)
