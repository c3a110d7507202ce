"""What the operator may say in `[plugins.redact]`, and the redactor that follows from it.

Owns that a pattern which cannot be used is refused at start, by its name.
"""

from __future__ import annotations

import re
from typing import Literal

from attrs import field, frozen

from aigw.config.checks import Check, Wanted, between, some
from aigw_redact.patterns import BUILTIN, OPTIONAL, Pattern
from aigw_redact.redactor import Redactor

Direction = Literal["request", "response"]

_NAME = re.compile(r"[0-9A-Za-z_-]{1,40}")
_replacement: Check[str] = Check(
    'text without quotes, backslashes, line ends and braces, but for "{name}"',
    lambda text: not re.search(r'["\\\x00-\x1f{}]', text.replace("{name}", "")),
)


def _regex_problem(regex: str) -> str | None:
    try:
        compiled = re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        return f"a regular expression of Python's `re`: {error}"
    return "a regular expression that does not match the empty text" if compiled.search("") else None


@frozen
class OwnPattern:
    """A pattern of the operator's.

    regex: in the syntax of Python's `re`; it is the text of the setting where only that is written.
    chars: what every match is made of, as inside [...]: streams are then held back only while they end
        in such characters.
    """

    regex: str
    chars: str | None = None

    @classmethod
    def from_text(cls, text: str) -> OwnPattern:
        return cls(text)


def _check_patterns(_instance: object, _attribute: object, patterns: dict[str, OwnPattern]) -> None:
    wrong: dict[str, Wanted] = {}
    for name, own in patterns.items():
        problem = _regex_problem(own.regex)
        if own.chars is not None and _regex_problem(f"[{own.chars}]") is not None:
            problem = "chars that can stand inside of [...]"
        if not _NAME.fullmatch(name):
            problem = "a name of letters, digits, _ and -"
        if name in BUILTIN:
            problem = "another name: there is a built-in pattern of this one"
        if problem:
            wrong[name] = Wanted(problem)
    if wrong:
        raise Wanted(inside=wrong)


def _check_enabled(_instance: object, _attribute: object, names: tuple[str, ...]) -> None:
    wrong = {
        index: Wanted(f"one of {', '.join(BUILTIN)}")
        for index, name in enumerate(names)
        if name not in BUILTIN
    }
    if wrong:
        raise Wanted(inside=wrong)


@frozen
class RedactConfig:
    """Settings of the plugin.

    enabled: names of built-in patterns in force.
    patterns: own patterns by name, tried after the built-in ones.
    replacement: what stands in place of a match; {name} is the pattern's name.
    directions: what is redacted: what clients send, what they get, or both.
    max_match_chars: the longest match of an own pattern, with what it looks at behind it; so much of a
        stream is held back for those without `chars`.
    """

    enabled: tuple[str, ...] = field(
        default=tuple(name for name in BUILTIN if name not in OPTIONAL), validator=_check_enabled
    )
    patterns: dict[str, OwnPattern] = field(factory=dict, validator=_check_patterns)
    replacement: str = field(default="[{name}]", validator=_replacement)
    directions: tuple[Direction, ...] = field(default=("request", "response"), validator=some)
    max_match_chars: int = field(default=128, validator=between(8, 8192))

    def redactor(self) -> Redactor:
        """Return the redactor of these settings."""
        builtin = [pattern for name, pattern in BUILTIN.items() if name in self.enabled]
        own = [
            Pattern(
                name,
                row.regex,
                partial=None if row.chars is None else f"[{row.chars}]++",
                window=self.max_match_chars,
            )
            for name, row in self.patterns.items()
        ]
        return Redactor([*builtin, *own], self.replacement)
