"""Swift alone: what a token that is refused, and a login that fails, come to."""

from __future__ import annotations

import pytest

from tests.contract.object_store.dialects import swift_client
from tests.contract.object_store.faulty_server import FaultyStore, answer
from tests.contract.object_store.test_faulty_store import failed_put

pytestmark = pytest.mark.contract


async def test_a_token_is_renewed_once_and_no_more(faulty: FaultyStore) -> None:
    faulty.fault = answer(401)
    async with swift_client(faulty.url) as client:
        assert (await failed_put(client)).code == "STORE_AUTH_FAILED"
    assert (faulty.logins, faulty.puts) == (2, 2)


async def test_a_lack_of_rights_needs_no_new_token(faulty: FaultyStore) -> None:
    faulty.fault = answer(403)
    async with swift_client(faulty.url) as client:
        assert (await failed_put(client)).code == "STORE_AUTH_FAILED"
    assert faulty.logins == 1


async def test_a_login_that_fails_is_told_apart(faulty: FaultyStore) -> None:
    async with swift_client(faulty.url) as client:
        for fault, code in (
            (answer(500), "STORE_UNAVAILABLE"),
            (answer(503, {"Retry-After": "9"}), "STORE_UNAVAILABLE"),
            (faulty.hang, "STORE_UNAVAILABLE"),
            (answer(200, body=b"<html>a captive portal</html>"), "STORE_AUTH_FAILED"),
        ):
            faulty.auth_fault = fault
            assert (await failed_put(client)).code == code
