"""The guesser of the canary test finds what can be found; else that test would show nothing."""

import hashlib
import json
from zlib import crc32

import pytest

from rules.incidents.lifecycle import incident_id
from tests.support.events.derivation import Guesser, Named
from worker.detect.alerts import derived_id
from worker.tokens import PUBLIC, PUBLIC_KEY


@pytest.mark.parametrize("key", [b"", PUBLIC_KEY[1]])
def test_the_guesser_names_accounts_where_ids_are_made_without_a_secret(key: bytes) -> None:
    """As the releases before made them, and as every run with the public key does."""
    guesser = Guesser([f"account-{n}" for n in range(100)], ["e1", "e2"], ["rule"])
    alert_id = derived_id(key, "rule", "account-7", "e2")
    known = {Named("account-7", "alert_id")}
    assert guesser.names(f'["{alert_id}"]'.encode()) == known
    incident = incident_id("rule:account:k1.0123456789abcdef", alert_id)
    record = f'{{"incident_id":"{incident}","dedup_key":"rule:account:k1.0123456789abcdef"}}'
    assert guesser.names_of_one(record.encode()) == {Named("account-7", "incident_id")}
    assert guesser.names(derived_id(b"secret", "rule", "account-7", "e2").encode()) == set()


@pytest.mark.parametrize(
    "text",
    [
        f"by {hashlib.sha256(b'account-7').hexdigest()[:16]}",
        f"by {hashlib.blake2b(b'account-7', digest_size=8).hexdigest()}",
        f"by {PUBLIC.of('account-7')}",
        f"by {crc32(b'account-7')}",
        f"by {hashlib.sha256(json.dumps(['account-7', 'e2']).encode()).hexdigest()[:32]}, e2",
    ],
)
def test_the_guesser_knows_the_usual_hashes(text: str) -> None:
    guesser = Guesser([f"account-{n}" for n in range(100)], ["e1"], ["rule"])
    assert {each.account for each in guesser.names_of_one(text.encode())} == {"account-7"}
    assert guesser.names_of_one(text.replace("by", "").encode()[:9]) == set()
