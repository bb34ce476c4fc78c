"""Public keys that verify tokens, from PEM or from a JWK (RFC 7517). The type of a key decides its algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

_SMALLEST_RSA_BITS: Final = 2048
"""NIST SP 800-131A; RFC 7518 section 3.3."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key, and the one algorithm of tokens that it verifies. `name`: the `kid`, if it has one."""

    name: str | None
    algorithm: str
    key: Any


def from_pem(text: str) -> VerifyingKey:
    """Raises ValueError, with what is wrong, unless it is a public key of a type that is used here."""
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("it is not a public key in PEM") from error
    return VerifyingKey(None, _algorithm(key), key)


def from_jwk(data: Mapping[str, Any]) -> VerifyingKey | None:
    """None for a key that is not for signatures, or of a type that is not used here. Secrets (`oct`) are not used:
    everyone who can read a published secret can sign with it."""
    if data.get("use") not in (None, "sig") or data.get("kty") == "oct" or "d" in data:
        return None
    try:
        key = jwt.PyJWK.from_dict(dict(data)).key
        algorithm = _algorithm(key)
    except (jwt.PyJWTError, ValueError):
        return None
    name = data.get("kid")
    return VerifyingKey(name if isinstance(name, str) else None, algorithm, key)


def _algorithm(key: object) -> str:
    match key:
        case RSAPublicKey() if key.key_size >= _SMALLEST_RSA_BITS:
            return "RS256"
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return "ES256"
        case Ed25519PublicKey():
            return "EdDSA"
    raise ValueError(f"its type is not RSA of {_SMALLEST_RSA_BITS} bits or more, P-256 or Ed25519")
