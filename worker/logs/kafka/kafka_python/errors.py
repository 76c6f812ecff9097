"""What kafka-python raises, as errors of the seam."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from kafka.errors import (
    AuthorizationError,
    CommitFailedError,
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    InvalidProducerEpochError,
    InvalidSessionTimeoutError,
    KafkaError,
    KafkaTimeoutError,
    ProducerFencedError,
    UnknownMemberIdError,
    UnsupportedVersionError,
)

from worker.logs.kafka.client_errors import (
    ClientError,
    ClientTimeout,
    HasMembers,
    NoCoordinator,
    NotAllowed,
    Replaced,
    SessionTimeoutRefused,
    Unsupported,
)

P = ParamSpec("P")
T = TypeVar("T")

_KINDS: Final[dict[type[Exception], type[ClientError]]] = {
    AuthorizationError: NotAllowed,
    CommitFailedError: Replaced,
    CoordinatorNotAvailableError: NoCoordinator,
    FencedInstanceIdError: Replaced,
    InvalidProducerEpochError: Replaced,
    InvalidSessionTimeoutError: SessionTimeoutRefused,
    KafkaTimeoutError: ClientTimeout,
    ProducerFencedError: Replaced,
    UnknownMemberIdError: HasMembers,
    UnsupportedVersionError: Unsupported,
}


def translate(error: KafkaError) -> ClientError:
    """Return the error of the seam.

    After a fatal error of a producer the library wraps it, and raises it from each later call: so
    the arguments are searched too.
    """
    for cause in (error, *error.args):
        for theirs, own in _KINDS.items():
            if isinstance(cause, theirs):
                # What is not allowed is said by the cause alone.
                return own(repr(cause if own is NotAllowed else error))
    return ClientError(repr(error))


def translated(method: Callable[P, T]) -> Callable[P, T]:
    """Let a method of a client raise errors of the seam."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except KafkaError as error:
            raise translate(error) from error

    return call
