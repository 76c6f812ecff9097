"""Recognising the records that are of one account, on whatever topic. Pure."""

import json
from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas.topics import INCIDENTS, SIGNALS
from worker.engine.records import Record

_ESCAPE: Final = b"\\u"
"""Where a text has one, its bytes may not be those that it names."""


class _Named(Struct, gc=False):
    """What names the account that a record is of; of another type it names none."""

    account_id: Any = None
    account_token: Any = None
    body: Any = None


_decode: Final = msgspec.json.Decoder(_Named).decode


class OwnRecords:
    """The records of one account: those that it keys, those about it, and their copies.

    A payment that another account has made to it is of that account.

    Args:
        tokens: those of the account, under all active keys.
    """

    def __init__(self, account_id: str, tokens: Collection[str]) -> None:
        self._account_id = account_id
        self._tokens = tokens
        self._key = account_id.encode()
        forms = {
            json.dumps(account_id).encode(),
            json.dumps(account_id, ensure_ascii=False).encode(),
        }
        self._quoted = tuple(forms)
        self._traces = (*self._quoted, *(token.encode() for token in tokens), _ESCAPE)

    def has(self, topic: str, record: Record) -> bool:
        """Return whether a record is of the account."""
        if record.key == self._key:
            return True
        value = record.value
        if not value or not any(trace in value for trace in self._traces):
            return False
        try:
            named = _decode(value)
        except (msgspec.MsgspecError, RecursionError):
            # A dead letter that is no JSON: whom it is of is not known for certain.
            return any(quoted in value for quoted in self._quoted)
        if topic == SIGNALS:
            return self._is_named(named.body)
        if topic == INCIDENTS:
            return self.has_token(named.account_token)
        return bool(named.account_id == self._account_id)

    def has_token(self, token: str | None) -> bool:
        """Return whether a token is one of the account."""
        return token in self._tokens

    def has_alert(self, signal: Record) -> bool:
        """Return whether a signal carries an alert of the account."""
        value = signal.value
        if not value or not any(trace in value for trace in self._traces):
            return False
        try:
            body = _decode(value).body
        except (msgspec.MsgspecError, RecursionError):
            return False
        return isinstance(body, dict) and body.get("account_id") == self._account_id

    def _is_named(self, body: Any) -> bool:
        if not isinstance(body, dict):
            return False
        return body.get("account_id") == self._account_id or body.get("account") in self._tokens
