"""Findings about what a configuration leaves open to others."""

from collections.abc import Iterable, Iterator

from worker.config.exposure import TOKENS, Exposure, exposures, plaintext
from worker.config.settings import Settings
from worker.config.token_keys import tokens_for
from worker.errors import ConfigError
from worker.logs.finding import Finding, Verdict
from worker.tokens import PUBLIC


def exposed(settings: Settings) -> Iterator[Finding]:
    """Yield whether there is a key for account tokens, and what is open to others."""
    found = exposures(settings)
    try:
        tokens = tokens_for(settings, settings.log.url)
    except ConfigError as error:
        yield Finding(TOKENS, Verdict.FAIL, str(error))
    else:
        if TOKENS not in {each.check for each in found}:
            key = "run makes a key" if tokens is PUBLIC else f"the key is {tokens.marks.key_id}"
            yield Finding(TOKENS, Verdict.OK, key)
    yield from map(_finding, found)


def unencrypted(settings: Settings, servers: Iterable[str]) -> Iterator[Finding]:
    """Yield a finding if connections to one of these servers are in plaintext."""
    yield from map(_finding, plaintext(settings, servers))


def _finding(found: Exposure) -> Finding:
    return Finding(found.check, Verdict.WARN, found.what, found.advice)
