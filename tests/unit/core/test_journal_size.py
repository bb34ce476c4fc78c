"""What is set aside for a journal holds every entry that its upload usually makes."""

from __future__ import annotations

import pytest

from pipeline.core.journal import write
from pipeline.core.journal_entries import (
    Announced,
    Completed,
    Ended,
    Entry,
    Received,
    Released,
    Session,
    Stored,
    beginning,
)
from pipeline.core.journal_size import journal_bytes
from pipeline.core.lifecycle import Status
from pipeline.core.model import ClientDigest
from pipeline.core.stored_objects import ObjectVersion
from pipeline.core.transports import Transport
from pipeline.core.windows import BLOCK_BYTES
from tests.harness.new_uploads import new_upload

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize("count", [1, 9, 1_000, 10_000])
@pytest.mark.parametrize(
    "metadata", [{}, {"title": "x" * 16_000}, {"title": "\N{GRINNING FACE}" * 4_000}], ids=["none", "ascii", "emoji"]
)
def test_every_segment_is_received_stored_twice_and_released(
    count: int, metadata: dict[str, str], *, announced: bool
) -> None:
    etag = "e" * (32 if announced else 64)  # where the store compares an MD5, that is its etag
    new = new_upload(
        size_bytes=count * 10,
        metadata=metadata,
        filename="\N{GRINNING FACE}" * 255,
        digest=ClientDigest("sha-256", bytes(32)),
        idempotency_key="k" * 255,
        fingerprint="f" * 64,
        window_bytes=40,
        owner="o" * 64,
        traceparent="0" * 55,
    )
    entries: list[Entry] = []
    for number in range(1, count + 1):
        if announced:
            entries.append(Announced(number, 2**32 - 1, "e" * 32))
        entries += [Received(number, 2**32 - 1), Stored(number, etag), Stored(number, etag), Released((number,))]
    end = Ended(Status.FAILED, ("STORE_UNAVAILABLE", "why " * 100))
    written = write([*beginning(new), *entries, Session("s" * 1_000), Completed(), end])
    assert len(written) <= journal_bytes(new)
    assert journal_bytes(new) % BLOCK_BYTES == 0
    assert journal_bytes(new) - len(write(beginning(new))) <= 320 * count + 2 * BLOCK_BYTES, "no more than it needs"


@pytest.mark.parametrize("transport", [Transport.IMPORT, Transport.DIRECT, Transport.TOKEN])
def test_an_upload_of_any_size_that_sends_nothing_here_needs_two_blocks(transport: Transport) -> None:
    source = ObjectVersion("raw", "a", "e") if transport is Transport.IMPORT else None
    new = new_upload(size_bytes=5 * 1024**4, segment_bytes=10 * 1024**2, transport=transport, source=source)
    assert journal_bytes(new) <= 2 * BLOCK_BYTES
