"""Whatever goes wrong with a purge is the cache's fault, so that one purge does not end the others."""

from __future__ import annotations

import pytest

from pipeline.adapters.cache_purge import HttpCachePurge
from pipeline.core.errors import DependencyUnavailable

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "template", ["http://[::1/{key}", "http://a:99999/{key}", "ftp://a/{key}", "{key}", "http:///"]
)
async def test_a_url_that_cannot_be_used_is_reported(template: str) -> None:
    async with HttpCachePurge(template, "PURGE") as purge:
        with pytest.raises(DependencyUnavailable) as raised:
            await purge.purge("contents/a/original")
    assert raised.value.code == "CACHE_PURGE_FAILED"
