"""What is redacted: the built-in patterns as rows of data, and the checks that spare look-alikes.

Owns how a pattern is described, so that it can be found in a stream as well as in a whole text. Knows
nothing of streams, requests or configuration. Sources: RFC 5322 and 5321 for sizes of addresses, ISO
13616 for IBANs, ISO 7812 for card numbers, and the vendors' pages on the shapes of their keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

BUILTIN_WINDOW = 512
"""More than any head of a built-in pattern can be long, with what it looks at behind it."""

MAX_BLOCK_CHARS = 16_384
"""What is redacted at most behind the first line of a key block, should its last line never come."""


def _compiled(source: str) -> re.Pattern[str]:
    return re.compile(source)


# ISO 13616, the registry of formats by country.
_IBAN_CHARS: Final[Mapping[str, int]] = MappingProxyType(
    {
        country: length
        for length, countries in {
            15: "NO",
            16: "BE",
            18: "DK FI FO GL NL",
            19: "MK SI",
            20: "AT BA EE KZ LT LU XK",
            21: "CH HR LI LV",
            22: "BG BH CR DE GB GE IE ME RS VA",
            23: "AE GI IL IQ TL",
            24: "AD CZ ES MD PK RO SA SE SK TN VG",
            25: "LY PT ST",
            26: "IS TR",
            27: "FR GR IT MC MR SM",
            28: "AL AZ BY CY DO GT HU LB PL SV",
            29: "BR EG PS QA UA",
            30: "JO KW MU",
            31: "MT SC",
            32: "LC",
        }.items()
        for country in countries.split()
    }
)

_IBAN_DIGITS = MappingProxyType({ord(char): str(int(char, 36)) for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})


@frozen
class Pattern:
    """One kind of secret.

    regex: finds it, or its head. What it matches and looks at is at most `window` characters long.
    partial: source of a regex for every text that a match may begin with, or that a longer match may
        begin with; a stream is held back while its end looks like this. None: by `window` alone.
    needles: one of these stands in every match, which is quicker to see than the regex is to run.
    rest: a set of characters with which a match goes on, however many there are.
    until: what ends a match that goes on over anything; it is part of the match.
    check: how many characters of a match count; 0 when it only looks like one.
    """

    name: str
    regex: re.Pattern[str] = field(converter=_compiled)
    partial: str | None = None
    window: int = BUILTIN_WINDOW
    needles: tuple[str, ...] = ()
    rest: re.Pattern[str] | None = None
    until: re.Pattern[str] | None = None
    check: Callable[[str], int] = len


def typed(literal: str, then: str = "") -> str:
    """Return the source of a regex for a literal that is still being typed, and what follows it."""
    source = then
    for char in reversed(literal):
        source = re.escape(char) + (f"(?:{source})?" if source else "")
    return source


def luhn(text: str) -> int:
    """Return the length of a card number whose check digit is right, else 0."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 0 if (sum(digits[-1::-2]) + sum(doubled)) % 10 else len(text)


def mod97(text: str) -> int:
    """Return how much of the text is an IBAN: words in capitals behind it look like more of it."""
    left = _IBAN_CHARS.get(text[:2], 0)
    if not left or left > len(text):
        return 0
    for end, char in enumerate(text, 1):
        left -= char != " "
        if not left:
            plain = text[:end].replace(" ", "")
            number = int((plain[4:] + plain[:4]).translate(_IBAN_DIGITS))
            return 0 if text[end : end + 1].isalnum() or number % 97 != 1 else end
    return 0


def dialled(text: str) -> int:
    """Return the length of an international phone number: 8 to 15 digits (E.164)."""
    return len(text) if 8 <= sum(map(str.isdigit, text)) <= 15 else 0


def _set(chars: str) -> re.Pattern[str]:
    return re.compile(f"[{chars}]*+")


_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_BEARER = r"A-Za-z0-9._~+/-"

