"""Prometheus itself scrapes a worker with the configuration that is shipped."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from schemas.topics import LOGINS
from scripts.broker import free_port
from tests.deploy.test_alerts import ALERTS, CONFIG
from tests.support.crashing_worker import DEADLINE_SECONDS, Place, wait_until
from tests.support.producer import crowd
from tests.support.prometheus_programs import program
from tests.support.scraping import Pages
from worker.detect.stage import DETECT

TARGET = "127.0.0.1:9464"
"""As the configuration has it."""


class Prometheus:
    """A running server, asked over its HTTP API."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, **query: str) -> Any:
        """Return the data of an answer; None while it does not answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as response:
                return json.load(response)["data"]
        except OSError:
            return None

    def is_up(self) -> bool:
        """Return whether its one target was scraped well."""
        targets = self.get("targets")
        return bool(targets) and [t["health"] for t in targets["activeTargets"]] == ["up"]

    def has_judged(self) -> bool:
        """Return whether every rule was evaluated without an error."""
        groups = (self.get("rules") or {"groups": []})["groups"]
        health = [rule["health"] for group in groups for rule in group["rules"]]
        return bool(health) and set(health) == {"ok"}

    def values(self, query: str) -> list[float]:
        """Return the values that a query gives, none as long as there are none."""
        found = self.get("query", query=query) or {"result": []}
        return [float(sample["value"][1]) for sample in found["result"]]


@contextmanager
def scraping(address: str, folder: Path) -> Iterator[Prometheus]:
    """Run a server on the shipped configuration, with another target and no pauses."""
    executable = program("prometheus")
    folder.mkdir()
    text = CONFIG.read_text("utf-8")
    assert TARGET in text
    text = text.replace(TARGET, address).replace("interval: 15s", "interval: 1s")
    (folder / CONFIG.name).write_text(text, "utf-8")
    shutil.copy(ALERTS, folder)
    port = free_port()
    with (
        (folder / "output").open("w") as output,
        subprocess.Popen(
            [
                executable,
                f"--config.file={folder / CONFIG.name}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield Prometheus(port)
        finally:
            process.terminate()


def test_prometheus_reads_what_a_worker_serves(tmp_path: Path) -> None:
    """The target is up, the counters are there, and no alert fires but that of its incidents."""
    place = Place(tmp_path / "place")
    place.environment["WALLETWATCH_METRICS__PORT"] = "0"
    place.fill(crowd(3, 500))
    with place.running() as process:
        pages = Pages(place.errors)
        wait_until(lambda: place.unread(DETECT) == 0, "the events to be read")
        with scraping(pages.address, tmp_path / "prometheus") as prometheus:
            wait_until(prometheus.is_up, "the worker to be scraped")
            with closing(place.open()) as log:
                logins = sum(end for _, end in log.offsets(LOGINS))
            query = f'sum(walletwatch_events_consumed_total{{topic="{LOGINS}"}})'
            wait_until(lambda: prometheus.values(query) == [logins], "all logins to be seen")
            lag = f'job_topic:walletwatch_consumer_lag_records:sum{{topic="{LOGINS}"}}'
            wait_until(lambda: prometheus.values(lag) == [0], "the lag to be recorded")
            wait_until(prometheus.has_judged, "every rule to be evaluated")
            paging = 'ALERTS{alertstate="firing", alertname="WalletwatchPagingIncidentOpen"}'
            wait_until(lambda: prometheus.values(paging) == [1], "the incidents that page")
            others = paging.replace("alertname=", "alertname!=")
            assert prometheus.values(others) == []
        assert process.poll() is None
