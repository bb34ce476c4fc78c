"""A temp volume that is full, fails or may not be written to, under the real processes: whoever sends is told so with
a code and when to come again, nothing that was acknowledged is lost, and when the disk is well everything finishes."""

from __future__ import annotations

import errno
import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.processes import SEPARATE
from deploy.embedded import EmbeddedStack
from tests.cell import SEGMENT_BYTES, Cell, eventually
from tests.disks import faulty_disk, fill, remount, small_disk
from tests.media_samples import sample
from tests.running import running_cell

pytestmark = pytest.mark.e2e

_DISK_BYTES = 10 * 1024 * 1024


def _video(segments: int = 8) -> bytes:
    """A small video with a long tail that is not part of it."""
    return sample("mp4").read_bytes().ljust(segments * SEGMENT_BYTES - 7, b"\0")


def _digest(data: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"


async def _metric(cell: Cell, process: str, name: str) -> float:
    async with cell.http.get(cell.processes.metrics_url(process)) as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def _logged(cell: Cell, event: str) -> list[dict[str, Any]]:
    """Log lines of that event, of the gateway and of the workers."""
    logs = [cell.processes.log_path(name).read_text().splitlines() for name in cell.processes.pids()]
    entries = [json.loads(line) for log in logs for line in log if line.startswith("{")]
    return [entry for entry in entries if entry["event"] == event]


async def _is_refused(cell: Cell, upload: Mapping[str, Any], number: int, data: bytes, code: str) -> None:
    status, body, headers = await cell.put(upload, number, data)
    assert (status, body["error"]["code"]) == (507, code), body
    assert int(headers["Retry-After"]) >= 1
    view = await cell.status(upload["id"])
    assert any(first <= number <= last for first, last in view["missing_segments"]), view


async def _finishes(cell: Cell, upload: Mapping[str, Any], data: bytes) -> None:
    view = await cell.until(upload["id"], "ready")
    content = await cell.content(view["content_id"])
    assert await cell.read(content["object"]["key"]) == data
    assert content["thumbnail"] is not None


async def _closed(cell: Cell, process: str = "worker-all") -> None:
    async def closed() -> bool:
        return await _metric(cell, process, "sluice_volume_closed") == 1

    await eventually(closed, 30, lambda: "admission to be closed")


async def _until_warned(cell: Cell) -> str:
    warnings: dict[str, str] = {}

    async def warned() -> bool:
        nonlocal warnings
        _, body, _ = await cell.call("GET", "/readyz", expect=200)
        warnings = body["data"]["warnings"]
        return "temp_volume" in warnings

    await eventually(warned, 30, lambda: "/readyz to warn")
    return warnings["temp_volume"]


async def test_somebody_else_fills_the_volume(servers: EmbeddedStack, tmp_path: Path) -> None:
    """Who is in goes on, since his bytes are set aside; who is not waits until there is room."""
    video, large = _video(), _video(28)
    with small_disk(tmp_path / "disk", _DISK_BYTES) as disk:
        async with running_cell(
            servers, tmp_path / "cell", temp_dir=str(disk), temp_budget_bytes=_DISK_BYTES, store="filesystem"
        ) as cell:
            inside = [await cell.create(len(video)) for _ in range(2)]
            assert [upload["status"] for upload in inside] == ["admitted"] * 2
            await cell.put(inside[0], 1, video)
            filler = fill(disk)
            waiting = await cell.create(len(large))
            assert (waiting["status"], waiting["queue_position"]) == ("waiting", 1)
            await _closed(cell)
            assert "SLUICE_TEMP_BUDGET_BYTES" in await _until_warned(cell)
            assert _logged(cell, "volume.closed")[0]["code"] == "TEMP_VOLUME_FULL"

            for upload in inside:
                await cell.put_all(upload, video)
            for upload in inside:
                await _finishes(cell, upload, video)
            view = await cell.status(waiting["id"])
            assert (view["status"], view["queue_position"]) == ("waiting", 1)
            status, body, headers = await cell.put(waiting, 1, large)
            assert (status, body["error"]["code"]) == (409, "UPLOAD_WAITING")
            assert int(headers["Retry-After"]) >= 1

            filler.unlink()
            await cell.until(waiting["id"], "admitted")
            await cell.put_all(waiting, large)
            await _finishes(cell, waiting, large)
            await cell.until_clean()
            assert _logged(cell, "volume.open")


async def test_no_space_for_a_file_that_was_taken_away(servers: EmbeddedStack, tmp_path: Path) -> None:
    """Somebody empties the volume and fills it: bytes that were set aside are not there in the middle of an upload."""
    video = _video()
    with small_disk(tmp_path / "disk", _DISK_BYTES) as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk), temp_budget_bytes=_DISK_BYTES) as cell:
            upload = await cell.create(len(video))
            (disk / f"{upload['id']}.data").unlink()
            filler = fill(disk)
            await _is_refused(cell, upload, 1, video, "TEMP_VOLUME_FULL")
            assert [path.name for path in disk.iterdir() if path.suffix != ".journal"] == [filler.name], (
                "what could not be made is not left"
            )
            filler.unlink()
            await cell.put_all(upload, video)
            await _finishes(cell, upload, video)
            await cell.until_clean()


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EIO, "TEMP_VOLUME_FAILED"), (errno.ENOSPC, "TEMP_VOLUME_FULL")], ids=["EIO", "ENOSPC"]
)
async def test_writing_fails_in_mid_segment(servers: EmbeddedStack, tmp_path: Path, number: int, code: str) -> None:
    video = _video()
    with faulty_disk(tmp_path / "disk") as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk.point)) as cell:
            upload = await cell.create(len(video))
            assert (await cell.put(upload, 1, video))[0] == 200
            disk.fail("write", number, after_bytes=SEGMENT_BYTES // 2)
            await _is_refused(cell, upload, 2, video, code)
            await _is_refused(cell, upload, 3, video, code)
            assert (await cell.status(upload["id"]))["missing_segments"] == [[2, 8]]

            other = await cell.create(len(video))
            assert other["status"] == "waiting", "nobody is let in to a disk that takes no bytes"
            await _closed(cell)
            assert {entry["code"] for entry in _logged(cell, "volume.closed")} == {code}
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
                await _finishes(cell, each, video)
            await cell.until_clean()


async def test_reading_fails_while_stages_run(servers: EmbeddedStack, tmp_path: Path) -> None:
    """Transfer and assemble try again until the disk reads, with a digest of the whole file and without."""
    video = _video()
    with faulty_disk(tmp_path / "disk") as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk.point)) as cell:
            disk.fail("read")
            plain, announced = await cell.create(len(video)), await cell.create(len(video), digest=_digest(video))
            for upload in (plain, announced):
                await cell.put_all(upload, video)

            async def tried_again() -> bool:
                stages, others = [(await cell.status(upload["id"]))["stages"] for upload in (plain, announced)]
                looked = (stages["transfer"], stages["assemble"], others["transfer"], others["assemble"])
                return all(stage["attempts"] >= 2 for stage in looked)

            await eventually(tried_again, 60, lambda: "stages to be tried again")
            retried = {(entry["stage"], entry["code"]) for entry in _logged(cell, "stage.retried")}
            assert retried == {(stage, "TEMP_VOLUME_FAILED") for stage in ("transfer", "assemble")}
            disk.heal()
            for upload in (plain, announced):
                await _finishes(cell, upload, video)
            await cell.until_clean()


