"""Receipts: signed by one of several keys, verified by a copy of the public ones, refused when anything differs."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from pipeline.adapters.tokens.receipts import (
    Ed25519ReceiptSigner,
    ReceiptError,
    new_private_key,
    public_key,
    verified,
)
from pipeline.settings import Settings
from schemas.receipts import RECEIPT_TYPE, ReceiptClaims, ReceiptKeys, ReceiptSegments

pytestmark = pytest.mark.unit

# The example of RFC 8037, appendix A.
_PRIVATE = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
_PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
_NAME = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
_OTHER = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

_CLAIMS = ReceiptClaims(
    iss="media.example",
    sub="01a21cbf-43aa-7d0b-b05d-7bf19f1769a1",
    iat=1_800_000_000,
    owner="default",
    filename="Ünïcödé.mp4",
    content_type="video/mp4",
    size=25,
    created_at=datetime(2026, 11, 28, tzinfo=UTC),
    digests=["crc32c=:4waSgw==:"],
    segments=ReceiptSegments.of([(10, 1), (10, 2), (5, 0xFFFFFFFF)]),
)


def keys(signer: Ed25519ReceiptSigner) -> dict[str, object]:
    """As a client reads them from the server."""
    served: dict[str, object] = json.loads(ReceiptKeys(keys=list(signer.keys)).model_dump_json())
    return served


def test_a_receipt_states_what_was_signed() -> None:
    signer = Ed25519ReceiptSigner([_PRIVATE])
    assert verified(signer.sign(_CLAIMS), keys(signer)) == (_CLAIMS, _NAME)


def test_the_key_of_rfc_8037_has_its_name() -> None:
    (key,) = Ed25519ReceiptSigner([_PRIVATE]).keys
    assert (key.x, key.kid) == (_PUBLIC, _NAME)
    raw = base64.urlsafe_b64decode(_PUBLIC + "=")
    assert public_key(Ed25519PublicKey.from_public_bytes(raw)) == key


def test_any_library_verifies_it() -> None:
    signer = Ed25519ReceiptSigner([_PRIVATE])
    token = signer.sign(_CLAIMS)
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": RECEIPT_TYPE, "kid": _NAME}
    claims = jwt.decode(token, jwt.PyJWKSet.from_dict(keys(signer))[_NAME], options={"verify_iat": False})
    assert (claims["sub"], claims["digests"]) == (_CLAIMS.sub, ["crc32c=:4waSgw==:"])


def test_a_key_is_replaced() -> None:
    """The new one signs. Receipts of the old one are valid as long as its public key is kept."""
    old = Ed25519ReceiptSigner([_PRIVATE])
    both = Ed25519ReceiptSigner([_OTHER, _PRIVATE])
    assert verified(old.sign(_CLAIMS), keys(both))[1] == _NAME
    assert verified(both.sign(_CLAIMS), keys(both))[1] != _NAME
    with pytest.raises(ReceiptError, match="do not contain"):
        verified(both.sign(_CLAIMS), keys(old))


def test_a_new_key_signs() -> None:
    first, second = new_private_key(), new_private_key()
    assert first != second
    assert Settings(receipt_keys=f"{first},{second}").receipt_keys[0].get_secret_value() == first
    signer = Ed25519ReceiptSigner([first])
    assert verified(signer.sign(_CLAIMS), keys(signer))[0] == _CLAIMS


@pytest.mark.parametrize("value", ["short", "A" * 42, "A" * 44, f"{_PRIVATE}="])
def test_what_is_no_key_is_refused_without_being_repeated(value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(receipt_keys=value)
    assert "sluice receipt new-key" in str(refused.value)


def _changed(token: str, part: int, old: str, new: str) -> str:
    parts = token.split(".")
    text = base64.urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)).decode()
    assert old in text
    parts[part] = base64.urlsafe_b64encode(text.replace(old, new).encode()).decode().rstrip("=")
    return ".".join(parts)


def test_a_receipt_that_was_changed_is_refused() -> None:
    signer = Ed25519ReceiptSigner([_PRIVATE])
    token = signer.sign(_CLAIMS)
    for changed in (
        _changed(token, 1, '"size":25', '"size":26'),
        _changed(token, 1, "4waSgw==", "4waSgg=="),
        f"{token[:-10]}{'A' if token[-10] != 'A' else 'B'}{token[-9:]}",
    ):
        with pytest.raises(ReceiptError, match="signature is wrong"):
            verified(changed, keys(signer))


def test_no_other_algorithm_and_no_other_type_is_accepted() -> None:
    signer = Ed25519ReceiptSigner([_PRIVATE])
    payload = json.loads(_CLAIMS.model_dump_json())
    named = {"typ": RECEIPT_TYPE, "kid": _NAME}
    unsigned = jwt.encode(payload, "", "none", named)
    with_public_key = jwt.encode(payload, _PUBLIC, "HS256", named)
    for forged in (unsigned, with_public_key):
        with pytest.raises(ReceiptError):
            verified(forged, keys(signer))
    with pytest.raises(ReceiptError, match="its type is 'JWT'"):
        verified(jwt.encode(payload, _PUBLIC, "HS256"), keys(signer))


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "ä", "{}", "." * 1000])
def test_what_is_no_receipt(text: str) -> None:
    with pytest.raises(ReceiptError):
        verified(text, {"keys": []})


@pytest.mark.parametrize("found", [{}, {"keys": 1}, {"keys": [1, {}, {"kid": _NAME}, {"kid": _NAME, "kty": "oct"}]}])
def test_a_set_without_a_key_that_can_be_used(found: dict[str, object]) -> None:
    with pytest.raises(ReceiptError, match="do not contain"):
        verified(Ed25519ReceiptSigner([_PRIVATE]).sign(_CLAIMS), found)


def test_ten_thousand_segments_fit_into_a_small_receipt() -> None:
    segments = [(10_485_760, number * 0x9E3779B9 & 0xFFFFFFFF) for number in range(9_999)] + [(123, 7)]
    stated = ReceiptSegments.of(segments)
    assert stated.sizes == [(10_485_760, 9_999), (123, 1)]
    assert list(stated.each()) == segments
    claims = _CLAIMS.model_copy(update={"segments": stated})
    assert len(Ed25519ReceiptSigner([_PRIVATE]).sign(claims)) < 80_000


def test_segments_of_which_one_is_not_known() -> None:
    stated = ReceiptSegments.of([(10, 1), (5, None)])
    assert list(stated.each()) == [(10, None), (5, None)]


@pytest.mark.parametrize(
    "stated",
    [
        ReceiptSegments(count=2, sizes=[(10, 1)], crc32c=None),
        ReceiptSegments(count=1, sizes=[(10, 0), (10, 1), (10, 0)], crc32c=None),
        ReceiptSegments(count=1, sizes=[(10, 1)], crc32c="AAAA"),
        ReceiptSegments(count=1, sizes=[(10, 1)], crc32c="ä"),
    ],
)
def test_fields_that_contradict_each_other(stated: ReceiptSegments) -> None:
    with pytest.raises(ValueError, match=r"segments|CRC-32C|ASCII"):
        list(stated.each())
