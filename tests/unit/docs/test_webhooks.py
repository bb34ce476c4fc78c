"""docs/webhooks.md: its code verifies what Sluice signs, and its tables are complete."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from pipeline.adapters.webhook_signatures import StandardSigner
from pipeline.core.webhooks import SUBSCRIBED
from schemas.webhook_examples import EVENT
from tests.harness.snippets import DOCS, snippet

pytestmark = pytest.mark.unit


def test_the_code_verifies_an_event() -> None:
    names: dict[str, Any] = {}
    exec(snippet("webhooks.md", "python", "def verified"), names)  # noqa: S102  # the code of our own document
    signer, body = StandardSigner(), json.dumps(EVENT)
    secret = signer.new_secret()
    headers = dict(signer.headers([secret], "an-id", datetime.now(UTC), body))
    assert names["verified"](secret, headers, body.encode()) == EVENT
    with pytest.raises(WebhookVerificationError):
        names["verified"](signer.new_secret(), headers, body.encode())


def test_every_event_has_a_row() -> None:
    text = (DOCS / "webhooks.md").read_text("utf-8")
    rows = re.findall(r"^\| `((?:upload|media|content)\.\w+)` \| \S", text, re.MULTILINE)
    assert rows == [str(kind) for kind in SUBSCRIBED]
