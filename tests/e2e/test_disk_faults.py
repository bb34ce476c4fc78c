"""A temp volume that is full, fails or is read-only, with real processes.

Clients get an error code and Retry-After, nothing that was acknowledged is lost, and every upload finishes once the
disk works again."""

from __future__ import annotations

import errno
import hashlib
from base64 import b64encode
from pathlib import Path

import pytest

from tests.e2e.disk_checks import DISK_BYTES, finishes, is_refused, logged, small_video, until_warned
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.disks import faulty_disk, fill, remount, small_disk
from tests.harness.media_samples import sample
from tests.harness.running import apart, running_cell
from tests.harness.shared_stack import Servers
from tests.harness.slow_picture import slow_picture

pytestmark = pytest.mark.e2e


def _digest(data: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"


async def _metric(cell: Cell, process: str, name: str) -> float:
    async with cell.http.get(cell.processes.metrics_url(process)) as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def _closed(cell: Cell, process: str = "worker-all") -> None:
    async def closed() -> bool:
        return await _metric(cell, process, "sluice_volume_closed") == 1

    await eventually(closed, 30, lambda: "admission to be closed")


async def test_another_program_fills_the_volume(servers: Servers, tmp_path: Path) -> None:
    """Admitted uploads continue, since their bytes are allocated; others wait until there is room."""
    video, large = small_video(), small_video(28)
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        async with running_cell(
            servers,
            tmp_path / "cell",
            temp_dir=str(disk),
            temp_budget_bytes=DISK_BYTES,
            temp_share=1,
            store="filesystem",
        ) as cell:
            inside = [await cell.create(len(video)) for _ in range(2)]
            assert [upload["status"] for upload in inside] == ["admitted"] * 2
            await cell.put(inside[0], 1, video)
            filler = fill(disk)
            before = sorted(path.name for path in disk.iterdir())
            waiting = await cell.create(len(large))
            assert (waiting["status"], waiting["queue_position"]) == ("waiting", 1)
            assert sorted(path.name for path in disk.iterdir()) == before, "it has no file"
            await _closed(cell)
            assert "The disk is full: 0 bytes are free" in await until_warned(cell)
            assert logged(cell, "volume.closed")[0]["code"] == "TEMP_VOLUME_FULL"

            for upload in inside:
                await cell.put_all(upload, video)
            for upload in inside:
                await finishes(cell, upload, video)
            view = await cell.status(waiting["id"])
            assert (view["status"], view["queue_position"]) == ("waiting", 1)
            status, body, headers = await cell.put(waiting, 1, large)
            assert (status, body["error"]["code"]) == (409, "UPLOAD_WAITING")
            assert int(headers["Retry-After"]) >= 1

            filler.unlink()
            await cell.until(waiting["id"], "admitted")
            await cell.put_all(waiting, large)
            await finishes(cell, waiting, large)
            await cell.until_clean()
            assert logged(cell, "volume.open")


async def test_no_space_to_allocate_a_deleted_temp_file_again(servers: Servers, tmp_path: Path) -> None:
    """Another program deletes the temp file and fills the volume, so that an upload loses its allocation."""
    video = small_video()
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk), temp_budget_bytes=DISK_BYTES) as cell:
            upload = await cell.create(len(video))
            (disk / f"{upload['id']}.data").unlink()
            filler = fill(disk)
            await is_refused(cell, upload, 1, video, "TEMP_VOLUME_FULL")
            assert [path.name for path in disk.iterdir() if path.suffix != ".journal"] == [filler.name], (
                "no partial file is left"
            )
            filler.unlink()
            await cell.put_all(upload, video)
            await finishes(cell, upload, video)
            await cell.until_clean()


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EIO, "TEMP_VOLUME_FAILED"), (errno.ENOSPC, "TEMP_VOLUME_FULL")], ids=["EIO", "ENOSPC"]
)
async def test_writing_fails_in_mid_segment(servers: Servers, tmp_path: Path, number: int, code: str) -> None:
    video = small_video()
    with faulty_disk(tmp_path / "disk") as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk.point)) as cell:
            upload = await cell.create(len(video))
            assert (await cell.put(upload, 1, video))[0] == 200
            disk.fail("write", number, after_bytes=SEGMENT_BYTES // 2)
            await is_refused(cell, upload, 2, video, code)
            await is_refused(cell, upload, 3, video, code)
            assert (await cell.status(upload["id"]))["missing_segments"] == [[2, 8]]

            other = await cell.create(len(video))
            assert other["status"] == "waiting", "nothing is admitted to a disk that cannot be written"
            await _closed(cell)
            assert {entry["code"] for entry in logged(cell, "volume.closed")} == {code}
            assert await _metric(cell, "gateway", f'sluice_temp_volume_errors_total{{code="{code}"}}') >= 2
            status, body, _ = await cell.call("GET", "/readyz")
            if number == errno.EIO:
                assert (status, list(body["error"]["detail"]["problems"])) == (503, ["temp_volume"])
            else:
                assert status == 200
            assert (await cell.status(other["id"]))["status"] == "waiting"

            disk.heal()
            await cell.until(other["id"], "admitted")
            await cell.call("GET", "/readyz", expect=200)
            for each in (upload, other):
                await cell.put_all(each, video)
            for each in (upload, other):
                await finishes(cell, each, video)
            await cell.until_clean()


async def test_reading_fails_while_stages_run(servers: Servers, tmp_path: Path) -> None:
    """Transfer, probe and assemble retry until the disk can be read; assemble reads only what has a digest."""
    video = small_video()
    with faulty_disk(tmp_path / "disk") as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk.point)) as cell:
            disk.fail("read")
            plain, announced = await cell.create(len(video)), await cell.create(len(video), digest=_digest(video))
            for upload in (plain, announced):
                await cell.put_all(upload, video)

            async def tried_again() -> bool:
                stages, others = [(await cell.status(upload["id"]))["stages"] for upload in (plain, announced)]
                assert stages["assemble"]["state"] == "skipped"
                looked = (
                    stages["transfer"],
                    stages["probe"],
                    *(others[name] for name in ("transfer", "probe", "assemble")),
                )
                return all(stage["attempts"] >= 2 for stage in looked)

            await eventually(tried_again, 60, lambda: "stages to be retried")
            retried = {(entry["stage"], entry["code"]) for entry in logged(cell, "stage.retried")}
            assert retried == {(stage, "TEMP_VOLUME_FAILED") for stage in ("transfer", "probe", "assemble")}
            disk.heal()
            for upload in (plain, announced):
                await finishes(cell, upload, video)
            await cell.until_clean()


