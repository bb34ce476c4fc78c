"""`ports.webhooks.WebhookSigner` with the library of Standard Webhooks."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime

from standardwebhooks import Webhook

_SECRET_BYTES = 32


class StandardSigner:
    """Symmetric signatures, `v1`."""

    def new_secret(self) -> str:
        """See `WebhookSigner.new_secret`."""
        return "whsec_" + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()

    def headers(self, secrets: Sequence[str], event_id: str, timestamp: datetime, body: str) -> Mapping[str, str]:
        """See `WebhookSigner.headers`. `timestamp` is in UTC."""
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(timestamp.timestamp())),
            "webhook-signature": " ".join(Webhook(secret).sign(event_id, timestamp, body) for secret in secrets),
        }
