"""A certificate of Amazon SNS, and the signatures that its key has made."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

_HASHES: Final[dict[str, Callable[[], HashAlgorithm]]] = {"1": SHA1, "2": SHA256}


class SnsCertificate:
    """`pem`: the certificate. Raises ValueError if it is none."""

    def __init__(self, pem: bytes) -> None:
        self._certificate = x509.load_pem_x509_certificate(pem)

    def refusal(self, version: str, signature: str, signed: bytes, now: datetime) -> str | None:
        """Why `signature`, in base64 and of version "1" or "2", does not prove that the key has signed these bytes;
        None if it does."""
        if not self._certificate.not_valid_before_utc <= now <= self._certificate.not_valid_after_utc:
            return "the certificate is not valid at this time"
        key = self._certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            return "the certificate has no RSA key"
        try:
            key.verify(base64.b64decode(signature, validate=True), signed, PKCS1v15(), _HASHES[version]())
        except (InvalidSignature, binascii.Error, ValueError):
            return "the signature does not fit it"
        return None
