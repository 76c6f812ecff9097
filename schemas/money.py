"""Money: decimal text on the wire, integer minor units and a currency inside. No floats.

The exponents are those of ISO 4217 (list one, as published by SIX, amendments up to 2026):
a minor unit of a currency with exponent e is 10**-e of it.

Withdrawn codes are those of its list three, which has no exponents any more: they are those of
Java's currency data, which has kept them since 1999. Codes withdrawn before have the exponent of
the same money under a later code (BEC as BEF), else 2. Four had no minor unit and are left out, as
gold is: XEU, XFO, XFU, XRE.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

MAX_DIGITS = 38
MAX_LENGTH = MAX_DIGITS + len("-0.")
DECIMAL_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"
# What looks ahead counts the digits.
AMOUNT_PATTERN = DECIMAL_PATTERN.replace("?", rf"?(?=0?(\.?[0-9]){{1,{MAX_DIGITS}}}$)", 1)
CURRENCY_PATTERN = r"^[A-Z][A-Z0-9]{2,9}$"
MAX_EXPONENT = 18

_AMOUNT = re.compile(AMOUNT_PATTERN.rstrip("$"), re.ASCII)
_CODE = re.compile(CURRENCY_PATTERN.rstrip("$"), re.ASCII)

_TWO = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL
MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_ZERO = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"

ISO_4217: Mapping[str, int] = MappingProxyType(
    {
        code: exponent
        for exponent, codes in ((2, _TWO), (0, _ZERO), (3, _THREE), (4, _FOUR))
        for code in codes.split()
    }
)
"""Exponent of each currency code in use: EUR 2, JPY 0, BHD 3."""

_WITHDRAWN_TWO = """
AFA ALK ANG AOK AON AOR ARA ARP ARY ATS AYM AZM BAD BGJ BGK BGL BGN BOP BRB BRC BRE BRN BRR BUK CHC
CSD CSJ CSK CUC CYP DDM DEM ECS ECV EEK FIM FRF GEK GHC GHP GNE GNS GQE GWE GWP HRD HRK IEP ILP ILR
ISJ LAJ LSM LTL LTT LVL LVR MLF MRO MTL MTP MVQ MXP MZE MZM NIC NLG PEH PEI PES PLZ RHD ROK RUR SDD
SDP SIT SKK SLL SRG STD SUR TJR TMM UAK UGS UGW USS UYN UYP VEB VEF VNC YDD YUD YUM YUN ZAL ZMK ZRN
ZRZ ZWC ZWD ZWL ZWN ZWR
"""
_WITHDRAWN_ZERO = "ADP BEC BEF BEL BYB BYR ESA ESB ESP GRD ITL LUC LUF LUL MGF PTE ROL TPE TRL"

WITHDRAWN: Mapping[str, int] = MappingProxyType(
    {
        code: exponent
        for exponent, codes in ((2, _WITHDRAWN_TWO), (0, _WITHDRAWN_ZERO))
        for code in codes.split()
    }
)
"""Exponent of each code that was withdrawn: HRK 2, ITL 0. A configuration may give it another."""

CURRENCIES: Mapping[str, int] = MappingProxyType({**WITHDRAWN, **ISO_4217})
"""Exponent of each code that is known without being configured."""


def is_amount(text: str) -> bool:
    """Return whether the text is a plain decimal of at most 38 digits, a lone leading 0 aside."""
    return len(text) <= MAX_LENGTH and _AMOUNT.fullmatch(text) is not None


def is_currency_code(text: str) -> bool:
    """Return whether the text has the shape of a currency code (three to ten of A-Z and 0-9)."""
    return _CODE.fullmatch(text) is not None


def to_minor(text: str, exponent: int) -> int:
    """Return the amount in minor units.

    Raises:
        ValueError: not a plain decimal of at most 38 digits, or with a digit other than zero
            beyond the exponent (half a cent is not an amount).
    """
    # The usual case, "12.50" at exponent 2, without a regular expression.
    digits = text
    if exponent:
        whole, _, fraction = text.rpartition(".")
        if len(fraction) != exponent:
            return _to_minor(text, exponent)
        digits = whole + fraction
    if exponent < len(digits) <= MAX_DIGITS and digits.isdecimal() and digits.isascii():
        return int(digits)
    return _to_minor(text, exponent)


def _to_minor(text: str, exponent: int) -> int:
    if not is_amount(text):
        raise ValueError(f"not a plain decimal of at most {MAX_DIGITS} digits")
    whole, _, fraction = text.partition(".")
    if fraction[exponent:].strip("0"):
        raise ValueError("a digit beyond the smallest unit of the currency")
    return int(whole + fraction[:exponent].ljust(exponent, "0"))


def from_minor(minor: int, exponent: int) -> str:
    """Return minor units as decimal text with all decimals of the currency: 1250 at 2 is 12.50."""
    if not exponent:
        return str(minor)
    sign = "-" if minor < 0 else ""
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"
