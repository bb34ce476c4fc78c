"""`sluice upload`: complete uploads, and every kind of interruption."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from yarl import URL

from deploy.cli.client import SluiceClient
from deploy.cli.processes import GATEWAY
from deploy.cli.resume import ResumeStates, UploadIdentity
from deploy.embedded.process import run_all
from pipeline.adapters.redis.keys import Keys
from schemas.uploads import CreateUpload, UploadView
from tests.harness.faults.kinds import Hang, Pass
from tests.harness.faults.shaper import Shaper
from tests.integration.cli.conftest import BUDGET_BYTES, SEGMENT_BYTES, SEGMENTS, Cell, Sluice, events

pytestmark = pytest.mark.integration

Run = tuple[subprocess.Popen[str], list[dict[str, Any]]]


def manifest_etag(path: Path, segment_bytes: int = SEGMENT_BYTES) -> str:
    """Swift's etag of a static large object with these segments: the MD5 of the MD5s of its segments."""
    data = path.read_bytes()
    cut = [data[start : start + segment_bytes] for start in range(0, len(data), segment_bytes)]
    digests = "".join(hashlib.md5(segment, usedforsecurity=False).hexdigest() for segment in cut)
    return hashlib.md5(digests.encode(), usedforsecurity=False).hexdigest()


