"""The sentences of errors that only an operator can resolve. Pure."""

from worker.errors import ConfigError


def decide(what: str, aim: str = "To go on") -> str:
    """Return the sentence with the command that decides where reading goes on.

    Args:
        what: a topic, a partition (`topic/0`) or a changelog, by its name in the log.
    """
    return (
        f"{aim}, stop all workers of the stage and run walletwatch topics accept {what} --from "
        "oldest, which reads everything that is stored, or --from newest, which passes it over."
    )


def partitions_changed(topic: str, before: int, now: int) -> ConfigError:
    """Return the error for a topic that has another number of partitions than before."""
    return ConfigError(
        f"{topic} has {now} partitions, and had {before}. The number is final: task i owns "
        "partition i of every input, and the state of its accounts. Kafka takes no partition away: "
        f"make topics with {now} partitions under another kafka.prefix, and move there as "
        "docs/kafka.md says under More partitions (drain, copy, ingest --end)."
    )
