"""The broker that these tests share."""

from tests.support.kafka_broker import kafka_address  # noqa: F401
