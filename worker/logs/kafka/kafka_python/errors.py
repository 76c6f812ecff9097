"""What kafka-python raises, as errors of the seam."""

from collections.abc import Callable
from functools import wraps
from time import monotonic, time
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from kafka.errors import (
    AuthorizationError,
    CommitFailedError,
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    InvalidProducerEpochError,
    InvalidReceiveError,
    InvalidSessionTimeoutError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    ProducerFencedError,
    RequestTimedOutError,
    UnknownMemberIdError,
    UnsupportedVersionError,
)

from schemas.time import format_time
from worker.logs.kafka.client_errors import (
    ClientError,
    ClientTimeout,
    HasMembers,
    NoCoordinator,
    NotAllowed,
    NotConnected,
    Replaced,
    SessionTimeoutRefused,
    Unsupported,
)

P = ParamSpec("P")
T = TypeVar("T")


class Connected(Protocol):
    """A client, with the addresses that it was made with."""

    servers: str


S = TypeVar("S", bound=Connected)

_KINDS: Final[dict[type[Exception], type[ClientError]]] = {
    AuthorizationError: NotAllowed,
    CommitFailedError: Replaced,
    CoordinatorNotAvailableError: NoCoordinator,
    FencedInstanceIdError: Replaced,
    InvalidProducerEpochError: Replaced,
    InvalidSessionTimeoutError: SessionTimeoutRefused,
    KafkaConnectionError: NotConnected,
    KafkaTimeoutError: ClientTimeout,
    NodeNotReadyError: NotConnected,
    ProducerFencedError: Replaced,
    RequestTimedOutError: NotConnected,
    UnknownMemberIdError: HasMembers,
    UnsupportedVersionError: Unsupported,
}
_REASONS: Final = (
    ("ECONNREFUSED", "the connection is refused: nothing listens there"),
    ("DNS", "the name cannot be resolved"),
    ("timed out", "it does not answer"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not accepted: see kafka.ca_file"),
    ("CERTIFICATE_REQUIRED", "it asks for a certificate of ours: see kafka.cert_file"),
    ("BAD_CERTIFICATE", "it refuses our certificate: see kafka.cert_file"),
)
"""What the texts of the library hold, and what that means."""


def translate(error: KafkaError, silence: str) -> ClientError:
    """Return the error of the seam.

    After a fatal error of a producer the library wraps it, and raises it from each later call: so
    the arguments are searched too.

    Args:
        silence: the text where no broker has answered.
    """
    for cause in (error, *error.args):
        for theirs, own in _KINDS.items():
            if isinstance(cause, theirs):
                if own in (NotConnected, ClientTimeout):
                    return own(silence)
                # What is not allowed is said by the cause alone.
                return own(repr(cause if own is NotAllowed else error))
    return ClientError(repr(error))


def translated(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Let a method of a client raise errors of the seam."""

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        began = monotonic()
        try:
            return method(self, *args, **kwargs)
        except KafkaError as error:
            raise translate(error, _silence(self.servers, monotonic() - began)) from error

    return call


def describe_failed_connection(error: Exception) -> str:
    """Return why a broker could not be connected to, in words."""
    if isinstance(error, InvalidReceiveError):
        return "what answers there is no Kafka broker, or it expects TLS"
    text = str(error)
    return next((words for part, words in _REASONS if part in text), text)


def _silence(servers: str, seconds: float) -> str:
    since = format_time(int((time() - seconds) * 1000))
    return (
        f"the brokers at {servers} have not answered since {since} (for {seconds:.0f} s); "
        "walletwatch doctor says why"
    )
