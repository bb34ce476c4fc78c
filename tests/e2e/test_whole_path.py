"""A file uploaded through the gateway becomes a stored object, a metadata row and a thumbnail."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cell import SEGMENT_BYTES, Cell, swift_command
from tests.harness.ffprobe import ffprobe_path
from tests.harness.media_samples import ffmpeg, sample

pytestmark = pytest.mark.e2e


def _ffprobe(path: Path) -> dict[str, Any]:
    command = [ffprobe_path(), "-v", "error", "-of", "json", "-show_format", "-show_streams", str(path)]
    facts: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return facts


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of several segments whose moov box is at its end."""
    path = tmp_path_factory.mktemp("video") / "moov-at-the-end.mp4"
    noise = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=4,noise=alls=40:allf=t"]
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=4"]
    ffmpeg(*noise, *sound, "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M", "-c:a", "aac", "-shortest", path)
    return path


async def test_video_becomes_object_row_and_thumbnail(cell: Cell, video: Path, tmp_path: Path) -> None:
    data = video.read_bytes()
    assert len(data) > 3 * SEGMENT_BYTES
    digest = hashlib.sha256(data).digest()
    view = await cell.upload(data, filename="Müller & Söhne #1.mp4", metadata={"album": "Träume"})
    assert view["content_id"] == view["id"]
    assert view["bytes_received"] == view["bytes_stored"] == len(data)
    states = {name: stage["state"] for name, stage in view["stages"].items()}
    assert states == dict.fromkeys(states, "done") | {"assemble": "skipped"}, "no digest was announced"

    content = await cell.content(view["content_id"])
    assert content["filename"] == "Müller & Söhne #1.mp4"
    assert content["metadata"] == {"album": "Träume"}
    facts = _ffprobe(video)
    media = content["media"]
    picture = next(stream for stream in media["streams"] if stream["type"] == "video")
    probed = next(stream for stream in facts["streams"] if stream["codec_type"] == "video")
    assert media["duration_seconds"] == pytest.approx(float(facts["format"]["duration"]), abs=0.001)
    assert (picture["codec"], picture["width"], picture["height"]) == ("h264", probed["width"], probed["height"])
    assert picture["frame_rate"] == pytest.approx(25)
    heard = next(stream for stream in facts["streams"] if stream["codec_type"] == "audio")
    assert (content["container_format"], content["video_codec"], content["audio_codec"]) == ("mp4", "h264", "aac")
    assert (content["width"], content["height"], content["rotation"]) == (probed["width"], probed["height"], 0)
    assert (content["bit_rate"], content["frame_rate"]) == (int(facts["format"]["bit_rate"]), 25)
    assert (content["channels"], content["sample_rate"]) == (heard["channels"], int(heard["sample_rate"]))
    bounds = f"min_bit_rate={content['bit_rate']}&max_bit_rate={content['bit_rate']}"
    _, body, _ = await cell.call("GET", f"/v1/contents?video_codec=h264&{bounds}", expect=200)
    assert content in body["data"]["items"]

    # The object is a manifest of the segments, and downloads byte for byte.
    manifest = json.loads(await cell.manifest(content["object"]["key"]))
    assert [item["bytes"] for item in manifest] == [
        min(SEGMENT_BYTES, len(data) - start) for start in range(0, len(data), SEGMENT_BYTES)
    ]
    out = tmp_path / "downloaded.mp4"
    swift_command(cell, "download", content["object"]["container"], content["object"]["key"], "--output", str(out))
    assert hashlib.sha256(out.read_bytes()).digest() == digest

    thumbnail = await cell.read(content["thumbnail"]["key"])
    assert thumbnail[:3] == b"\xff\xd8\xff"
    await cell.until_clean()


@pytest.mark.parametrize(
    ("name", "kind", "has_thumbnail"),
    [
        ("jpeg", "image", True),
        ("png", "image", True),
        ("avif", "image", True),
        ("mp3", "audio", False),
        ("webm", "video", True),
    ],
)
async def test_other_kinds_of_media(cell: Cell, name: str, kind: str, has_thumbnail: bool) -> None:
    data = sample(name).read_bytes()
    view = await cell.upload(data, filename=f"file.{name}", content_type="application/octet-stream")
    content = await cell.content(view["id"])
    assert content["kind"] == kind
    assert (content["thumbnail"] is not None) == has_thumbnail
    assert await cell.read(content["object"]["key"]) == data


async def test_one_segment_is_a_plain_object(cell: Cell) -> None:
    data = sample("jpeg").read_bytes()
    content = await cell.content((await cell.upload(data, content_type="image/jpeg"))["id"])
    assert content["object"]["etag"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert not [key for key in await cell.stored_keys() if "segments" in key]


@pytest.mark.parametrize("segments", [1, 5])
async def test_what_is_no_media_fails_and_leaves_nothing(cell: Cell, segments: int) -> None:
    data = bytes(range(256)) * (SEGMENT_BYTES // 256) * segments
    upload = await cell.create(len(data), filename="no-video.mp4")
    await cell.put_all(upload, data)
    view = await cell.until(upload["id"], "failed")
    assert view["error"]["code"] == "NOT_MEDIA"
    assert view["content_id"] is None
    await cell.until_clean()


async def test_whole_file_digest_is_checked(cell: Cell) -> None:
    data = sample("mp4").read_bytes()
    wrong = "sha-256=:" + "A" * 43 + "=:"
    upload = await cell.create(len(data), digest=wrong)
    await cell.put_all(upload, data)
    view = await cell.until(upload["id"], "failed")
    assert view["error"]["code"] == "FILE_DIGEST_WRONG"
    await cell.until_clean()
