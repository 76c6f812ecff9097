"""The open alerts of an account as it keeps them: encoded, but for what the engine reads of each.

An alert is far larger than all else that an account has, and few events concern it. So it is
decoded only when a rule asks for it, and encoded anew only when it has changed. Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from rules.alerts import SHADOW, OpenAlert
from worker.engine.packing import Unpacker, is_text, packed


class KeptAlert(Struct, array_like=True, frozen=True, gc=False):
    """An open alert of an account."""

    rule: str
    """State code."""
    rule_version: int
    anchor: str
    """Distinguishes it from the other open alerts of its rule."""
    dedup_key: str
    raised_at: int
    """Order time, milliseconds."""
    encoded: bytes
    """The whole of it."""

    @property
    def in_shadow(self) -> bool:
        """Whether a rule in shadow raised it."""
        return self.rule.endswith(SHADOW)

    def decoded(self) -> OpenAlert:
        """Return the whole of it."""
        return _DECODE(self.encoded)


_DECODE: Final = Unpacker(OpenAlert)


def kept(alert: OpenAlert) -> KeptAlert:
    """Return an open alert as its account keeps it."""
    return KeptAlert(
        alert.rule,
        alert.rule_version,
        alert.anchor,
        alert.dedup_key,
        alert.raised_at,
        packed(alert),
    )


def decoded_of(
    alerts: Sequence[KeptAlert], code: str, naming: Sequence[str]
) -> Iterator[OpenAlert]:
    """Yield the open alerts of one rule, oldest first.

    Args:
        code: state code of the rule.
        naming: those that quote none of these texts may be left out; empty: leave out none.
    """
    texts = [text.encode() for text in naming]
    for alert in alerts:
        if alert.rule == code and (not texts or _may_quote(alert.encoded, texts)):
            yield alert.decoded()


def _may_quote(encoded: bytes, texts: Sequence[bytes]) -> bool:
    return is_text(encoded) or any(text in encoded for text in texts)
