"""`sluice upload` with a window, wanted segments and early metadata, at moments that only a scripted gateway can
choose. `test_early.py` uses real servers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.cli.client import OnRetry, SluiceClient
from deploy.cli.processes import import_path
from deploy.cli.resume import ResumeStates
from deploy.cli.uploader import Uploader, UploaderOptions
from schemas.uploads import CreateUpload, UploadView
from tests.integration.cli.conftest import events
from tests.integration.cli.scripted_gateway import MEDIA, SEGMENT_BYTES, ScriptedGateway, scripted_gateway

pytestmark = pytest.mark.integration

_FULL = (503, "SEGMENT_WINDOW_FULL", 1)

Upload = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def data() -> bytes:
    return os.urandom(20 * SEGMENT_BYTES - 100)


@pytest.fixture
def upload(tmp_path: Path, data: bytes) -> Upload:
    film = tmp_path / "film.mp4"
    film.write_bytes(data)
    environment = {**os.environ, "PYTHONPATH": import_path(), "XDG_STATE_HOME": str(tmp_path / "state")}

    async def run(gateway: ScriptedGateway, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deploy.cli", "upload", str(film), "--server", gateway.url, *arguments]
        return await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    return run


def gateway_for(data: bytes) -> ScriptedGateway:
    """It fails the upload once every byte has arrived, so that the command ends without a content."""
    gateway = ScriptedGateway(len(data))
    gateway.accepted = lambda _: ends_when_complete(gateway)
    return gateway


def ends_when_complete(gateway: ScriptedGateway) -> None:
    if len(gateway.parts) == gateway.count:
        gateway.end("failed", "STAGE_LOST", "The script ends here.")


def refusing(gateway: ScriptedGateway, times: int) -> Callable[[int], tuple[int, str, int] | None]:
    """After four segments, the window is full for so many requests."""
    left = iter(range(times))
    return lambda number: _FULL if len(gateway.parts) >= 4 and next(left, None) is not None else None


def content(gateway: ScriptedGateway) -> bytes:
    return b"".join(gateway.parts[number] for number in sorted(gateway.parts))


async def test_a_full_window_is_waited_for_and_is_no_failed_attempt(data: bytes, upload: Upload) -> None:
    gateway = gateway_for(data)
    gateway.refuse = refusing(gateway, 3)
    async with scripted_gateway(gateway):
        result = await upload(gateway, "--json", "--concurrency", "1")
    refused = [attempt for attempt in gateway.attempts if attempt.refused]
    assert len(refused) == 3
    assert content(gateway) == data
    assert [event["event"] for event in events(result.stdout)].count("window_full") == len(refused)
    assert "retry" not in {event["event"] for event in events(result.stdout)}
    times = [attempt.at for attempt in refused]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.95


async def test_a_refusal_costs_no_body_bytes(data: bytes, upload: Upload) -> None:
    """Once the window is known, the client sends a body only when the server asks for it."""
    gateway = gateway_for(data)
    gateway.refuse = refusing(gateway, 8)
    async with scripted_gateway(gateway):
        await upload(gateway, "--json", "--concurrency", "4")
    refused = [attempt for attempt in gateway.attempts if attempt.refused]
    assert len(refused) == 8
    assert all(attempt.expects and attempt.body_bytes == 0 for attempt in refused[4:]), "four were under way at first"
    assert sum(attempt.body_bytes for attempt in gateway.attempts) == len(data)
    assert content(gateway) == data


async def test_a_server_that_ignores_the_expectation_still_gets_the_file(data: bytes, upload: Upload) -> None:
    gateway = gateway_for(data)
    gateway.sends_continue = False
    refusals = iter([_FULL])
    gateway.refuse = lambda number: next(refusals, None) if number == 20 else None
    async with scripted_gateway(gateway):
        await upload(gateway, "--json", "--concurrency", "2")
    assert content(gateway) == data
    assert gateway.attempts[-1].number == 20
    assert not gateway.attempts[-1].expects


async def test_a_wanted_segment_goes_next_although_the_window_is_full(data: bytes, upload: Upload) -> None:
    """The window opens only when the segment that the reader wants has arrived: a client that waits instead, or sends
    another one, hangs."""
    gateway = gateway_for(data)

    def refuse(number: int) -> tuple[int, str, int] | None:
        if len(gateway.parts) >= 3 and 18 not in gateway.parts and number != 18:
            gateway.known["wanted_segments"] = [[18, 18]]
            return _FULL
        return None

    def accepted(number: int) -> None:
        if number == 18:
            gateway.known["wanted_segments"] = []
        ends_when_complete(gateway)

    gateway.refuse, gateway.accepted = refuse, accepted
    async with scripted_gateway(gateway):
        await upload(gateway, "--json", "--concurrency", "2")
    assert content(gateway) == data
    assert 18 in gateway.sent[:6]  # after three segments that had room, and one refusal of each of the two requests


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_segments_wanted_in_a_response_are_sent_next(data: bytes, upload: Upload, concurrency: int) -> None:
    """There are no events: the responses alone say it."""
    gateway = gateway_for(data)
    gateway.has_events = False
    gateway.segment_seconds = 0.1

    def accepted(number: int) -> None:
        gateway.known["wanted_segments"] = [] if 20 in gateway.parts else [[20, 20]]
        ends_when_complete(gateway)

    gateway.accepted = accepted
    async with scripted_gateway(gateway):
        await upload(gateway, "--json", "--concurrency", str(concurrency))
    assert 20 in gateway.sent[: 2 * concurrency]
    assert content(gateway) == data


async def test_segments_wanted_by_a_new_upload_are_sent_first(data: bytes, upload: Upload) -> None:
    gateway = gateway_for(data)
    gateway.known["wanted_segments"] = [[1, 1], [20, 20]]
    async with scripted_gateway(gateway):
        await upload(gateway, "--json", "--concurrency", "1")
    assert gateway.sent == [1, 20, *range(2, 20)]


async def test_segments_wanted_in_an_event_are_sent_next(data: bytes, upload: Upload) -> None:
    gateway = gateway_for(data)
    gateway.responses_want = False
    gateway.segment_seconds = 1.0

    def accepted(number: int) -> None:
        gateway.known["wanted_segments"] = [[19, 20]] if not {19, 20} <= set(gateway.parts) else []
        ends_when_complete(gateway)

    gateway.accepted = accepted
    async with scripted_gateway(gateway):
        await upload(gateway, "--json", "--concurrency", "2")
    assert set(gateway.sent[:6]) >= {19, 20}
    assert content(gateway) == data


async def test_segments_that_the_store_lost_are_sent_again(data: bytes, upload: Upload) -> None:
    """Once while others are being sent, once after the last one."""
    gateway = gateway_for(data)
    gateway.segment_seconds = 0.3
    lost: list[int] = []

    def accepted(number: int) -> None:
        if number == 6 and 2 not in lost:
            lost.append(2)
            del gateway.parts[2]
        if len(gateway.parts) == gateway.count and 9 not in lost:
            lost.append(9)
            del gateway.parts[9]
        ends_when_complete(gateway)

    gateway.accepted = accepted
    async with scripted_gateway(gateway):
        result = await upload(gateway, "--json", "--concurrency", "1")
    assert content(gateway) == data
    assert lost == [2, 9]
    assert sorted(gateway.sent) == sorted([*range(1, 21), 2, 9])
    assert "lost" in {event["event"] for event in events(result.stdout)}


async def test_a_file_that_is_refused_early_stops_the_client_at_once(data: bytes, upload: Upload) -> None:
    """The reason is known while segments are on their way, which would take minutes more."""
    gateway = gateway_for(data)
    gateway.segment_seconds = 0.2

    def accepted(number: int) -> None:
        if len(gateway.parts) == 2:
            gateway.segment_seconds = 60.0
            gateway.end("failed", "NOT_MEDIA", "This is a text.")

    gateway.accepted = accepted
    began = time.monotonic()
    async with scripted_gateway(gateway):
        result = await upload(gateway)
    assert time.monotonic() - began < 50, "a segment takes 60 s"
    assert result.returncode == 1
    assert "failed film.mp4: This is a text. [NOT_MEDIA]" in result.stderr
    assert len(gateway.attempts) <= 8


async def test_metadata_is_shown_once_as_soon_as_it_is_known(data: bytes, upload: Upload) -> None:
    gateway = gateway_for(data)
    gateway.segment_seconds = 0.05

    def accepted(number: int) -> None:
        if len(gateway.parts) == 3:
            gateway.known["media"] = MEDIA
        ends_when_complete(gateway)

    gateway.accepted = accepted
    async with scripted_gateway(gateway):
        lines = await upload(gateway, "--concurrency", "1")
        gateway.parts.clear()
        gateway.known.clear()
        objects = await upload(gateway, "--concurrency", "1", "--json")
    assert lines.stderr.splitlines().count("film.mp4: mp4, h264 1920x1080, aac, 12.0 s") == 1
    seen = events(objects.stdout)
    (media,) = (event for event in seen if event["event"] == "media")
    assert media["media"]["streams"][0]["codec"] == "h264"
    assert seen.index(media) < [event["event"] for event in seen].index("ended") - 10


async def test_a_gateway_that_knows_none_of_this_gets_the_file(data: bytes, upload: Upload) -> None:
    gateway = gateway_for(data)
    async with scripted_gateway(gateway):
        result = await upload(gateway, "--json")
    assert content(gateway) == data
    assert gateway.sent == sorted(gateway.sent) or len(gateway.sent) == 20
    assert not any(attempt.expects for attempt in gateway.attempts)
    assert json.loads(result.stdout.splitlines()[-1])["error"]["code"] == "STAGE_LOST"


async def test_uploads_whose_windows_are_full_do_not_keep_another_from_being_sent(tmp_path: Path, data: bytes) -> None:
    """The only turn is held by a file for which there is no room until the other one has arrived."""
    gateway = gateway_for(data)
    other = ScriptedGateway(3 * SEGMENT_BYTES)
    raise_after = time.monotonic() + 100
    gateway.refuse = lambda number: _FULL if len(other.parts) < 3 and time.monotonic() < raise_after else None
    other.accepted = lambda _: ends_when_complete(other)
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    first.write_bytes(data)
    second.write_bytes(data[: 3 * SEGMENT_BYTES])
    async with scripted_gateway(gateway), scripted_gateway(other):

        class Both(SluiceClient):
            """Creates the second file's upload on the other gateway."""

            async def create(
                self,
                request: CreateUpload,
                idempotency_key: str,
                on_retry: OnRetry | None = None,
                *,
                waits: bool = True,
            ) -> UploadView:
                self.server = other.url if request.filename == "second.mp4" else gateway.url
                return await super().create(request, idempotency_key, on_retry, waits=waits)

        async with Both(gateway.url) as client:
            uploader = Uploader(client, ResumeStates(tmp_path / "states"), UploaderOptions(concurrency=1))
            ended = await asyncio.gather(uploader.send(first), uploader.send(second))
    assert [outcome.view.status for outcome in ended] == ["failed", "failed"]
    assert content(gateway) == data
    assert time.monotonic() < raise_after
