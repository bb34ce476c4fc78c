"""The previous release and this one run side by side: each understands the records, jobs, journals and scripts of the
other, in any order of an upgrade and of its undoing.

The cells run the command `sluice` for each process: preloaded ones would have imported this release already.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.processes import SluiceProcesses
from pipeline.core.journal import write
from pipeline.core.journal_entries import Received, beginning
from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.losses import recover
from tests.harness.media_samples import sample
from tests.harness.new_uploads import new_upload
from tests.harness.releases import REPOSITORY, exported, restart
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers
from tests.harness.tracing import TRACEPARENT

pytestmark = pytest.mark.e2e

_PREVIOUS = "87b2d9f6e01d6c74cc5343709667f41af427be15"
"""The commit of release 0.1.0."""


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the previous release."""
    directory = tmp_path_factory.mktemp("previous")
    if not exported(_PREVIOUS, directory):
        pytest.skip("needs the history of the repository")
    return directory


_READ = """
import sys
from pipeline.core.journal import read
journal = read(sys.stdin.buffer.read())
print(journal.new.upload_id, journal.received)
"""


def test_the_previous_release_reads_a_journal_that_has_a_trace(previous: Path) -> None:
    new = new_upload(traceparent=TRACEPARENT)
    written = write([*beginning(new), Received(1, 7)])
    found = subprocess.run([sys.executable, "-c", _READ], cwd=previous, input=written, capture_output=True, check=True)
    assert found.stdout.decode().strip() == f"{new.upload_id} {{1: 7}}"


@pytest.fixture(autouse=True)
def nobody_collects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces are on, so that records hold what they add; the previous release knows none. Nobody receives them."""
    monkeypatch.setenv("SLUICE_TRACES", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")


def _video(segments: int) -> bytes:
    return sample("mp4").read_bytes().ljust(segments * SEGMENT_BYTES, b"\0")


async def _restart_all(cell: Cell, release: Path) -> None:
    for name in cell.processes.names:
        await restart(cell.processes.child(name), release)


async def _half_sent(cell: Cell, count: int) -> list[dict[str, str]]:
    video = _video(4)
    uploads = [await cell.create(len(video)) for _ in range(count)]
    for upload in uploads:
        for number in (1, 3):
            await cell.put(upload, number, video)
    return uploads


async def _finished(cell: Cell, uploads: list[dict[str, str]]) -> None:
    video = _video(4)
    for upload in uploads:
        await cell.put_all(upload, video)
    for upload in uploads:
        await cell.until(upload["id"], "ready")
        status, _, _ = await cell.call("GET", f"/v1/contents/{upload['id']}")
        assert status == 200


@pytest.mark.parametrize("gateway_is_old", [False, True], ids=["previous workers", "previous gateway"])
async def test_gateways_and_workers_of_both_releases_share_a_cell(
    servers: Servers, tmp_path: Path, previous: Path, gateway_is_old: bool
) -> None:
    async with running_cell(servers, tmp_path, processes=SluiceProcesses) as cell:
        await restart(cell.processes.child("gateway" if gateway_is_old else "worker-all"), previous)
        await _finished(cell, await _half_sent(cell, 3))
        await cell.until_clean()


async def test_uploads_in_flight_survive_an_upgrade_and_its_undoing(
    servers: Servers, tmp_path: Path, previous: Path
) -> None:
    async with running_cell(servers, tmp_path, processes=SluiceProcesses) as cell:
        await _restart_all(cell, previous)
        before = await _half_sent(cell, 2)
        await _restart_all(cell, REPOSITORY)
        meanwhile = await _half_sent(cell, 2)
        await _finished(cell, before[:1])
        await _restart_all(cell, previous)
        await _finished(cell, before[1:] + meanwhile)
        await cell.until_clean()


async def test_this_release_recovers_from_journals_of_the_previous_one(
    servers: Servers, tmp_path: Path, previous: Path
) -> None:
    async with running_cell(servers, tmp_path, processes=SluiceProcesses) as cell:
        await _restart_all(cell, previous)
        uploads = await _half_sent(cell, 2)
        for name in cell.processes.names:
            cell.processes.child(name).stop()
        async for key in cell.redis.scan_iter(f"{cell.keys.prefix}upload:*"):
            await cell.redis.delete(key)
        await _restart_all(cell, REPOSITORY)
        await recover(cell)
        await _finished(cell, uploads)
        await cell.until_clean()
