"""Signs and verifies receipts: JWS in compact form (RFC 7515) with Ed25519 (RFC 8037). Implements
`ports.contents.ReceiptSigner`.

Guarantee: only Ed25519 verifies a receipt, whatever algorithm its header names, and only a token of type
`schemas.receipts.RECEIPT_TYPE` is one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from pipeline.adapters.tokens.verifying_keys import from_jwk
from schemas.receipts import RECEIPT_TYPE, ReceiptClaims, ReceiptKey

_ALGORITHM: Final = "EdDSA"


class ReceiptError(ValueError):
    """A receipt is not valid. The message says why, without a full stop."""


class Ed25519ReceiptSigner:
    """`secrets`: at least one private key, as `new_private_key` returns it; the first one signs."""

    def __init__(self, secrets: Sequence[str]) -> None:
        own = [Ed25519PrivateKey.from_private_bytes(_decoded(secret)) for secret in secrets]
        self._own = own[0]
        self._keys = tuple(public_key(key.public_key()) for key in own)

    @property
    def keys(self) -> Sequence[ReceiptKey]:
        return self._keys

    def sign(self, claims: ReceiptClaims) -> str:
        headers = {"typ": RECEIPT_TYPE, "kid": self._keys[0].kid}
        return jwt.PyJWS().encode(claims.model_dump_json().encode(), self._own, _ALGORITHM, headers)


def new_private_key() -> str:
    """A new private key: 32 bytes in base64url."""
    return _encoded(Ed25519PrivateKey.generate().private_bytes_raw())


def public_key(key: Ed25519PublicKey) -> ReceiptKey:
    """The key as a JWK. Its name is computed of it, so it is the same everywhere (RFC 7638; RFC 8037, section 2)."""
    x = _encoded(key.public_bytes_raw())
    members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    return ReceiptKey(x=x, kid=_encoded(hashlib.sha256(members.encode()).digest()))


def verified(receipt: str, jwk_set: Mapping[str, Any]) -> tuple[ReceiptClaims, str]:
    """What a receipt states, and the name of the key that signed it. `jwk_set`: public keys, of any origin; those of
    other kinds are not used. Raises ReceiptError."""
    try:
        header = jwt.get_unverified_header(receipt)
    except jwt.PyJWTError:
        raise ReceiptError("it is not a JWS in compact form") from None
    if header.get("typ") != RECEIPT_TYPE:
        raise ReceiptError(f"its type is {str(header.get('typ'))[:80]!r}, not {RECEIPT_TYPE!r}")
    name = str(header.get("kid"))
    try:
        payload = jwt.PyJWS().decode(receipt, _named(jwk_set, name), algorithms=[_ALGORITHM])
        return ReceiptClaims.model_validate_json(payload), name
    except jwt.InvalidSignatureError:
        raise ReceiptError("its signature is wrong: it was changed, or signed with another key") from None
    except jwt.PyJWTError as error:
        raise ReceiptError(f"it cannot be verified: {error}") from None
    except ValidationError:
        raise ReceiptError("it states something else than a receipt of this version") from None


def _named(jwk_set: Mapping[str, Any], name: str) -> Ed25519PublicKey:
    found = jwk_set.get("keys")
    for item in found if isinstance(found, list) else ():
        key = from_jwk(item) if isinstance(item, Mapping) and item.get("kid") == name else None
        if key is not None and key.algorithm == _ALGORITHM:
            public: Ed25519PublicKey = key.key
            return public
    raise ReceiptError(f"the keys do not contain {name[:80]!r}, which signed it")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
