"""Prints what others have changed in the log while a worker goes on."""

from worker.cli.printing.output import say
from worker.engine.observer import Observer


class Noticed(Observer):
    """Prints each notice on a line of its own."""

    def noticed(self, text: str) -> None:
        """Print it."""
        say(text)
