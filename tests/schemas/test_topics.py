"""The list of topics and of kinds, compared with the names that the documents promise."""

from dataclasses import FrozenInstanceError

import pytest

import schemas
from schemas import KINDS, TOPICS, Alert, Incident, Record, Signal, Transaction, topic, topics

EXPECTED = {
    "wallet.transactions": ("account_id", "account", "delete", "input"),
    "wallet.logins": ("account_id", "account", "delete", "input"),
    "wallet.balances": ("account_id", "account", "delete", "input"),
    "wallet.incident-updates": ("cause", "cause", "delete", "input"),
    "wallet.alerts": ("cause", "cause", "delete", "output"),
    "wallet.alerts.shadow": ("cause", "cause", "delete", "output"),
    "wallet.signals": ("cause", "cause", "delete", "internal"),
    "wallet.incidents": ("incident_id", "cause", "compact", "output"),
    "wallet.notifications": ("recipient", "key", "delete", "output"),
    "wallet.late": ("as the original", "key", "delete", "output"),
    "wallet.dead-letters": ("as the original", "key", "delete", "output"),
}


def test_the_list_is_the_documented_one() -> None:
    assert {t.name: (t.key, t.partitioning, t.cleanup, t.role) for t in TOPICS} == EXPECTED
    assert len(TOPICS) == len(EXPECTED)


def test_every_topic_has_a_constant() -> None:
    constants = {value for value in vars(topics).values() if isinstance(value, str)}
    assert constants >= set(EXPECTED)


def test_a_topic_is_found_by_name() -> None:
    assert topic(topics.ALERTS).model is Alert
    assert topic(topics.ALERTS_SHADOW).model is Alert
    assert topic(topics.INCIDENTS).model is Incident
    assert topic(topics.SIGNALS).model is Signal
    with pytest.raises(KeyError):
        topic("wallet.nothing")


def test_original_bytes_are_kept_for_seven_days_at_most() -> None:
    for name in (topics.LATE, topics.DEAD_LETTERS):
        assert 0 < topic(name).retention_ms <= 7 * 24 * 3600 * 1000


def test_every_input_has_a_kind_and_every_kind_its_topic() -> None:
    inputs = {t.name: t.model for t in TOPICS if t.role == "input"}
    assert {kind.topic: kind.model for kind in KINDS.values() if kind.topic} == inputs
    assert [name for name, kind in KINDS.items() if kind.topic is None] == ["heartbeat", "end"]
    assert KINDS["transaction"] == (Transaction, "wallet.transactions")


@pytest.mark.parametrize("name", KINDS)
def test_the_model_of_a_kind_accepts_that_kind_only(name: str) -> None:
    field = KINDS[name].model.model_fields["kind"]
    assert issubclass(KINDS[name].model, Record)
    assert name in str(field.annotation)


def test_the_list_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TOPICS[0].name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        KINDS["other"] = KINDS["login"]  # type: ignore[index]


def test_public_names_exist_and_are_sorted_out() -> None:
    assert len(set(schemas.__all__)) == len(schemas.__all__)
    for name in schemas.__all__:
        assert hasattr(schemas, name)
