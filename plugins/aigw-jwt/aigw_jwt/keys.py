"""The keys that tokens are verified with: one from a file, or a set of them by key id.

Owns reading keys and which key is right for a token's header. Knows no network: `jwks_url` is fetched
by `aigw_jwt.fetch`, which hands its text to `parse_jwks`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import orjson
from attrs import frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.exceptions import PyJWTError

from aigw.errors import ClientError, ConfigError, ErrorKind
from aigw_jwt.config import JwtConfig

logger = logging.getLogger("aigw.jwt")

Header = Mapping[str, Any]
_HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


@frozen
class OneKey:
    """The same key for every token."""

    key: Any

    def find(self, _header: Header) -> Any | None:
        return self.key


@frozen
class KeySet:
    """Keys by their id, as a JWKS lists them."""

    keys: tuple[Mapping[str, Any], ...]
    made: tuple[Any, ...]

    def find(self, header: Header) -> Any | None:
        """Return the key for a token's header; None when the set does not have it.

        A token without `kid` gets the one key that fits its algorithm. Raises ClientError if several do.
        """
        pairs = list(zip(self.keys, self.made, strict=True))
        if "kid" in header:
            pairs = [pair for pair in pairs if pair[0].get("kid") == header["kid"]]
        fitting = [made for jwk, made in pairs if _fits(jwk, header["alg"])]
        if len(fitting) > 1 and "kid" not in header:
            raise ClientError(
                "the token does not say which key signed it (kid), and several could have",
                kind=ErrorKind.AUTHENTICATION,
            )
        return fitting[0] if fitting else None


def _fits(jwk: Mapping[str, Any], algorithm: str) -> bool:
    """Tell whether a key may have made such a signature: a key that names its algorithm has no other."""
    return jwk.get("kty") == _KEY_TYPES.get(algorithm[:2]) and jwk.get("alg", algorithm) == algorithm


def parse_jwks(text: bytes) -> KeySet:
    """Read a JWKS document. Keys nobody here can use are left out. Raises ValueError if none is left."""
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError("it is not JSON") from None
    listed = tree.get("keys") if isinstance(tree, dict) else None
    if not isinstance(listed, list):
        raise ValueError('it has no list "keys"')  # noqa: TRY004 - whoever fetches it waits for ValueError
    keys: list[Mapping[str, Any]] = []
    made: list[Any] = []
    for jwk in listed:
        # A symmetric key has no place in a public document, and one for encryption signs nothing.
        if not isinstance(jwk, dict) or jwk.get("kty") == "oct" or jwk.get("use", "sig") != "sig":
            continue
        try:
            made.append(jwt.PyJWK(jwk).key)
        except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError) as error:
            logger.info("a key of the JWKS was left out: %s", error)
        else:
            keys.append(jwk)
    if not keys:
        raise ValueError("it has no key that could verify a signature")
    return KeySet(tuple(keys), tuple(made))


def read_keys(config: JwtConfig) -> OneKey | KeySet | None:
    """Read the key the configuration names; None if it is to be fetched. Raises ConfigError."""
    if config.secret is not None:
        return OneKey(_secret(config.secret.reveal().encode(), "secret", config))
    if config.secret_file is not None:
        return OneKey(_secret(_read(config.secret_file, "secret_file").strip(), "secret_file", config))
    if config.public_key_file is not None:
        return OneKey(_public_key(_read(config.public_key_file, "public_key_file"), config))
    if config.jwks_file is not None:
        try:
            return parse_jwks(_read(config.jwks_file, "jwks_file"))
        except ValueError as error:
            raise _refused("jwks_file", f"a JWKS document: {error}") from error
    return None


def _secret(secret: bytes, name: str, config: JwtConfig) -> bytes:
    if b"-----BEGIN" in secret:
        raise _refused(name, "a secret, not a PEM file: a public key is none")
    wanted = max(_HASH_BYTES[algorithm] for algorithm in config.algorithms)
    if len(secret) < wanted:
        raise _refused(name, f"at least {wanted} bytes for {', '.join(config.algorithms)} (RFC 7518, 3.2)")
    return secret


def _public_key(pem: bytes, config: JwtConfig) -> Any:
    try:
        if b"-----BEGIN CERTIFICATE" in pem:
            key: Any = load_pem_x509_certificate(pem).public_key()
        else:
            key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refused("public_key_file", "a PEM file with a public key or a certificate") from error
    for algorithm in config.algorithms:
        try:
            jwt.get_algorithm_by_name(algorithm).prepare_key(key)
        except (PyJWTError, TypeError, ValueError) as error:
            raise _refused("public_key_file", f"a key that fits {algorithm}") from error
    return key


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refused(name, f"a file that can be read: {path}: {error.strerror}") from error


def _refused(name: str, wanted: str) -> ConfigError:
    return ConfigError([f"plugins.jwt.{name}: wanted {wanted}"])
