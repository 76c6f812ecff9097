"""Everything that lets others watch a process that runs stages, put together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from worker.config.rule_settings import build_rules
from worker.config.settings import Settings
from worker.engine.observer import Observer, Observers
from worker.logs.sqlite.log import wall_clock
from worker.observe.health import Health
from worker.observe.meter import Meter
from worker.observe.metrics import Metrics, UnknownFormat
from worker.observe.serving import Answer, Page, bad_request, probe, serving


@contextmanager
def watching(
    settings: Settings, stages: Sequence[str], offsets: Callable[[str], list[tuple[int, int]]]
) -> Iterator[tuple[Observer, str]]:
    """Serve metrics and probes; yield the observer to report to, and the address.

    Raises:
        ConfigError: the port cannot be had, or the candidate's file of rules is wrong.
    """
    running, _ = build_rules(settings)
    metrics = Metrics(stages, running)
    health = Health(
        stages,
        settings.metrics.stalled_after_ms / 1000,
        settings.engine.silence_limit_ms,
        settings.log.url,
    )
    pages = {
        "/metrics": _metrics_page(metrics),
        "/livez": probe(health.ailment),
        "/readyz": probe(health.unreadiness),
    }
    with serving(settings.metrics.host, settings.metrics.port or 0, pages) as url:
        yield Observers(health, Meter(metrics, offsets, wall_clock)), url


def _metrics_page(metrics: Metrics) -> Page:
    def page(accepts: str) -> Answer:
        try:
            return Answer(*metrics.text(accepts))
        except UnknownFormat:
            return bad_request(
                "The Accept header asks for a version of a format that is no version."
            )

    return page
