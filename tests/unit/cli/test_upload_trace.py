"""The trace of a file that `sluice upload` sends, with and without the library of traces."""

from __future__ import annotations

import asyncio
import re

import pytest

from deploy.cli.errors import ClientError
from deploy.cli.upload_trace import file_trace, trace_headers, trace_id
from tests.harness.tracing import ids, traced

pytestmark = pytest.mark.unit


async def _headers() -> str:
    with file_trace():
        await asyncio.sleep(0)
        return trace_headers()["traceparent"]


async def test_each_file_has_a_trace_of_its_own_without_the_library() -> None:
    found = await asyncio.gather(*(_headers() for _ in range(8)))
    assert len({header.split("-")[1] for header in found}) == len(found)
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-03", header) for header in found)
    assert trace_headers() == {}
    assert trace_id() is None


async def test_with_the_library_the_trace_is_that_of_the_files_span() -> None:
    async with traced() as spans:
        with file_trace():
            header, trace = trace_headers()["traceparent"], trace_id()
        with pytest.raises(ClientError), file_trace():
            raise ClientError("it does not respond")
    sent, failed = spans.named("upload file")
    assert header.startswith(f"00-{ids(sent)[0]}-{ids(sent)[1]}-")
    assert trace == ids(sent)[0]
    assert dict(failed.attributes or {}) == {"error.type": ClientError("").code}
