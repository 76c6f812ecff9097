"""The topics of a new log, unless others are given."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from schemas.topics import TOPICS

Cleanup = Literal["delete", "compact"]

WALLET_TOPICS: Mapping[str, Cleanup] = MappingProxyType({t.name: t.cleanup for t in TOPICS})
"""Every topic of walletwatch, with how it is cleaned."""
