"""`walletwatch forget`: remove what is kept of one account."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Final

import typer

from rules.counts import counted
from schemas.privacy import forms_of, place_of
from schemas.time import format_span, format_time
from schemas.topics import TOPICS
from worker.cli.options import ConfigOption, JsonOption, LogOption, environment, readable_log
from worker.cli.printing.output import ask, echo, emit, table
from worker.config.load import load_settings
from worker.config.settings import Settings
from worker.config.token_keys import tokens_for
from worker.errors import CheckFailed, TaskTaken
from worker.logs.sqlite.log import wall_clock
from worker.run.forget import Forgotten, forget
from worker.run.runner import policy_of

_AGAIN: Final = (
    "Its events that detect has not handled yet, and new ones, make new state: stop writing them "
    "first. Its incidents close when triage has read on."
)
_FORMS: Final = {"raw": "as it is", "token": "as a token"}


def forget_command(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its account_id.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    log: LogOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove what detect keeps of an account, and let its open alerts expire.

    Both happen in one commit, and no worker may run meanwhile. Records on topics stay until their
    retention has passed: the command lists where and until when. Asks first on a terminal.

    Exit code 0, 1 if nothing is kept of that account, 2 if there is no log, 70 if a worker runs on
    the account's task or the log cannot be used, 78 if the configuration is wrong.

    Example: walletwatch forget acc-17 --log sqlite:///wallet.db
    """
    loaded = load_settings(config, environment(), log_url=log)
    settings = loaded.settings
    with readable_log(loaded) as opened:
        tokens = tokens_for(settings, settings.log.url)
        token, now = tokens.of(account), wall_clock()
        if not yes and _asks():
            ask(f"Forget account {token} in {settings.log.url}?")
        try:
            found = forget(opened, policy_of(settings, tokens=tokens), account, now)
        except TaskTaken as error:
            raise TaskTaken(f"{error} Stop it, forget the account, and start it again.") from None
    if found is None:
        raise CheckFailed("detect keeps nothing of that account; what is on topics stays there.")
    remains = list(_remains(settings, now))
    if as_json:
        emit({"account": token, "removed": asdict(found), "remains": remains})
        return
    _print(token, found, remains)


def _asks() -> bool:
    """Return whether a person can answer: stdin is a terminal."""
    return sys.stdin.isatty()


def _remains(settings: Settings, now: int) -> Iterator[dict[str, str]]:
    """Yield the topics that may still name the account, how, and until when."""
    forms = forms_of("account_id")
    for topic in TOPICS:
        if topic.role == "input" and "account_id" not in topic.model.model_fields:
            continue
        if topic.cleanup == "compact":
            until = f"{format_span(settings.engine.resolved_retention_ms)} after it is resolved"
        else:
            until = format_time(now + settings.retention[topic.name])
        yield {"topic": topic.name, "account": forms[place_of(topic.name)], "until": until}


def _print(token: str, found: Forgotten, remains: list[dict[str, str]]) -> None:
    profile = found.balances + found.holds + found.habits
    echo(
        f"Forgot account {token}: {counted(found.open_alerts, 'open alert')}, expired now, "
        f"{counted(found.event_ids, 'event id')}, {profile:,} balances, holds and habits, "
        f"{counted(found.timers, 'timer')}."
    )
    echo("", "What was published or written of it before stays on topics, at the latest until:")
    rows = [(each["topic"], _FORMS[each["account"]], each["until"]) for each in remains]
    table(("topic", "the account", "until"), rows)
    echo("", _AGAIN)
