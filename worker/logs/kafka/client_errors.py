"""The errors that calls of the client raise, of whatever library. Pure.

Every call raises ClientError if it fails; `str(error)` says why. Unless the table says more,
the failure is fatal: the caller's session ends, and a new client is made.

    ClientError
    |- NotConnected            no broker could be used in time, or the connection is lost
    |  `- LoginRefused         a broker refused the credentials: the configuration is wrong
    |- ClientTimeout           no answer in time; of `Consumer.committed`: a transaction is open,
    |                          ask again
    |- NoCoordinator           of `Admin.describe_group`: the cluster has never had a group; go on
    |- HasMembers              of `Admin.set_offsets`: the members of the group must leave first
    |- Unsupported             the brokers are too old for the call; go on without its answer
    |- NotAllowed              an access control list lacks an entry
    |- SessionTimeoutRefused   the brokers do not allow the session timeout
    |- AnswerTooLarge          of `Consumer.poll`: one of the partitions named begins with a batch
    |                          that is larger than the client accepts
    |- UnreadableBatch         records cannot be uncompressed; the text is a whole sentence
    |- Replaced                another worker has taken over; nothing was committed
    `- RecordTooLarge          a topic does not take a record of this size; nothing was committed
"""


class ClientError(Exception):
    """A call of the client failed."""


class NotConnected(ClientError):
    """No broker could be used before the bootstrap timeout, or none can be reached any more."""


class LoginRefused(NotConnected):
    """A broker refused the credentials; the text is the broker's."""


class ClientTimeout(ClientError):
    """The brokers did not answer in time."""


class NoCoordinator(ClientError):
    """The cluster has no coordinator for the group (yet)."""


class HasMembers(ClientError):
    """The group has members, which alone may commit its offsets."""


class Unsupported(ClientError):
    """The brokers do not know the request."""


class NotAllowed(ClientError):
    """The user lacks a permission."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()}: this user is not allowed to; walletwatch topics acls lists what "
            "is needed"
        )


class SessionTimeoutRefused(ClientError):
    """The brokers bound session timeouts, and this one is outside."""

    def __str__(self) -> str:
        return (
            "the brokers refuse kafka.session_timeout_ms (their group.min.session.timeout.ms and "
            "group.max.session.timeout.ms bound it)"
        )


class AnswerTooLarge(ClientError):
    """What a broker answered to a fetch is larger than the client accepts."""

    def __init__(self, partitions: frozenset[tuple[str, int]]) -> None:
        names = ", ".join(f"{topic}/{number}" for topic, number in sorted(partitions))
        super().__init__(f"the answer to a fetch of {names} is larger than the client accepts")
        self.partitions = partitions


class UnreadableBatch(ClientError):
    """The records at these offsets of a partition cannot be uncompressed."""

    def __init__(self, text: str, topic: str, partition: int, first: int, last: int) -> None:
        super().__init__(text)
        self.topic = topic
        """Its name on the cluster."""
        self.partition = partition
        self.first = first
        self.last = last


class Replaced(ClientError):
    """Another client has the transactional id, the instance id or the partitions now."""


class RecordTooLarge(ClientError):
    """A record is larger than its topic allows."""

    def __init__(self, text: str, topic: str) -> None:
        super().__init__(text)
        self.topic = topic
        """Its name on the cluster."""
