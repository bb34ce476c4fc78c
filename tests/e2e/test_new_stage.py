"""A release that adds a stage takes over uploads in flight: each of them becomes `ready`, with that stage done.

The newer release is a copy of the product with stage `checksum` between `probe` and `persist`, on worker type
`assemble`. Processes of both releases share Redis during a rolling upgrade, in any order:

- an older gateway records uploads without the new stage: the newer workers read it as `pending`;
- an older worker that finishes `probe` does not queue `checksum`: the next process of the newer release that
  finishes a stage does, and one that is to start `persist` queues `checksum` first;
- an older worker that persists an upload makes it `ready` without `checksum`: it is what the older release would have
  made of it before the upgrade, so nothing is missing.

The cells run the command `sluice` for each process: preloaded ones would have imported this release already.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploy.cli.processes import SluiceProcesses
from deploy.embedded import EmbeddedStack
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually, hash_get
from tests.harness.holding import held_up
from tests.harness.media_samples import sample
from tests.harness.releases import PACKAGES, REPOSITORY, restart
from tests.harness.running import running_cell

pytestmark = pytest.mark.e2e

_ROW = "    Stage.CHECKSUM: StageSpec(WorkerType.ASSEMBLE, (Stage.PROBE,), Trigger.PREDECESSORS, 60, 3),\n"
_FIRST_IMPORT = "from __future__ import annotations\n"
_HANDLER = '''"""The new stage."""

from pipeline.engine.contract import Done


async def checksum(run):
    return Done({"checked": True})
'''


def _replace(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text, f"{path.name} has changed: {old!r} is not in it"
        text = text.replace(old, new, 1)
    path.write_text(text)


@pytest.fixture(scope="module")
def newer_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a copy of the product whose graph has one more stage."""
    directory, source = tmp_path_factory.mktemp("newer"), REPOSITORY
    for package in PACKAGES:
        shutil.copytree(source / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    _replace(
        directory / "pipeline/core/stages.py",
        ('    PERSIST = "persist"\n', '    CHECKSUM = "checksum"\n    PERSIST = "persist"\n'),
        ("    Stage.PERSIST: StageSpec(", f"{_ROW}    Stage.PERSIST: StageSpec("),
        (
            "(Stage.SEAL, Stage.THUMBNAIL, Stage.ASSEMBLE)",
            "(Stage.SEAL, Stage.THUMBNAIL, Stage.ASSEMBLE, Stage.CHECKSUM)",
        ),
    )
    (directory / "pipeline/stages/checksum.py").write_text(_HANDLER)
    _replace(
        directory / "pipeline/bootstrap/worker.py",
        (_FIRST_IMPORT, f"{_FIRST_IMPORT}from pipeline.stages.checksum import checksum\n"),
        ("Stage.ASSEMBLE: ", "Stage.CHECKSUM: checksum, Stage.ASSEMBLE: "),
    )
    return directory


async def _checksum(cell: Cell, upload_id: str) -> str | None:
    """The state of the new stage, which an older gateway does not show."""
    return await hash_get(cell.redis, cell.keys.upload(upload_id), "stage.checksum.state")


def _video(segments: int) -> bytes:
    """A small video with a long tail that is not part of it."""
    return sample("mp4").read_bytes().ljust(segments * SEGMENT_BYTES, b"\0")


@pytest.mark.parametrize("gateway_first", [False, True], ids=["older gateway", "newer gateway"])
async def test_an_upload_in_flight_goes_through_the_new_stage(
    servers: EmbeddedStack, tmp_path: Path, newer_release: Path, gateway_first: bool
) -> None:
    video = _video(4)
    async with running_cell(servers, tmp_path, processes=SluiceProcesses) as cell:
        upload = await cell.create(len(video))
        for number in (1, 2):
            await cell.put(upload, number, video)
        cell.processes.child("worker-all").stop()
        if gateway_first:
            await restart(cell.processes.child("gateway"), newer_release)
        assert await _checksum(cell, upload["id"]) is None, "the record is from before the stage"
        await cell.put_all(upload, video)
        await restart(cell.processes.child("worker-all"), newer_release)
        view = await cell.until(upload["id"], "ready")
        assert await _checksum(cell, upload["id"]) == "done"
        assert ("checksum" in view["stages"]) is gateway_first
        await cell.until_clean()


async def test_an_upload_whose_last_stage_was_running_goes_through_the_new_stage(
    servers: EmbeddedStack, tmp_path: Path, newer_release: Path
) -> None:
    video = _video(2)
    async with running_cell(servers, tmp_path, processes=SluiceProcesses, shutdown_seconds=2) as cell:
        upload = await cell.create(len(video))
        async with held_up(cell, "persist"):
            await cell.put_all(upload, video)

            async def persisting() -> bool:
                view = await cell.status(upload["id"])
                return bool(view["stages"]["persist"]["state"] == "running")

            await eventually(persisting, 60, lambda: "persist to run")
            cell.processes.child("worker-all").stop()
        await restart(cell.processes.child("worker-all"), newer_release)
        await cell.until(upload["id"], "ready")
        assert await _checksum(cell, upload["id"]) == "done"
        await cell.until_clean()


async def test_no_upload_is_stranded_while_workers_of_both_releases_run(
    servers: EmbeddedStack, tmp_path: Path, newer_release: Path
) -> None:
    video = _video(2)
    workers = {"worker-older": ["all"], "worker-newer": ["all"]}
    async with running_cell(servers, tmp_path, processes=SluiceProcesses, workers=workers) as cell:
        await restart(cell.processes.child("worker-newer"), newer_release)
        uploads = [await cell.create(len(video)) for _ in range(8)]
        for upload in uploads:
            await cell.put_all(upload, video)
        for upload in uploads:
            await cell.until(upload["id"], "ready")
        await cell.until_clean()
