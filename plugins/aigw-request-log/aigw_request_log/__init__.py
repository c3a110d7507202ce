"""A plugin of aigw that writes one JSON line for each exchange."""

from aigw_request_log.config import RequestLogConfig
from aigw_request_log.plugin import RequestLog

__all__ = ["RequestLog", "RequestLogConfig"]