@pytest.mark.parametrize(("stage", "before"), [("probe", "seal"), ("thumbnail", "probe")])
async def test_reading_fails_while_media_is_read(servers: Servers, tmp_path: Path, stage: str, before: str) -> None:
    """An unreadable disk neither makes a file NOT_MEDIA nor costs it its thumbnail."""
    video = sample("mp4").read_bytes() if stage == "probe" else slow_picture()
    with faulty_disk(tmp_path / "disk") as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk.point), workers=apart(stage)) as cell:
            worker = cell.processes.child(f"worker-{stage}")
            worker.stop()
            upload = await cell.create(len(video))
            await cell.put_all(upload, video)

            async def the_rest_is_done() -> bool:
                stages = (await cell.status(upload["id"]))["stages"]
                return all(stages[name]["state"] == "done" for name in ("seal", before))

            await eventually(the_rest_is_done, 60, lambda: f"seal and {before} to be done")
            disk.fail("read")
            worker.start()

            async def tried_again() -> bool:
                return bool((await cell.status(upload["id"]))["stages"][stage]["attempts"] >= 2)

            await eventually(tried_again, 60, lambda: f"{stage} to be retried")
            assert {entry["code"] for entry in logged(cell, "stage.retried")} == {"TEMP_VOLUME_FAILED"}
            disk.heal()
            await finishes(cell, upload, video)
            await cell.until_clean()


async def test_a_disk_that_never_reads_again_ends_the_upload_with_its_code(servers: Servers, tmp_path: Path) -> None:
    video = small_video()
    with faulty_disk(tmp_path / "disk") as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk.point), disk_patience_seconds=2) as cell:
            upload = await cell.create(len(video))
            assert (await cell.put(upload, 1, video))[0] == 200

            async def stored() -> bool:
                return bool((await cell.status(upload["id"]))["bytes_stored"])

            await eventually(stored, 30, lambda: "the first segment to be stored")
            disk.fail("read")
            await cell.put_all(upload, video)
            view = await cell.until(upload["id"], "failed")
            assert view["error"]["code"] == "TEMP_VOLUME_FAILED"
            await cell.until_clean()


async def test_the_volume_becomes_read_only(servers: Servers, tmp_path: Path) -> None:
    """Kernels remount a disk read-only when it has errors: complete uploads finish, and no bytes are accepted."""
    video = small_video()
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk), temp_budget_bytes=DISK_BYTES) as cell:
            whole, half = [await cell.create(len(video)) for _ in range(2)]
            await cell.put_all(whole, video)
            for number in range(1, 5):
                assert (await cell.put(half, number, video))[0] == 200

            async def read_only() -> bool:
                return remount(disk, "ro")

            await eventually(read_only, 30, lambda: "all files to be closed for writing")
            await is_refused(cell, half, 5, video, "TEMP_VOLUME_FAILED")
            waiting = await cell.create(len(video))
            assert waiting["status"] == "waiting"
            status, body, _ = await cell.call("GET", "/readyz")
            assert (status, list(body["error"]["detail"]["problems"])) == (503, ["temp_volume"])
            await _closed(cell)
            await finishes(cell, whole, video)

            assert remount(disk, "rw")
            await cell.until(waiting["id"], "admitted")
            for upload in (half, waiting):
                await cell.put_all(upload, video)
            for upload in (half, waiting):
                await finishes(cell, upload, video)
            await cell.until_clean()
