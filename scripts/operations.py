"""The tables of docs/operations.md: the metrics, and what is counted."""

from collections.abc import Iterator
from typing import Final

from worker.engine.outcomes import OUTCOMES, Outcome
from worker.observe.metrics import PREFIX, Metrics

METRICS_HEAD: Final = ("metric", "labels", "meaning")
OUTCOMES_HEAD: Final = ("counted as", "meaning", "in `replay`", "metric")
_PROCESSED: Final = f"`{PREFIX}events_processed_total`"


def metrics() -> Iterator[tuple[str, ...]]:
    """Yield the cells of every metric."""
    for name, labels, meaning in Metrics((), ()).families:
        yield f"`{name}`", ", ".join(f"`{label}`" for label in labels), meaning


def outcomes() -> Iterator[tuple[str, ...]]:
    """Yield the cells of everything that is counted."""
    for kind in OUTCOMES:
        words = " ".join([kind.name, *(field.upper() for field in kind.__struct_fields__)])
        column = f"`{kind.column.name}`" if kind.column is not None else ""
        yield f"`{words}`", kind.meaning(), column, ", ".join(_shown_in(kind))


def _shown_in(kind: type[Outcome]) -> Iterator[str]:
    if kind.metric is not None:
        yield f"`{PREFIX}{kind.metric.name}`"
    if kind.processed is not Outcome.processed:
        yield _PROCESSED