def read_until(process: subprocess.Popen[str], reached: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Events up to the first for which `reached` holds. Fails when the output ends before."""
    assert process.stdout is not None
    seen: list[dict[str, Any]] = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if reached(seen[-1]):
            return seen
    raise AssertionError(
        f"the output ended without that event: {seen[-3:]} {process.stderr.read() if process.stderr else ''}"
    )


def is_segment(count: int) -> Callable[[dict[str, Any]], bool]:
    """Holds at the event of the `count`th sent segment."""
    left = iter(range(count - 1))
    return lambda event: event["event"] == "segment" and next(left, None) is None


def numbers_sent(seen: list[dict[str, Any]]) -> list[int]:
    return [event["number"] for event in seen if event["event"] == "segment"]


def upload_of(cell: Cell, upload_id: str) -> UploadView:
    async def ask() -> UploadView:
        async with SluiceClient(cell.url) as client:
            return await client.upload(upload_id)

    return asyncio.run(ask())


def missing_numbers(cell: Cell, upload_id: str) -> list[int]:
    ranges = upload_of(cell, upload_id).missing_segments
    return [number for first, last in ranges for number in range(first, last + 1)]


def ended_event(seen: list[dict[str, Any]]) -> dict[str, Any]:
    assert seen[-1]["event"] == "ended"
    return seen[-1]


def test_an_uploaded_file_is_stored_byte_for_byte(sluice: Sluice, film: Path, tmp_path: Path) -> None:
    result = sluice.run("upload", str(film), "--json", "--metadata", "album=summer", "--concurrency", "8")
    assert result.returncode == 0, result.stderr
    seen = events(result.stdout)
    end = ended_event(seen)
    assert end["status"] == "ready"
    assert end["content"]["object"]["etag"] == manifest_etag(film)
    assert end["content"]["metadata"] == {"album": "summer"}
    assert end["content"]["filename"] == "film.mp4"
    assert sorted(numbers_sent(seen)) == list(range(1, SEGMENTS + 1))
    assert list((tmp_path / "state").rglob("*.json")) == []


def test_the_result_is_printed_to_standard_error(sluice: Sluice, film: Path) -> None:
    result = sluice.run("upload", str(film), "--digest", "md5")
    assert result.returncode == 0
    assert "ready film.mp4 is content" in result.stderr
    assert result.stdout == ""


def test_a_file_that_is_not_media_does_not_stop_the_others(sluice: Sluice, film: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no video at all\n" * 50)
    result = sluice.run("upload", str(text), str(film))
    assert result.returncode == 1
    assert "failed notes.mp4" in result.stderr
    assert "[NOT_MEDIA]" in result.stderr
    assert "ready film.mp4" in result.stderr


@asynccontextmanager
async def holding_line(cell: Cell, segments: int) -> AsyncIterator[Shaper]:
    """A line to the gateway that passes this many segments. Later ones hang, so no upload ends before the test allows
    it with `Pass()`."""
    address = URL(cell.url)
    assert address.host is not None
    assert address.port is not None
    async with Shaper((address.host, address.port), http=True) as shaper:
        await shaper.set(Hang(path="/segments/", after_requests=segments))
        yield shaper


async def held_upload(sluice: Sluice, film: Path, line: Shaper, count: int, concurrency: int = 1) -> Run:
    """A running `sluice upload` that has sent `count` segments, and its events so far."""
    arguments = ("upload", str(film), "--json", "--concurrency", str(concurrency), "--server", line.url)
    process = sluice.start(*arguments)
    return process, await asyncio.to_thread(read_until, process, is_segment(count))


async def completed(sluice: Sluice, film: Path, line: Shaper) -> list[dict[str, Any]]:
    """The events of the same command, run to its end."""
    result = await asyncio.to_thread(sluice.run, "upload", str(film), "--json", "--server", line.url)
    assert result.returncode == 0, result.stderr
    return events(result.stdout)


async def test_after_sigkill_the_next_run_sends_only_the_missing_segments(
    cell: Cell, sluice: Sluice, film: Path
) -> None:
    async with holding_line(cell, segments=10) as line:
        killed, seen = await held_upload(sluice, film, line, 9, concurrency=2)
        killed.send_signal(signal.SIGKILL)
        await asyncio.to_thread(killed.communicate)
        assert killed.returncode == -signal.SIGKILL
        await line.set(Pass())
        upload_id = seen[-1]["upload_id"]
        missing = await asyncio.to_thread(missing_numbers, cell, upload_id)
        assert 0 < len(missing) <= SEGMENTS - 9

        again = await completed(sluice, film, line)
    assert again[0]["event"] == "resumed"
    # A segment that was being sent at the kill may have arrived completely after `missing` was read.
    assert set(numbers_sent(again)) <= set(missing)
    assert len(missing) - len(numbers_sent(again)) <= 2
    assert not any(event.get("repeated") for event in again)
    assert ended_event(again)["upload_id"] == upload_id
    assert ended_event(again)["content"]["object"]["etag"] == manifest_etag(film)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_after_an_interruption_the_same_command_continues(
    cell: Cell, sluice: Sluice, film: Path, number: signal.Signals
) -> None:
    async with holding_line(cell, segments=5) as line:
        process, seen = await held_upload(sluice, film, line, 5)
        process.send_signal(number)
        _, printed = await asyncio.to_thread(process.communicate, timeout=30)
        assert process.returncode == 130
        assert "run the same command again to continue" in printed
        assert "Traceback" not in printed
        await line.set(Pass())
        assert ended_event(await completed(sluice, film, line))["upload_id"] == seen[-1]["upload_id"]


async def test_a_file_that_changed_between_runs_is_a_new_upload_and_the_old_one_is_cancelled(
    cell: Cell, sluice: Sluice, film: Path
) -> None:
    async with holding_line(cell, segments=3) as line:
        process, seen = await held_upload(sluice, film, line, 3)
        process.kill()
        await asyncio.to_thread(process.communicate)
        await line.set(Pass())
        upload_id = seen[-1]["upload_id"]
        with film.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"x")
        end = ended_event(await completed(sluice, film, line))
    assert end["upload_id"] != upload_id
    assert (await asyncio.to_thread(upload_of, cell, upload_id)).status == "cancelled"
    assert end["content"]["object"]["etag"] == manifest_etag(film)


async def test_a_file_that_changes_while_it_is_sent_is_cancelled(cell: Cell, sluice: Sluice, film: Path) -> None:
    async with holding_line(cell, segments=3) as line:
        process, seen = await held_upload(sluice, film, line, 3)
        os.utime(film)
        await line.set(Pass())
        rest, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 1
    assert "changed while it was being sent" in events(rest)[-1]["error"]["message"]
    assert (await asyncio.to_thread(upload_of, cell, seen[-1]["upload_id"])).status == "cancelled"


async def test_a_run_that_was_killed_before_the_response_creates_no_second_upload(
    cell: Cell, sluice: Sluice, film: Path, tmp_path: Path
) -> None:
    identity = UploadIdentity.of(film, film.stat(), cell.url, "video/mp4", {})
    state, _ = ResumeStates(tmp_path / "state" / "sluice" / "uploads").open(identity)
    async with SluiceClient(cell.url) as client:
        request = CreateUpload(filename="film.mp4", size=film.stat().st_size, content_type="video/mp4")
        created = await client.create(request, state.idempotency_key)
    result = await asyncio.to_thread(sluice.run, "upload", str(film), "--json")
    assert ended_event(events(result.stdout))["upload_id"] == created.id


async def test_it_waits_for_free_space_and_reports_its_place_in_the_queue(
    cell: Cell, sluice: Sluice, film: Path
) -> None:
    async with SluiceClient(cell.url) as client:
        request = CreateUpload(filename="big.mp4", size=BUDGET_BYTES, content_type="video/mp4")
        big = await client.create(request, "holds-all-the-room")
        async for view in client.watch(big.id):  # earlier tests' reservations must be released first
            if view.status != "waiting":
                break
        process = sluice.start("upload", str(film), "--json")
        seen = await asyncio.to_thread(read_until, process, lambda event: bool(event["event"] == "waiting"))
        assert seen[-1]["queue_position"] == 1
        await client.cancel(big.id)
    rest, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0
    assert ended_event(events(rest))["status"] == "ready"


async def test_an_upload_that_the_server_loses_while_it_waits_is_created_again(
    cell: Cell, sluice: Sluice, film: Path
) -> None:
    """Nothing of it is on the temp volume, so Redis cannot get it back."""
    keys = Keys(cell.environment["SLUICE_REDIS_NAMESPACE"])
    async with SluiceClient(cell.url) as client, Redis.from_url(cell.environment["SLUICE_REDIS_URL"]) as redis:
        request = CreateUpload(filename="big.mp4", size=BUDGET_BYTES, content_type="video/mp4")
        big = await client.create(request, "holds-all-the-room-again")
        async for view in client.watch(big.id):  # earlier tests' reservations must be released first
            if view.status != "waiting":
                break
        process = sluice.start("upload", str(film), "--json")
        waiting = await asyncio.to_thread(read_until, process, lambda event: bool(event["event"] == "waiting"))
        lost = waiting[-1]["upload_id"]
        await redis.delete(keys.upload(lost))
        seen = await asyncio.to_thread(read_until, process, lambda event: bool(event["event"] == "created"))
        assert seen[-1]["upload_id"] != lost
        await client.cancel(big.id)
    rest, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0
    assert ended_event(events(rest))["status"] == "ready"


def test_a_segment_that_the_server_lost_is_sent_again(cell: Cell, sluice: Sluice, film: Path) -> None:
    worker = cell.sluice.child("worker-all")
    worker.stop()
    try:
        process = sluice.start("upload", str(film), "--json")
        seen = read_until(process, lambda event: bool(event["event"] == "processing"))
        upload_id = seen[-1]["upload_id"]
        (temp_file,) = cell.temp_dir.glob(f"{upload_id}*.data")
        with temp_file.open("r+b") as file:
            file.seek(SEGMENT_BYTES + 7)
            byte = file.read(1)
            file.seek(SEGMENT_BYTES + 7)
            file.write(bytes([byte[0] ^ 1]))
    finally:
        run_all([worker.bring_up()])
    rest, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    again = events(rest)
    assert [event["event"] for event in again].count("lost") == 1
    assert numbers_sent(again) == [2]
    assert ended_event(again)["content"]["object"]["etag"] == manifest_etag(film)


async def test_an_upload_survives_a_killed_and_restarted_gateway(cell: Cell, sluice: Sluice, film: Path) -> None:
    async with holding_line(cell, segments=5) as line:
        process, _ = await held_upload(sluice, film, line, 5)
        gateway = cell.sluice.child(GATEWAY)
        gateway.stop(signal.SIGKILL)
        await line.set(Pass())
        await asyncio.to_thread(read_until, process, lambda event: bool(event["event"] == "retry"))
        run_all([gateway.bring_up()])
        rest, printed = await asyncio.to_thread(process.communicate, timeout=90)
    assert process.returncode == 0, printed
    assert ended_event(events(rest))["content"]["object"]["etag"] == manifest_etag(film)
