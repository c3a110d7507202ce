"""The command `aigw explain`: from its flags to what is printed and the exit code.

Owns both of these. Everything it prints goes through the mask.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping

from aigw.config import Config
from aigw.explain.asked import Flags, from_disk, read_request
from aigw.explain.dry_run import LIMIT_S, dry_run
from aigw.explain.form import UsageError
from aigw.explain.masking import mask_for
from aigw.explain.report import report
from aigw.explain.text import as_text


def explain(options: argparse.Namespace, config: Config, env: Mapping[str, str]) -> int:
    """Print what would become of a request; return 0 if it would be sent, 1 if refused, 2 if unreadable.

    Raises ConfigError and PluginError.
    """
    flags = Flags(options.request, options.path, options.method, tuple(options.header), options.data)
    try:
        asked = read_request(flags, _read)
    except (UsageError, OSError) as error:
        print(f"aigw explain: {error}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        run = asyncio.run(dry_run(asked, config, env))
    except TimeoutError:
        print(f"aigw explain: a plugin did not let go of the request within {LIMIT_S:g} s", file=sys.stderr)  # noqa: T201
        return 1
    credential = None if run.exchange is None else run.exchange.credential
    tree = report(run, mask_for(run.gateway.config, env, credential))
    told = json.dumps(tree, indent=2, ensure_ascii=False) + "\n" if options.json else as_text(tree)
    sys.stdout.write(told.encode("utf-8", "replace").decode())
    return 0 if tree["sent"] else 1


def _read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else from_disk(name)
