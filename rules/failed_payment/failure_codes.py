"""Why a payment failed: the family of a raw failure code, per code system.

Codes that say nothing certain (05, do_not_honor, MS03) or that are not listed are `unknown`. The
tables hold only codes whose meaning is public; comparison ignores case. Adyen sends texts or
numbers: both stand here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Family = Literal[
    "insufficient_funds",
    "limit",
    "duplicate",
    "account_state",
    "fraud",
    "technical",
    "customer",
    "unknown",
]

NOT_THE_WALLET: Final = frozenset({"iso8583", "stripe", "adyen", "iso20022"})
"""Code systems of cards and banks: with such a code the wallet balance was not to pay."""

_CODES: Final[Mapping[str, Mapping[Family, str]]] = {
    "iso8583": {
        "insufficient_funds": "51",
        "limit": "61 65",
        "duplicate": "94",
        "account_state": "33 52 53 54 57 62 78",
        "fraud": "04 07 34 41 43 59 63",
        "technical": "06 19 22 30 31 68 90 91 92 96",
        "customer": "17 55 75",
    },
    "iso20022": {
        "insufficient_funds": "AM04",
        "limit": "AM02 AM13 AM14 AM21",
        "duplicate": "AM05 DUPL",
        "account_state": "AC01 AC04 AC06 AC07 AG01",
        "fraud": "FRAD",
        "technical": "AB01 AB02 AB03 AB04 AB05 AB06 AB07 AB08 AB09 AB10",
        "customer": "CUST",
    },
    "stripe": {
        "insufficient_funds": "insufficient_funds",
        "limit": "card_velocity_exceeded withdrawal_count_limit_exceeded",
        "duplicate": "duplicate_transaction",
        "account_state": "card_not_supported expired_card invalid_account restricted_card",
        "fraud": "fraudulent lost_card merchant_blacklist pickup_card security_violation "
        "stolen_card",
        "technical": "issuer_not_available processing_error reenter_transaction try_again_later",
        "customer": "authentication_required incorrect_cvc incorrect_pin incorrect_zip "
        "pin_try_exceeded revocation_of_authorization",
    },
    "adyen": {
        "insufficient_funds": "12 not_enough_balance",
        "limit": "28 29 withdrawal_amount_exceeded withdrawal_count_exceeded",
        "account_state": "5 6 23 25 blocked_card expired_card transaction_not_permitted "
        "restricted_card",
        "fraud": "14 20 22 31 acquirer_fraud fraud fraud-cancelled issuer_suspected_fraud",
        "technical": "4 9 acquirer_error issuer_unavailable",
        "customer": "11 15 16 17 18 24 26 38 3d_not_authenticated cancelled shopper_cancelled "
        "invalid_pin pin_tries_exceeded cvc_declined revocation_of_auth authentication_required",
    },
    "internal": {
        "insufficient_funds": "insufficient_funds insufficient_balance exceeds_credits",
        "limit": "limit limit_exceeded",
        "duplicate": "duplicate",
        "account_state": "account_state account_blocked account_closed account_disabled",
        "fraud": "fraud fraud_suspected",
        "technical": "technical error network processing_error service_unavailable timeout",
        "customer": "customer cancelled_by_customer customer_cancelled",
    },
}

FAMILIES: Final[Mapping[tuple[str, str], Family]] = MappingProxyType(
    {
        (system, code.lower()): family
        for system, families in _CODES.items()
        for family, codes in families.items()
        for code in codes.split()
    }
)
"""(code system, code in lower case with underscores for spaces) -> family."""


def family(system: str | None, code: str | None) -> Family:
    """Return the family of a raw code; without a system it is read as the platform's own."""
    if code is None:
        return "unknown"
    word = "_".join(code.lower().split())
    return FAMILIES.get((system or "internal", word), "unknown")
