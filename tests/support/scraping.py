"""Asks a running worker for its pages."""

import re
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.crashing_worker import DEADLINE_SECONDS, wait_until
from tests.support.expected_metrics import Samples, samples


class Pages:
    """The pages of a worker, at the address that it says on stderr."""

    def __init__(self, errors: Path) -> None:
        self._errors = errors
        wait_until(lambda: "Metrics are at" in errors.read_text(), "the address of the pages")
        (self.address,) = re.findall(r"Metrics are at http://([^/]+)/metrics", errors.read_text())

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body."""
        url = f"http://{self.address}{path}"
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def samples(self) -> Samples:
        """Return what /metrics says."""
        status, text = self.get("/metrics")
        assert status == 200
        return samples(text_string_to_metric_families(text))
