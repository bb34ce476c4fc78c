"""What a hostile file, or a hostile name, can make the tools do: nothing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from deploy.embedded.media_tools import media_tool_path
from pipeline.adapters.media.ffmpeg import FfmpegThumbnailer
from pipeline.adapters.media.ffprobe import FfprobeMediaProbe
from pipeline.adapters.media.sandbox import Sandbox
from pipeline.core.errors import MediaError
from tests.harness.media_samples import playlists, sample

pytestmark = pytest.mark.contract

SCRIPTS = tuple(playlists("x"))
NAMES = [
    "%03d.jpg",
    "two words.jpg",
    "wasser-\u6c34.jpg",
    "-i.jpg",
    "-report",
    "100%.jpg",
    "a\nb.jpg",
    "file:x",
    "concat:a|b",
    "*.jpg",
]


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_script_named_mp4_opens_no_other_file(
    probe: FfprobeMediaProbe, thumbnailer: FfmpegThumbnailer, tmp_path: Path, script: str
) -> None:
    secret = tmp_path / "secret.mp4"  # good media, so that reading it would succeed
    secret.write_bytes(sample("mp4").read_bytes())
    os.utime(secret, ns=(0, 0))
    upload = tmp_path / "upload.mp4"
    for target in (str(secret), f"file:{secret}", "secret.mp4", f"subfile,,start,0,end,0,,:{secret}"):
        upload.write_bytes(playlists(target)[script])
        with pytest.raises(MediaError) as caught:
            await probe.probe(upload)
        assert caught.value.code == "NOT_MEDIA"
        assert "secret" not in str(caught.value.detail)
        assert await thumbnailer.thumbnail(upload, await probe.probe(sample("mp4"))) is None
    untouched = secret.stat().st_atime_ns == 0
    secret.read_bytes()
    assert untouched or secret.stat().st_atime_ns == 0, "the secret was read"  # the latter: no access times here


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("confined", [True, False])
async def test_a_script_reaches_no_network(tmp_path: Path, script: str, confined: bool) -> None:
    """Without the network namespace too: the whitelists alone must hold where the kernel gives none."""
    connections: list[object] = []

    def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        upload = tmp_path / "upload.mp4"
        sandbox = Sandbox(isolate_network=confined)
        for scheme in ("http", "tcp", "rtmp"):
            upload.write_bytes(playlists(f"{scheme}://127.0.0.1:{port}/a.ts")[script])
            with pytest.raises(MediaError):
                await FfprobeMediaProbe(media_tool_path("ffprobe"), 20, sandbox).probe(upload)
    assert connections == []


@pytest.mark.parametrize("script", ["ffconcat", "hls"])
async def test_the_same_scripts_reach_out_of_a_careless_ffprobe(tmp_path: Path, script: str) -> None:
    """The control: without it, the tests above could pass because the scripts are wrong."""
    connected = asyncio.Event()

    def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    async with server:
        upload = tmp_path / "upload.m3u8"
        upload.write_bytes(playlists(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.ts")[script])
        careless = (
            "-v",
            "error",
            "-protocol_whitelist",
            "file,http,tcp",
            *(("-safe", "0") if script == "ffconcat" else ()),
        )
        argv = [media_tool_path("ffprobe"), *careless, f"file:{upload}"]
        await Sandbox(isolate_network=False).run(argv, stdin=upload, timeout_seconds=20, stdout_limit_bytes=10_000)
        async with asyncio.timeout(20):
            await connected.wait()


async def test_the_tool_has_no_network_at_all() -> None:
    sandbox = Sandbox()
    if (await sandbox.confinement()).network == "none":
        pytest.skip("this kernel gives no network namespace")
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        argv = [media_tool_path("ffprobe"), "-v", "error", url]
        result = await sandbox.run(argv, stdin=sample("jpeg"), timeout_seconds=10, stdout_limit_bytes=1000)
    assert "Network unreachable" in result.stderr or "Network is unreachable" in result.stderr


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_means_nothing(
    probe: FfprobeMediaProbe, thumbnailer: FfmpegThumbnailer, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(sample("jpeg").read_bytes())
    (tmp_path / "001.jpg").write_bytes(sample("jpeg_odd").read_bytes())  # what %03d would find
    metadata = await probe.probe(path)
    assert (metadata.container, metadata.streams) == ("jpeg", (await probe.probe(sample("jpeg"))).streams)
    assert await thumbnailer.thumbnail(path, metadata) is not None
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted((name, "001.jpg"))
