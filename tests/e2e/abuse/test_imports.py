"""Imports of large objects by clients that leave, beside an honest client."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipeline.core.access import Scope
from tests.e2e.abuse.conftest import guarded, site_of
from tests.harness.abuse import imports
from tests.harness.keys import bearer, make_key
from tests.harness.media_samples import sample
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_BYTES = 3 * 1024**3
_OBJECTS = 4


def _sparse_video(path: Path) -> None:
    """Three gibibytes that occupy little of the disk: a video, and zeros, which readers ignore."""
    with path.open("wb") as file:
        file.write(sample("mp4").read_bytes())
        file.truncate(_BYTES)


async def test_importing_large_objects_from_a_directory(servers: Servers, tmp_path: Path) -> None:
    with guarded(servers, tmp_path, store="filesystem") as started:
        async with site_of(started) as site:
            await site.cell.store.put_object("raw/0.mp4", b"x", "video/mp4")
            (found,) = (tmp_path / "store" / "objects").iterdir()
            for number in range(1, _OBJECTS + 1):
                _sparse_video(found.with_name(found.name.replace("0", str(number))))
            _, operator = await make_key(site.cell.settings, "operator", Scope.OPERATE)
            names = [f"raw/{number}.mp4" for number in range(1, _OBJECTS + 1)]
            async with imports(names, bearer(operator), at_once=16)(site.mallory):
                await asyncio.sleep(2)  # clients leave after a second
                slowest = 0.0
                for _ in range(20):
                    began = asyncio.get_running_loop().time()
                    await site.alice.call("GET", "/v1/uploads", expect=200)
                    slowest = max(slowest, asyncio.get_running_loop().time() - began)
                assert slowest < 10, "requests wait for imports"
                await site.honest(2)
