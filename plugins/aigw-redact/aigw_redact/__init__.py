"""A plugin of aigw that redacts secrets and personal data in requests and answers, also streamed ones."""

from aigw_redact.config import OwnPattern, RedactConfig
from aigw_redact.plugin import Redact
from aigw_redact.redactor import Redactor

__all__ = ["OwnPattern", "Redact", "RedactConfig", "Redactor"]
