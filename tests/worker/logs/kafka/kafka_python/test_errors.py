"""What kafka-python raises, as errors of the seam, each with the text for people."""

import re

import pytest
from kafka.errors import (
    CommitFailedError,
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    GroupAuthorizationFailedError,
    InvalidProducerEpochError,
    InvalidSessionTimeoutError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    ProducerFencedError,
    RequestTimedOutError,
    UnsupportedVersionError,
)

from worker.logs.kafka.client_errors import (
    ClientError,
    ClientTimeout,
    NoCoordinator,
    NotAllowed,
    NotConnected,
    Replaced,
    SessionTimeoutRefused,
    Unsupported,
)
from worker.logs.kafka.kafka_python.errors import translate, translated

KINDS: dict[type[KafkaError], type[ClientError]] = {
    CommitFailedError: Replaced,
    CoordinatorNotAvailableError: NoCoordinator,
    FencedInstanceIdError: Replaced,
    GroupAuthorizationFailedError: NotAllowed,
    InvalidProducerEpochError: Replaced,
    InvalidSessionTimeoutError: SessionTimeoutRefused,
    KafkaConnectionError: NotConnected,
    KafkaTimeoutError: ClientTimeout,
    NodeNotReadyError: NotConnected,
    ProducerFencedError: Replaced,
    RequestTimedOutError: NotConnected,
    UnsupportedVersionError: Unsupported,
}


@pytest.mark.parametrize("theirs", KINDS)
def test_each_kind_is_told_apart(theirs: type[KafkaError]) -> None:
    """Also where the library raises it again inside another, as it does after a fatal error."""
    error = theirs("text")
    assert type(translate(error, "silent")) is KINDS[theirs]
    assert type(translate(KafkaError("in an error state", error), "silent")) is KINDS[theirs]


def test_the_text_is_the_librarys_own() -> None:
    error = KafkaError("in an error state", ProducerFencedError("text"))
    assert str(translate(error, "silent")) == repr(error)


def test_what_is_not_allowed_comes_with_advice() -> None:
    """The cause alone, and the command that lists the permissions."""
    cause = GroupAuthorizationFailedError("text")
    said = str(translate(KafkaError("in an error state", cause), "silent"))
    assert said.startswith(f"{cause!r}: this user is not allowed to; walletwatch topics acls")


def test_a_refused_session_timeout_names_the_setting() -> None:
    assert "kafka.session_timeout_ms" in str(translate(InvalidSessionTimeoutError(), "silent"))


def test_a_call_raises_the_error_of_the_seam() -> None:
    """With the library's as its cause; what is not the library's passes."""
    theirs = KafkaTimeoutError("text")

    class Client:
        servers = "one:9092,two:9092"

        @translated
        def call(self, error: Exception) -> None:
            raise error

    with pytest.raises(ClientTimeout) as caught:
        Client().call(theirs)
    assert caught.value.__cause__ is theirs
    with pytest.raises(ValueError, match="own"):
        Client().call(ValueError("own"))


@pytest.mark.parametrize(
    "theirs", [KafkaTimeoutError, KafkaConnectionError, RequestTimedOutError, NodeNotReadyError]
)
def test_silence_names_brokers_and_when_it_began(theirs: type[KafkaError]) -> None:
    """Whatever the library calls it; nothing of its own texts is left."""

    class Client:
        servers = "one:9092,two:9092"

        @translated
        def call(self) -> None:
            raise theirs("Failed to update metadata after 10.0 secs.")

    with pytest.raises(ClientError) as caught:
        Client().call()
    assert re.fullmatch(
        r"the brokers at one:9092,two:9092 have not answered since "
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \(for 0 s\); walletwatch doctor says why",
        str(caught.value),
    )
