"""A stage ends for a reason that nobody expected, or its worker lacks a tool: the upload is not to blame."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.bootstrap import worker_services
from pipeline.core.stages import Stage, WorkerType
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.holding import readers_killed
from tests.harness.media_samples import sample
from tests.harness.redis_calls import reply
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_SECONDS = 120.0


async def _sent(cell: Cell, data: bytes) -> str:
    upload = await cell.create(len(data))
    await cell.until(upload["id"], "admitted")
    await cell.put_all(upload, data)
    name: str = upload["id"]
    return name


@pytest.mark.parametrize("stage", [Stage.SEAL, Stage.PERSIST])
async def test_what_a_crashed_upload_has_stored_is_kept(servers: Servers, tmp_path: Path, stage: Stage) -> None:
    data = sample("mp4").read_bytes().ljust(3 * SEGMENT_BYTES, b"\0")
    async with running_cell(servers, tmp_path) as cell:
        upload = await cell.create(len(data))
        key = cell.keys.upload(upload["id"])
        # As if this stage's worker had died 21 times.
        await reply(cell.redis.hset(key, f"stage.{stage}.takeovers", "21"))
        await cell.until(upload["id"], "admitted")
        await cell.put_all(upload, data)
        view = await cell.until(upload["id"], "failed", seconds=_SECONDS)
        assert view["error"]["code"] == "STAGE_CRASHED"

        async def released() -> bool:
            return bool(await reply(cell.redis.hexists(key, "released_at_ms")))

        await eventually(released, _SECONDS, lambda: "its temp file and its reservation to be released")
        assert not [path for path in cell.settings.temp_dir.iterdir() if path.suffix == ".data"]
        assert not await cell.redis.exists(f"{cell.keys.volume(cell.settings.volume)}:reservations")
        assert await cell.redis.ttl(key) == -1, "the record stays until an operator removes it"
        kept = [name for name in await cell.stored_keys() if upload["id"] in name]
        assert kept
        async with worker_services(cell.settings, [WorkerType.ADMISSION]) as services:
            assert services.admission is not None
            await services.admission.orphaned_objects.sweep()
            await services.admission.cleanups.run()
            await services.admission.upkeep.sweep()
        assert [name for name in await cell.stored_keys() if upload["id"] in name] == kept
        if stage is Stage.PERSIST:
            assert await cell.read(f"contents/{upload['id']}/original") == data
        # What docs/operations.md tells an operator to do once the object is saved or removed.
        await cell.redis.zadd(f"{cell.keys.prefix}retired", {upload["id"]: 0})

        async def forgotten() -> bool:
            return (await cell.call("GET", f"/v1/uploads/{upload['id']}"))[0] == 404

        await eventually(forgotten, _SECONDS, lambda: "the record to be removed")


async def test_an_upload_waits_for_a_worker_whose_media_reader_works(servers: Servers, tmp_path: Path) -> None:
    """More often than the three attempts that a probe has."""
    data = sample("mp4").read_bytes()
    async with running_cell(servers, tmp_path) as cell:
        async with readers_killed(cell):
            upload_id = await _sent(cell, data)

            async def tried_often() -> bool:
                view = await cell.status(upload_id)
                assert view["status"] in ("receiving", "processing"), view
                probe = view["stages"]["probe"]
                return probe["error_code"] == "MEDIA_TOOL_FAILED" and int(probe["attempts"]) > 4

            await eventually(tried_often, _SECONDS, lambda: "the probe to be tried more than four times")
        await cell.until(upload_id, "ready", seconds=_SECONDS)
        await cell.until_clean()


async def test_the_outage_budget_of_the_workers_ends(servers: Servers, tmp_path: Path) -> None:
    async with running_cell(servers, tmp_path, crash_patience_seconds=2) as cell, readers_killed(cell):
        upload_id = await _sent(cell, sample("mp4").read_bytes())
        view = await cell.until(upload_id, "failed", seconds=_SECONDS)
        assert view["error"]["code"] == "MEDIA_TOOL_FAILED"
        assert view["stages"]["probe"]["attempts"] >= 4
        await cell.until_clean()