# The order matters where two patterns match at one place: the first is named.
_ROWS: tuple[Pattern, ...] = (
    Pattern(
        "private_key_block",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        typed("-----BEGIN ", r"[A-Z0-9 ]{0,64}-{0,5}"),
        needles=("-----BEGIN ",),
        # A quote ends it too (and the backslashes before it): no key holds one, but JSON around it does.
        until=re.compile(r'-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|(?=\\{0,8}")'),
    ),
    Pattern(
        "jwt",
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,400}\.eyJ",
        r"(?<![A-Za-z0-9_-])" + typed("eyJ", r"[A-Za-z0-9_-]{0,400}(?:" + typed(".eyJ") + ")?"),
        needles=(".eyJ",),
        rest=_set("A-Za-z0-9_.-"),
    ),
    Pattern(
        "bearer",
        rf"(?<!\w)[Bb]earer[ \t]{{1,4}}(?=[A-Za-z._~+/-]{{0,64}}[0-9])[{_BEARER}]{{16}}",
        r"(?<!\w)[Bb](?:" + typed("earer", rf"[ \t]{{0,4}}[{_BEARER}]{{0,64}}") + ")?",
        needles=("earer",),
        rest=_set(_BEARER + "="),
    ),
    Pattern(
        "anthropic_key",
        r"(?<![A-Za-z0-9])sk-ant-[A-Za-z0-9_-]{20}",
        r"(?<![A-Za-z0-9])" + typed("sk-ant-", r"[A-Za-z0-9_-]{0,20}"),
        needles=("sk-ant-",),
        rest=_set("A-Za-z0-9_-"),
    ),
    Pattern(
        "openai_key",
        r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20}",
        r"(?<![A-Za-z0-9])" + typed("sk-", r"[A-Za-z0-9_-]{0,20}"),
        needles=("sk-",),
        rest=_set("A-Za-z0-9_-"),
    ),
    Pattern(
        "github_token",
        r"(?<![A-Za-z0-9])(?:gh[oprsu]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})",
        r"(?<![A-Za-z0-9])(?:g|gh|gh[oprsu](?:_[A-Za-z0-9]{0,36})?|"
        + typed("github_pat_", r"[A-Za-z0-9_]{0,22}")
        + ")",
        needles=("gh",),
        rest=_set("A-Za-z0-9_"),
    ),
    Pattern(
        "aws_access_key",
        r"(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])",
        r"(?<![A-Z0-9])A[A-Z0-9]{0,20}",
        needles=("AKIA", "ASIA", "ABIA", "ACCA"),
    ),
    Pattern(
        "email",
        r"[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,6}[^\W\d_]{2,24}",
        r"[\w.%+-]{1,64}+(?:@[\w.-]*+)?",
        needles=("@",),
    ),
    Pattern(
        "iban",
        r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])",
        r"(?<![A-Za-z0-9])[A-Z](?:[A-Z](?:[0-9](?:[0-9][A-Z0-9 ]{0,40})?)?)?",
        check=mod97,
    ),
    Pattern(
        "credit_card",
        r"(?<![0-9])(?<![0-9]\.)(?:[2-6][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}"
        r"|3[47][0-9]{2}([ -])[0-9]{6}\2[0-9]{5}|[2-6][0-9]{12,18})(?![0-9])",
        r"(?<![0-9])(?<![0-9]\.)[2-6][0-9 -]{0,20}+",
        check=luhn,
    ),
    Pattern(
        "us_ssn",
        r"(?<![0-9-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9])",
        r"(?<![0-9-])[0-9][0-9-]{0,11}+",
    ),
    Pattern(
        "phone",
        r"(?<![\w+])\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{1,4}\)?){2,5}(?![0-9])",
        r"(?<![\w+])\+[0-9 ().-]{0,44}+",
        needles=("+",),
        check=dialled,
    ),
    Pattern(
        "ipv4",
        rf"(?<![0-9.])(?:{_OCTET}\.){{3}}{_OCTET}(?!\.?[0-9])",
        r"(?<![0-9.])[0-9][0-9.]{0,16}+",
    ),
)

BUILTIN: Final[Mapping[str, Pattern]] = MappingProxyType({row.name: row for row in _ROWS})
"""The built-in patterns by name, in the order in which they are tried."""

OPTIONAL = frozenset({"phone", "ipv4"})
"""Those not enabled by default: version numbers and 127.0.0.1 are no secrets."""
