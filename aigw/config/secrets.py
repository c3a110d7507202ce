"""Strings that do not slip into logs.

Owns the type that keys, passwords and credential headers have, and the mark of what came from the
environment or a file. Knows nothing of where a secret is sent: whoever needs the text calls `reveal()`,
and can be found by that name.
"""

from __future__ import annotations

import hmac
from typing import NoReturn, Self, final

MASK = "***"


@final
class Secret:
    """Text whose repr, str and f-string are `***`; equal, hashed and true by its content.

    It is no str, so that joining it into a message fails in place of leaking, and no attrs class, so
    that `attrs.asdict` does not look inside. It refuses to be pickled.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the socket and for comparisons; never for a message."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (text.encode("utf-8", "surrogatepass") for text in (self._text, other._text))
        return hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: send reveal() where it must go")


class Interpolated(str):
    """Text that came from environment or file, with what the operator wrote in its place.

    Such text may become a number or true/false where the schema wants one. Its repr is `***`.
    """

    __slots__ = ("source",)
    source: str

    def __new__(cls, text: str, source: str) -> Self:
        made = super().__new__(cls, text)
        made.source = source
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]  # copies need both
        return str(self), self.source

    def __repr__(self) -> str:
        return MASK

    @property
    def empty_on_purpose(self) -> bool:
        """Whether it is empty because the file says `${VAR:-}`: an optional setting is then unset."""
        return not self and self.source.endswith(":-}")
