"""How much of the log a caller can fill."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

import gateway.middleware
from gateway.limits import LogBudget, RateLimit
from pipeline.logs import Log
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.site import Site, running_site

pytestmark = pytest.mark.integration

LONG = "a" * 7000


@pytest.fixture
async def site(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A gateway that logs three requests of strangers."""
    budget = LogBudget(RateLimit("log", per_second=0.001, burst=3))
    monkeypatch.setattr(gateway.middleware, "STRANGERS_LOG", budget)
    async with running_site(settings, OPTIONS) as running:
        yield running


def shown(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in lines if line["event"] == Log.REQUEST and line["log_level"] != "debug"]


@pytest.mark.parametrize("path", ["/v1/uploads", f"/v1/uploads/{LONG}", "/readyz"])
@pytest.mark.parametrize("method", ["OPTIONS", "PATCH"])
async def test_requests_that_need_no_key_fill_no_log(site: Site, method: str, path: str) -> None:
    with capture_logs() as lines:
        statuses = {(await site.with_(None, method, path)).status for _ in range(20)}
    assert statuses <= {200, 405}
    assert len(shown(lines)) == 3, "20 requests of strangers are not 20 lines"


async def test_a_long_path_is_cut_in_the_log(site: Site) -> None:
    for column in ("no key", "key of the owner"):
        with capture_logs() as lines:
            response = await site.as_(column, "GET", f"/v1/uploads/{LONG}")
        assert response.status == (404 if column == "key of the owner" else 401)
        (line,) = shown(lines)
        assert sum(len(str(value)) for value in line.values()) < 2000