@pytest.mark.parametrize(("stage", "before"), [("probe", "assemble"), ("thumbnail", "probe")])
async def test_reading_fails_while_a_tool_runs(servers: EmbeddedStack, tmp_path: Path, stage: str, before: str) -> None:
    """No file is called no media for it, and none does without a thumbnail."""
    video = sample("mp4").read_bytes()
    with faulty_disk(tmp_path / "disk") as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk.point), workers=SEPARATE) as cell:
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

            await eventually(tried_again, 60, lambda: f"{stage} to be tried again")
            assert {entry["code"] for entry in _logged(cell, "stage.retried")} == {"TEMP_VOLUME_FAILED"}
            disk.heal()
            await _finishes(cell, upload, video)
            await cell.until_clean()


async def test_a_disk_that_never_reads_again_ends_the_upload_with_its_code(
    servers: EmbeddedStack, tmp_path: Path
) -> None:
    video = _video()
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


async def test_the_volume_becomes_read_only(servers: EmbeddedStack, tmp_path: Path) -> None:
    """As a kernel does that finds errors on a disk: what is there can be finished, nothing new comes in."""
    video = _video()
    with small_disk(tmp_path / "disk", _DISK_BYTES) as disk:
        async with running_cell(servers, tmp_path / "cell", temp_dir=str(disk), temp_budget_bytes=_DISK_BYTES) as cell:
            whole, half = [await cell.create(len(video)) for _ in range(2)]
            await cell.put_all(whole, video)
            for number in range(1, 5):
                assert (await cell.put(half, number, video))[0] == 200

            async def read_only() -> bool:
                return remount(disk, "ro")

            await eventually(read_only, 30, lambda: "nobody to be writing")
            await _is_refused(cell, half, 5, video, "TEMP_VOLUME_FAILED")
            waiting = await cell.create(len(video))
            assert waiting["status"] == "waiting"
            status, body, _ = await cell.call("GET", "/readyz")
            assert (status, list(body["error"]["detail"]["problems"])) == (503, ["temp_volume"])
            await _closed(cell)
            await _finishes(cell, whole, video)

            assert remount(disk, "rw")
            await cell.until(waiting["id"], "admitted")
            for upload in (half, waiting):
                await cell.put_all(upload, video)
            for upload in (half, waiting):
                await _finishes(cell, upload, video)
            await cell.until_clean()


