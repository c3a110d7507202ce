"""Names with `*` in them, as operators write models and what a key may use.

Owns what such a pattern means: `*` stands for any text, also none, and every other character for itself.
"""

from __future__ import annotations


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name is the one, or one of those, that a pattern stands for.

    Linear in the name, however many stars there are: patterns may come from a token's claims.
    """
    head, *parts = pattern.split("*")
    if not parts:
        return name == pattern
    *middle, tail = parts
    start, end = len(head), len(name) - len(tail)
    if start > end or not (name.startswith(head) and name.endswith(tail)):
        return False
    for part in middle:  # the first place that fits leaves the most for the rest
        found = name.find(part, start, end)
        if found < 0:
            return False
        start = found + len(part)
    return True
