"""A report for a person to read.

Owns the words and the order. Adds nothing to the report.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import indent

from aigw.dialects.base import Tree


def as_text(tree: Tree) -> str:
    """Return a report as lines."""
    return "\n".join(_lines(tree)) + "\n"


def _lines(tree: Tree) -> Iterator[str]:
    yield from _request(tree["request"])
    yield from _caller(tree)
    if tree["hooks"]:
        yield "plugins, in their order:"
        yield from (f"  {point}: {', '.join(names)}" for point, names in tree["hooks"].items())
    if tree["reservations"]:
        yield f"reserved: {', '.join(tree['reservations'])}"
    decisions = [each["reason"] for each in tree["decisions"] if not each["target"]]
    yield from _listed("decisions:", decisions)
    for number, target in enumerate(tree["targets"], 1):
        yield ""
        yield from _target(number, target)
    yield from _listed("left out:", [f"{each['target']}: {each['reason']}" for each in tree["left_out"]])
    yield from _otherwise(tree["otherwise"])
    if tree["answer"] is not None:
        yield ""
        yield f"{'answered here' if tree['sent'] else 'refused'}: HTTP {tree['answer']['status']}"
        yield _pretty(tree["answer"]["body"])
    if tree["notes"]:
        yield ""
    yield from (f"note: {note}" for note in tree["notes"])


def _request(request: Tree) -> Iterator[str]:
    guessed = " (guessed from the body)" if request["path_is_guessed"] else ""
    yield f"request: {request['method']} {request['path']}{guessed}"
    if request.get("model"):
        model, entry = request["model"], request["entry"]
        how = [request["format"], "stream" if request["stream"] else "whole"]
        if request["strict"]:
            how.append("strict")
        found = f", found as {entry}" if entry and entry != model else ""
        yield f"model: {model}{found} ({', '.join(how)})"


def _caller(tree: Tree) -> Iterator[str]:
    caller = tree["caller"]
    if caller is None:
        if "format" in tree["request"]:
            yield "caller: refused"
        return
    key = f', key "{caller["name"]}"' if caller["name"] else ""
    admin = ", admin" if caller["is_admin"] else ""
    yield f'caller: tenant "{caller["tenant"]}"{key}{admin}; may use {", ".join(caller["models"])}'


def _target(number: int, target: Tree) -> Iterator[str]:
    yield f"{number}. {target['target']}"
    yield from (f"   {reason}" for reason in target["why"])
    if target.get("group"):
        chance = target["chance"]
        often = "by what is measured" if chance is None else f"first in {chance * 100:g} % of the cases"
        yield f"   group {target['group']}, {target['strategy']}, weight {target['weight']:g}: {often}"
        yield from (f"   limit: {name} {limit}" for name, limit in target["limits"].items())
    if target["refused"] is not None:
        yield f"   not asked: {target['refused']['message']} ({target['refused']['code']})"
    if target["call"] is not None:
        yield from _call(target["format"], target["call"])


def _call(spoken: str, call: Tree) -> Iterator[str]:
    yield f"   format: {spoken}, {'translated' if call['translated'] else 'as the client wrote it'}"
    profile = call["profile"]
    if profile is not None:
        changed = ", ".join(profile["changed"])
        yield f"   profile: {profile['name']}" + (f", changes {changed}" if changed else "")
    if call["dropped"]:
        dropped = ", ".join(call["dropped"])
        yield f"   x-aigw-dropped: {dropped}; under strict, this target is not asked"
    yield from (f"   through: {name}" for name in call["behind"])
    if call["keys"]:
        yield f"   key: one of {', '.join(call['keys'])}"
    yield f"   {call['method']} {call['url'] or '(the provider makes the URL and its credential itself)'}"
    yield from (f"   {name}: {value}" for name, value in call["headers"].items())
    yield ""
    yield indent(_pretty(call["body"]), "   ")


def _otherwise(tree: Tree) -> Iterator[str]:
    shadow = tree["shadow"]
    lines = [f"shadow: {shadow['percent']:g} % are copied to {shadow['model']}"] if shadow else []
    for name, said in (
        ("on_context_length", "too long for the model"),
        ("on_content_filter", "filtered"),
    ):
        if tree.get(name):
            lines.append(f"{said}: {', '.join(tree[name])}")
    yield from _listed("otherwise:", lines)


def _listed(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines)


def _pretty(body: object) -> str:
    return body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
