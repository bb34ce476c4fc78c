"""SIGTERM ends a stack within 20 s whatever its clients do, and with exit status 0."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deploy.cli.processes import SEPARATE, SluiceProcesses
from tests.harness.cell import SEGMENT_BYTES, eventually
from tests.harness.crowds import SLOW_HEAD, crowd, request
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_LONGEST_SECONDS = 20.0
# For closing connections, on a busy machine.
_MARGIN_SECONDS = 12.0
_GAUGES = ("receiving_segments", "event_streams", "downloads")


async def test_an_abused_stack_ends_in_time(servers: Servers, tmp_path: Path) -> None:
    video = sample("mp4").read_bytes().ljust(32 * SEGMENT_BYTES, b"\0")
    # With its default settings, but for the names that keep tests apart.
    async with running_cell(servers, tmp_path, workers=SEPARATE, processes=SluiceProcesses) as cell:
        content = await cell.create(len(video))
        await cell.put_all(content, video)
        await cell.until(content["id"], "ready")
        uploads = [await cell.create(len(video)) for _ in range(4)]
        length = {"Content-Length": str(SEGMENT_BYTES)}
        download = request("GET", f"/v1/contents/{content['id']}/download?via=gateway")
        async with crowd(cell.url) as idle, crowd(cell.url) as abusers, crowd(cell.url) as readers:
            await idle.join(20)
            await abusers.join(20, SLOW_HEAD, b"a" * 1000)
            await readers.join(20, download, reads=False)
            for number, upload in enumerate(uploads, 1):
                path = f"/v1/uploads/{upload['id']}"
                await abusers.join(5, request("PUT", f"{path}/segments/{number}", length, b"x" * 1000))
                await abusers.join(5, request("PUT", f"{path}/segments/{number + 4}", length), b"x" * 1000)
                await abusers.join(5, request("GET", f"{path}/events"), reads=False)

            seen: dict[str, str] = {}

            async def at_work() -> bool:
                async with cell.http.get(cell.processes.metrics_url("gateway")) as response:
                    text = await response.text()
                parts = (line.rpartition(" ") for line in text.splitlines())
                seen.update((name, value) for name, _, value in parts)
                return [seen[f"sluice_{name}"] for name in _GAUGES] == ["40.0", "20.0", "20.0"]

            await eventually(at_work, 30, lambda: f"all of them to be served: {[seen[f'sluice_{n}'] for n in _GAUGES]}")
            children = {name: cell.processes.child(name) for name in cell.processes.names}
            began = time.monotonic()
            ended: dict[str, float] = {}
            for child in children.values():
                child.ask_to_stop()

            async def all_ended() -> bool:
                for name, child in children.items():
                    if child.pid is None:
                        ended.setdefault(name, time.monotonic() - began)
                return len(ended) == len(children)

            await eventually(all_ended, 90, lambda: f"every process to end: {ended}")
            assert max(ended.values()) < _LONGEST_SECONDS + _MARGIN_SECONDS, ended
            assert {name: child.exit_status for name, child in children.items()} == dict.fromkeys(children, 0)
