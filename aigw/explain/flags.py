"""The flags of `aigw explain`.

Apart from the command, whose parts nobody has to load who only serves.
"""

from __future__ import annotations

import argparse


def explain_flags(target: argparse.ArgumentParser) -> None:
    """Add what says the request."""
    target.add_argument(
        "request",
        nargs="?",
        metavar="REQUEST",
        help="file with a JSON body, an HTTP/1.1 request or a curl command; - reads standard input; "
        "a curl command may also stand here itself, quoted",
    )
    target.add_argument("--path", help="path of the URL (default: guessed from the body)")
    target.add_argument("-X", "--request", dest="method", metavar="METHOD", help="HTTP method")
    target.add_argument("-H", "--header", action="append", default=[], metavar="'Name: value'")
    target.add_argument("-d", "--data", metavar="JSON", help="the body, or @ and a file's name")
    target.add_argument("--json", action="store_true", help="print JSON, for programs")
