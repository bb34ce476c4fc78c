"""Readers: the real one, and one whose children do what their file orders them to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from tests.harness.attacks.run import CONFINED


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[SandboxedReader]:
    """The real reader, shared by the tests of a module that run in one event loop."""
    async with SandboxedReader() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hostile() -> AsyncIterator[SandboxedReader]:
    """A reader whose children do what their file says (`tests.harness.attacks.child`)."""
    async with SandboxedReader(ReaderRules(metadata_cpu_seconds=1, frame_cpu_seconds=1), CONFINED) as opened:
        yield opened
