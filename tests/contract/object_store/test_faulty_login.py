"""Swift only: a token that is refused, and a login that fails."""

from __future__ import annotations

import pytest

from tests.contract.object_store.dialects import swift_client
from tests.contract.object_store.faulty_server import STALL_SECONDS, FaultyStore, respond
from tests.contract.object_store.test_faulty_store import failed_put

pytestmark = pytest.mark.contract


async def test_a_refused_token_is_renewed_once(faulty: FaultyStore) -> None:
    faulty.fault = respond(401)
    async with swift_client(faulty.url) as client:
        assert (await failed_put(client)).code == "STORE_AUTH_FAILED"
    assert (faulty.logins, faulty.puts) == (2, 2)


async def test_missing_rights_do_not_renew_the_token(faulty: FaultyStore) -> None:
    faulty.fault = respond(403)
    async with swift_client(faulty.url) as client:
        assert (await failed_put(client)).code == "STORE_AUTH_FAILED"
    assert faulty.logins == 1


async def test_refused_and_unavailable_logins_are_distinguished(faulty: FaultyStore) -> None:
    async with swift_client(faulty.url) as client:
        for fault, code in (
            (respond(500), "STORE_UNAVAILABLE"),
            (respond(503, {"Retry-After": "9"}), "STORE_UNAVAILABLE"),
            (respond(200, body=b"<html>a captive portal</html>"), "STORE_AUTH_FAILED"),
        ):
            faulty.auth_fault = fault
            assert (await failed_put(client)).code == code
    faulty.auth_fault = faulty.hang
    async with swift_client(faulty.url, STALL_SECONDS) as client:
        assert (await failed_put(client)).code == "STORE_UNAVAILABLE"
