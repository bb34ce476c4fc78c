"""Signatures of deliveries, as the library of Standard Webhooks verifies them in receivers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from pipeline.adapters.webhook_signatures import StandardSigner
from schemas.webhook_examples import EVENT

pytestmark = pytest.mark.unit

SIGNER = StandardSigner()
NAME = "01a21cbf-43aa-7d0b-b05d-7bf19f1769a1_content-ready"
BODY = json.dumps({**EVENT, "data": {"filename": "Grüße.mp4"}}, ensure_ascii=False)


def signed(*secrets: str, at: datetime | None = None) -> dict[str, str]:
    return dict(SIGNER.headers(secrets, NAME, at or datetime.now(UTC), BODY))


def verify(secret: str, headers: Mapping[str, str], body: str = BODY) -> None:
    assert Webhook(secret).verify(body.encode(), dict(headers)) == json.loads(body)


def test_a_secret_has_256_random_bits_and_a_prefix() -> None:
    first, second = SIGNER.new_secret(), SIGNER.new_secret()
    assert first != second
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


def test_a_receiver_verifies_what_was_signed() -> None:
    secret = SIGNER.new_secret()
    headers = signed(secret)
    assert set(headers) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert headers["webhook-id"] == NAME
    verify(secret, headers)


def test_with_two_secrets_a_receiver_with_either_verifies() -> None:
    current, previous = SIGNER.new_secret(), SIGNER.new_secret()
    headers = signed(current, previous)
    assert len(headers["webhook-signature"].split(" ")) == 2
    verify(current, headers)
    verify(previous, headers)


def test_another_secret_is_refused() -> None:
    with pytest.raises(WebhookVerificationError):
        verify(SIGNER.new_secret(), signed(SIGNER.new_secret(), SIGNER.new_secret()))


@pytest.mark.parametrize(
    "changed", [{"webhook-id": f"{NAME}x"}, {"webhook-timestamp": str(int(datetime.now(UTC).timestamp()) - 1)}]
)
def test_id_and_time_are_signed(changed: dict[str, str]) -> None:
    secret = SIGNER.new_secret()
    with pytest.raises(WebhookVerificationError):
        verify(secret, {**signed(secret), **changed})


def test_the_body_is_signed() -> None:
    secret = SIGNER.new_secret()
    with pytest.raises(WebhookVerificationError):
        verify(secret, signed(secret), BODY.replace("mp4", "mov"))


def test_an_attempt_of_six_minutes_ago_is_refused() -> None:
    secret = SIGNER.new_secret()
    with pytest.raises(WebhookVerificationError, match="old"):
        verify(secret, signed(secret, at=datetime.now(UTC) - timedelta(minutes=6)))
