"""Fixtures for tests of files that are their owner's alone."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(params=[0, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """The umask of this process."""
    before = os.umask(request.param)
    try:
        yield request.param
    finally:
        os.umask(before)
