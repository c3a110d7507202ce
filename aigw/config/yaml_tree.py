"""YAML text to a tree, with the mistakes that PyYAML lets pass: keys written twice.

The one module that imports PyYAML, which is optional. Its messages never repeat what a file says, since
a mistyped password may look like an alias or a tag.
"""

from __future__ import annotations

import re

import yaml

from aigw.errors import ConfigError

_NAMED = re.compile(r"""\b(alias|anchor|tag|tag handle|handle) ['"].*['"]""", re.DOTALL)


def parse(text: str) -> object:
    """Return the one document of a YAML text. Raises ConfigError with line and column."""
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_line(error)]) from None  # its text quotes the file, perhaps a secret
    except yaml.YAMLError as error:
        raise ConfigError(["a character that YAML does not allow"]) from error


def _line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    said = "; ".join(filter(None, [error.context, error.problem]))
    reason = " ".join(_NAMED.sub(r"\1 ***", said).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {reason}" if mark else reason


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: dict[object, yaml.Node]) -> yaml.MappingNode:
        # `anchor` is a name or None; the stubs say otherwise.
        node = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            earlier = first.setdefault((key.tag, key.value), key)
            if earlier is not key:
                line = earlier.start_mark.line + 1
                raise _mistake(f"this key is written already on line {line}", key)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        # Impossible dates, !!int without a number and the like end in whatever Python raises.
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError):
            raise _mistake("a value that its type does not allow", node) from None


def _mistake(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
