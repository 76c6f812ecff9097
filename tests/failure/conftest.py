"""Fixtures of the tests that kill and freeze."""

from tests.support.kafka_broker import kafka_address, own_broker  # noqa: F401
from tests.support.secured_broker import secured  # noqa: F401
