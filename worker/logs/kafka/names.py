"""The names of topics, groups and transactional ids on a cluster. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """Names that begin with a prefix."""

    prefix: str = ""
    """Before each name, so that several systems can share a cluster."""

    def topic(self, name: str) -> str:
        """Return the name of the topic on the cluster."""
        return self.prefix + name

    def in_log(self, name: str) -> str:
        """Return the name in the log of a topic on the cluster."""
        return name.removeprefix(self.prefix)

    def changelog(self, stage: str) -> str:
        """Return the name on the cluster of the topic with a stage's states."""
        return f"{self.prefix}walletwatch.{stage}.changelog"

    def group(self, stage: str) -> str:
        """Return the consumer group whose members share the stage's tasks."""
        return f"{self.prefix}walletwatch.{stage}"

    def transactional_id(self, stage: str, slot: str) -> str:
        """Return the identity under which the worker in a slot commits."""
        return f"{self.prefix}walletwatch.{stage}.{slot}"
