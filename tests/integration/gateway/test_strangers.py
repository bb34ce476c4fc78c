"""Those who guess the secret of stores."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from pydantic import SecretStr

from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.site import running_site

pytestmark = pytest.mark.integration

SECRET = "a-shared-secret"
PATH = "/v1/events/storage"


async def test_guesses_of_the_secret_of_stores_are_slowed_down(settings: Settings) -> None:
    """As those of keys are; the store that knows it may share the address."""
    async with running_site(settings, replace(OPTIONS, events_token=SecretStr(SECRET))) as site:
        codes = Counter([(await site.with_(f"guess-{number}", "POST", PATH)).code for number in range(300)])
        assert codes.keys() == {"EVENTS_TOKEN_WRONG", "RATE_LIMITED"}
        assert codes["EVENTS_TOKEN_WRONG"] < 250
        assert (await site.with_(SECRET, "POST", PATH, json={"Records": []})).status == 200
