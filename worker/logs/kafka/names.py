"""What things are called on a cluster. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """Names of topics, groups and transactional ids."""

    prefix: str = ""
    """Before each of them: several systems can share a cluster."""

    def topic(self, name: str) -> str:
        """Return what the topic is called on the cluster."""
        return self.prefix + name

    def changelog(self, stage: str) -> str:
        """Return what the topic of a stage's states is called on the cluster."""
        return f"{self.prefix}walletwatch.{stage}.changelog"

    def group(self, stage: str) -> str:
        """Return the consumer group whose members share the stage's tasks."""
        return f"{self.prefix}walletwatch.{stage}"

    def transactional_id(self, stage: str, slot: str) -> str:
        """Return the identity under which the worker in a slot commits."""
        return f"{self.prefix}walletwatch.{stage}.{slot}"