async def test_what_the_volume_can_never_hold_is_refused_at_once(servers: EmbeddedStack, tmp_path: Path) -> None:
    """Or it would stand at the head of the queue, and hold up everybody, until it expires."""
    with small_disk(tmp_path / "disk", _DISK_BYTES) as disk:
        headroom = 1024 * 1024
        capacity = _DISK_BYTES - headroom - 1024 * 1024  # and room for journals
        async with running_cell(
            servers,
            tmp_path / "cell",
            temp_dir=str(disk),
            temp_budget_bytes=10 * _DISK_BYTES,
            temp_headroom_bytes=headroom,
        ) as cell:
            body = {"filename": "a.mp4", "size": capacity + 1, "content_type": "video/mp4"}
            _, refused, _ = await cell.call("POST", "/v1/uploads", json=body, expect=413)
            assert refused["error"]["code"] == "FILE_TOO_LARGE_FOR_VOLUME"
            assert refused["error"]["detail"]["capacity_bytes"] == capacity
            assert refused["error"]["detail"]["budget_bytes"] == 10 * _DISK_BYTES
            assert "SLUICE_TEMP_BUDGET_BYTES" in await _until_warned(cell)
            assert _logged(cell, "volume.smaller_than_budget")
            upload = await cell.create(capacity)
            assert upload["status"] == "admitted"
            await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
            await cell.until_clean()


@pytest.mark.parametrize("durability", ["fsync", "page-cache"])
async def test_what_an_acknowledgement_waits_for(servers: EmbeddedStack, tmp_path: Path, durability: str) -> None:
    """With `fsync` no segment is acknowledged that the disk does not have; otherwise nobody waits for the disk."""
    video = _video(3)
    with faulty_disk(tmp_path / "disk") as disk:
        async with running_cell(
            servers, tmp_path / "cell", temp_dir=str(disk.point), durability=durability, store="filesystem"
        ) as cell:
            upload = await cell.create(len(video))
            disk.fail("fsync")
            if durability == "fsync":
                await _is_refused(cell, upload, 1, video, "TEMP_VOLUME_FAILED")
            else:
                status, body, _ = await cell.put(upload, 1, video)
                assert status in (200, 201), body
            disk.heal()
            await cell.put_all(upload, video)
            await _finishes(cell, upload, video)
            await cell.until_clean()
