"""What the operator may say in `[plugins.request-log]`."""

from __future__ import annotations

from attrs import field, frozen

from aigw.config.checks import at_least_one, count, each, filled, size_bytes


@frozen
class RequestLogConfig:
    """Settings of the plugin.

    path: the file, relative to the working folder; "-" is standard output.
    bodies: whether requests and answers are written too, up to max_body_bytes each.
    rotate_bytes: the size at which the file is put aside as `path.1`, `path.2` ...; 0 never does.
    keep_files: how many of those are kept.
    redact_fields: names of fields, of a line or anywhere in a body, whose value is not written.
    queue_lines: lines that may wait for the disk; beyond them lines are dropped, and counted.
    """

    path: str = field(default="aigw-requests.jsonl", validator=filled)
    bodies: bool = False
    max_body_bytes: int = field(default=64 * 2**10, converter=size_bytes, validator=count)
    rotate_bytes: int = field(default=100 * 2**20, converter=size_bytes, validator=count)
    keep_files: int = field(default=5, validator=at_least_one)
    redact_fields: tuple[str, ...] = field(default=(), validator=each(filled))
    queue_lines: int = field(default=10_000, validator=at_least_one)
