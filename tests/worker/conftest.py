"""Fixtures of the tests of the worker."""

from tests.kafka_broker import kafka_address  # noqa: F401
