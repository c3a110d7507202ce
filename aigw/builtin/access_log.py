"""The access log: one line for each exchange, when it has ended.

Owns the line's shape. Writes through the logger `aigw.access` and configures no logging.
"""

from __future__ import annotations

import logging

from aigw.pipeline.exchange import Record

logger = logging.getLogger("aigw.access")


class AccessLog:
    """Log every exchange."""

    name = "access-log"
    on_failure = "open"

    def on_complete(self, record: Record) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        usage = record.usage
        logger.info(
            "%s %s %d %s tenant=%s model=%s target=%s attempts=%d tokens=%s first=%s took=%.3fs%s",
            record.id,
            record.path,
            record.status,
            record.ending,
            record.tenant,
            record.model or "-",
            f"{record.provider}/{record.upstream_model}" if record.provider else "-",
            len(record.attempts),
            f"{usage.input_tokens}+{usage.output_tokens}" if usage else "-",
            f"{record.first_token_s:.3f}s" if record.first_token_s is not None else "-",
            record.duration_s,
            f" error={record.error!r}" if record.error else "",
        )
