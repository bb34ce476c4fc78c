"""What a hostile file, or a hostile name, can make the tools do: nothing."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from deploy.embedded.media_tools import media_tool_path
from pipeline.adapters.media.ffmpeg import FfmpegThumbnailer
from pipeline.adapters.media.ffprobe import FfprobeMediaProbe
from pipeline.adapters.media.sandbox import Sandbox
from pipeline.core.errors import MediaError, SluiceError
from schemas.media import MediaMetadata
from tests.media_samples import playlists, sample

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
        async with asyncio.timeout(5):
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


async def test_limits_and_privileges_hold(sandbox: Sandbox, tmp_path: Path) -> None:
    confinement = await sandbox.confinement()
    result = await sandbox.run(
        ["/bin/sh", "-c", f"ulimit -a; cat /proc/self/status; env; echo x > {tmp_path}/file && echo wrote"],
        stdin=sample("jpeg"),
        timeout_seconds=7,
        stdout_limit_bytes=100_000,
    )
    pairs = (line.rsplit(None, 1) for line in result.stdout.decode().splitlines())
    said = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    assert confinement.describe()
    assert b"wrote" not in result.stdout
    assert "HOME" not in result.stdout.decode()
    if confinement.limits:
        assert said["vmemory(kbytes)"] == str(2 * 1024**2)
        assert (said["time(seconds)"], said["nofiles"], said["file(blocks)"]) == ("8", "64", "0")
    if confinement.privileges:
        assert said["NoNewPrivs:"] == "1"
        assert int(said["CapEff:"], 16) == 0


def _slow_tool(directory: Path) -> tuple[Path, Path]:
    """A tool that starts a child, writes both process ids and hangs, and where it writes them."""
    ids = directory / "ids"
    os.mkfifo(ids)  # a file that may be written in spite of the file size limit
    tool = directory / "slow"
    tool.write_text(f"#!/bin/sh\nsleep 1000 &\necho $$ $! > {ids}\nwait\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return tool, ids


async def _read_ids(ids: Path) -> list[int]:
    words = await asyncio.to_thread(ids.read_text)
    return [int(word) for word in words.split()]


async def _assert_gone(ids: list[int]) -> None:
    """The tool is reaped; its child is dead, and reaped as soon as the machine's init gets to it."""
    tool, child = ids
    assert _state(tool) is None
    async with asyncio.timeout(5):
        while _state(child) not in (None, "Z"):  # noqa: ASYNC110  # the kernel tells nobody but the parent
            await asyncio.sleep(0.01)


def _state(process_id: int) -> str | None:
    """The state letter of a process (proc(5)); None if there is no such process."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("kind", ["probe", "thumbnail"])
async def test_a_timeout_kills_the_whole_group(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    await sandbox.confinement()
    tool, ids = _slow_tool(tmp_path)
    reading = asyncio.create_task(_read_ids(ids))
    with pytest.raises(MediaError) as caught:
        await _use(kind, tool, 1.0, sandbox)
    assert caught.value.code == "MEDIA_TIMEOUT"
    assert caught.value.detail == {"timeout_seconds": 1.0}
    await _assert_gone(await reading)


@pytest.mark.parametrize("kind", ["probe", "thumbnail"])
async def test_cancellation_kills_the_whole_group(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    tool, ids = _slow_tool(tmp_path)
    running = asyncio.create_task(_use(kind, tool, 60, sandbox))
    processes = await _read_ids(ids)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _assert_gone(processes)


async def test_endless_output_is_cut_off_and_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    tool = tmp_path / "endless"
    tool.write_text("#!/bin/sh\nexec yes '{\"streams\": [{}'\n")
    tool.chmod(0o755)
    with pytest.raises(MediaError) as caught:
        await FfprobeMediaProbe(str(tool), 30, sandbox).probe(sample("jpeg"))
    assert "more streams" in caught.value.message


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("kill -SEGV $$", "NOT_MEDIA"),
        ("kill -KILL $$", "MEDIA_TOOL_FAILED"),
        ("kill -XCPU $$", "MEDIA_TIMEOUT"),
        ("echo Unrecognized option >&2; exit 1", "MEDIA_TOOL_FAILED"),
        ("echo not JSON", "NOT_MEDIA"),
        ("echo '[[[['", "NOT_MEDIA"),
        ("echo whatever >&2; exit 1", "NOT_MEDIA"),
    ],
)
async def test_how_a_tool_ends_decides_the_error(sandbox: Sandbox, tmp_path: Path, script: str, code: str) -> None:
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    with pytest.raises(SluiceError) as caught:
        await FfprobeMediaProbe(str(tool), 10, sandbox).probe(sample("jpeg"))
    assert caught.value.code == code


async def test_the_tool_dies_with_this_process(sandbox: Sandbox, tmp_path: Path) -> None:
    """PR_SET_PDEATHSIG holds through the whole chain of wrappers: ask the kernel, through the tool's own status."""
    if not (await sandbox.confinement()).privileges:
        pytest.skip("setpriv is missing")
    result = await sandbox.run(
        ["/usr/bin/setpriv", "--dump"], stdin=sample("jpeg"), timeout_seconds=5, stdout_limit_bytes=10_000
    )
    assert "Parent death signal: KILL" in " ".join(result.stdout.decode().split())


async def _use(kind: str, tool: Path, timeout_seconds: float, sandbox: Sandbox) -> object:
    if kind == "probe":
        return await FfprobeMediaProbe(str(tool), timeout_seconds, sandbox).probe(sample("jpeg"))
    metadata = MediaMetadata.model_validate(
        {
            "kind": "image",
            "container": "jpeg",
            "size_bytes": 1,
            "streams": [
                {
                    "type": "video",
                    "index": 0,
                    "codec": "mjpeg",
                    "width": 2,
                    "height": 2,
                    "coded_width": 2,
                    "coded_height": 2,
                }
            ],
        }
    )
    return await FfmpegThumbnailer(str(tool), timeout_seconds, sandbox).thumbnail(sample("jpeg"), metadata)
