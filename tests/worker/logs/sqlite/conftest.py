"""An SQLite log of two topics, open."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sqlite_logs import TOPICS
from worker.logs.sqlite.log import SqliteLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(path, TOPICS, busy_timeout=0.05)
    yield log
    log.close()
