"""A plugin of aigw that knows callers by JSON Web Tokens."""

from aigw_jwt.config import JwtConfig
from aigw_jwt.plugin import Jwt

__all__ = ["Jwt", "JwtConfig"]
