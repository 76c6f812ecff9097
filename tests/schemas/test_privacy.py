"""The table of personal data names every field of every input, every topic, once."""

from collections import Counter

import pytest

from schemas.privacy import (
    FORMS,
    IMPERSONAL,
    INPUTS,
    LEFT_BY_FORGET,
    ORIGINALS,
    PERSONAL,
    PLACES,
    STATE,
    forms_of,
    place_of,
)
from schemas.topics import TOPICS


def input_fields() -> set[str]:
    """Return the names of all fields of all inputs."""
    return {name for topic in TOPICS if topic.role == "input" for name in topic.model.model_fields}


def test_every_field_of_an_input_is_in_one_row() -> None:
    """And no row names a field that no input has."""
    rows = [row.fields for row in PERSONAL] + [tuple(f.split()) for f in IMPERSONAL.values()]
    listed = Counter(name for row in rows for name in row)
    assert listed == Counter(input_fields())


def test_every_topic_is_in_one_place() -> None:
    listed = Counter(topic for place in PLACES for topic in place.topics)
    assert listed == Counter(topic.name for topic in TOPICS)
    assert all(topic.name in place_of(topic.name).topics for topic in TOPICS)


def test_inputs_and_original_bytes_hold_all_as_it_came() -> None:
    """Nobody can take anything out of them."""
    for name in input_fields():
        assert forms_of(name)[INPUTS] == forms_of(name)[ORIGINALS] == "raw"
    assert {topic.name for topic in TOPICS if topic.role == "input"} == set(INPUTS.topics)


def test_what_forget_leaves_is_said_of_every_place_that_stays() -> None:
    """Of topics and of saved state: what is printed or named is not kept."""
    assert [left.place for left in LEFT_BY_FORGET] == [
        place for place in PLACES if place.topics or place is STATE
    ]
    assert all(left.on_kafka for left in LEFT_BY_FORGET), "brokers remove no single records"


def test_forms_are_explained() -> None:
    used = {form for row in PERSONAL for form in map(row.form, PLACES)}
    assert used == FORMS.keys()


def test_what_is_in_no_row_is_an_error() -> None:
    with pytest.raises(KeyError):
        forms_of("passport_number")
    with pytest.raises(KeyError):
        place_of("wallet.passports")
