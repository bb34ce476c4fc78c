"""The SQL of docs/sql.md, run as it is printed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from uuid6 import uuid7

from pipeline.adapters.postgres.contents import PostgresContentRepository
from pipeline.core.model import ContentRecord
from pipeline.core.stored_objects import StoredObject
from schemas.media import MediaMetadata

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[3]


def statements() -> dict[str, str]:
    """The comment above each statement -> the statement."""
    found = {}
    for block in re.findall(r"```sql\n(.*?)```", (ROOT / "docs/sql.md").read_text("utf-8"), re.DOTALL):
        for part in block.strip().split("\n\n"):
            comment, _, statement = part.partition("\n")
            found[comment.removeprefix("-- ")] = statement
    return found


# What is asked -> the rows of the answer, without ids
EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "H.264 videos above 1080p, upright ones too, newest first": [
        ("upright.mp4", 2160, 3840, 40_000_000),
        ("4k.mp4", 3840, 2160, 50_000_000),
    ],
    "Hours of video by codec": [("h264", 3, 2.5), ("vp9", 1, 0.5), ("hevc", 1, None)],
    "The ten highest bit rates": [
        ("huge.mov", "mov", 2**40, 60.0),
        ("4k.mp4", "mp4", 50_000_000, 29.97003),
        ("upright.mp4", "mp4", 40_000_000, 25.0),
        ("hd.mp4", "mp4", 8_000_000, 29.97003),
        ("web.webm", "webm", 2_000_000, 24.0),
        ("song.mp3", "mp3", 128_000, None),
    ],
    "Number and size of contents by month and format": [
        (datetime(2026, 1, 1, tzinfo=UTC), "mov", 1, "1000 bytes"),
        (datetime(2026, 1, 1, tzinfo=UTC), "mp3", 1, "1000 bytes"),
        (datetime(2026, 1, 1, tzinfo=UTC), "mp4", 3, "3000 bytes"),
        (datetime(2026, 1, 1, tzinfo=UTC), "webm", 1, "1000 bytes"),
        (datetime(2026, 2, 1, tzinfo=UTC), "jpeg", 1, "1000 bytes"),
    ],
    "Videos at 29.97 frames per second; a range, because rates are not exact": [
        ("hd.mp4", 29.97003),
        ("4k.mp4", 29.97003),
    ],
    "Videos without sound": [("huge.mov",), ("upright.mp4",)],
    "Surround sound, and sound below the quality of a CD": [
        ("4k.mp4", "aac", 6, 48_000),
        ("song.mp3", "mp3", 1, 22_050),
    ],
    "HDR videos: a value that is only in media": [("huge.mov",)],
    "All audio languages of each file": [("4k.mp4", ["eng", "fre"])],
    "By a tag of the file and by metadata that the client sent": [("4k.mp4", "Our Holiday")],
}


def picture(codec: str, width: int, height: int, rate: float | None, **more: Any) -> dict[str, Any]:
    size = {"width": width, "height": height, "coded_width": width, "coded_height": height}
    return {"type": "video", "index": 0, "codec": codec, "frame_rate": rate, **size, **more}


def sound(codec: str, channels: int, sample_rate: int, index: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "audio", "index": index, "codec": codec, "channels": channels, "sample_rate": sample_rate, **more}


# File name -> kind, format, seconds, bit rate, streams
FILES: dict[str, tuple[str, str, float | None, int | None, list[dict[str, Any]]]] = {
    "4k.mp4": (
        *("video", "mp4", 3600.0, 50_000_000),
        [
            picture("h264", 3840, 2160, 29.97003),
            sound("aac", 6, 48_000, language="eng"),
            sound("aac", 2, 48_000, 2, language="fre"),
        ],
    ),
    "hd.mp4": ("video", "mp4", 1800.0, 8_000_000, [picture("h264", 1920, 1080, 29.97003), sound("aac", 2, 48_000)]),
    "upright.mp4": ("video", "mp4", 3600.0, 40_000_000, [picture("h264", 2160, 3840, 25.0, rotation=90)]),
    "web.webm": ("video", "webm", 1800.0, 2_000_000, [picture("vp9", 1280, 720, 24.0), sound("opus", 2, 48_000)]),
    "huge.mov": ("video", "mov", None, 2**40, [picture("hevc", 3840, 2160, 60.0, hdr=True)]),
    "song.mp3": ("audio", "mp3", 180.0, 128_000, [sound("mp3", 1, 22_050)]),
    "photo.jpg": ("image", "jpeg", None, None, [picture("mjpeg", 4000, 3000, None)]),
}


@pytest.fixture
async def filled(contents: PostgresContentRepository, database: asyncpg.Connection) -> asyncpg.Connection:
    for day, (name, (kind, container, seconds, bit_rate, streams)) in enumerate(FILES.items(), 1):
        media = MediaMetadata.model_validate(
            {
                "kind": kind,
                "container": container,
                "duration_seconds": seconds,
                "bit_rate": bit_rate,
                "size_bytes": 1000,
                "tags": {"title": "Our Holiday"} if name == "4k.mp4" else {},
                "streams": streams,
            }
        )
        content_id = str(uuid7())
        stored = StoredObject("swift", "c", f"contents/{content_id}/original", 1000, "etag")
        record = ContentRecord(
            content_id, name, "a/b", stored, None, media.model_dump(mode="json"), {"project": "north"}
        )
        await contents.save(record)
        created = datetime(2026, 2, 1, tzinfo=UTC) if name == "photo.jpg" else datetime(2026, 1, day, tzinfo=UTC)
        await database.execute("UPDATE contents SET created_at = $1 WHERE id = $2", created, content_id)
    await database.execute("SET enable_seqscan = off")
    return database


def test_every_documented_statement_is_run() -> None:
    assert set(statements()) == set(EXPECTED)


@pytest.mark.parametrize("question", EXPECTED)
async def test_a_documented_statement_answers_its_question(filled: asyncpg.Connection, question: str) -> None:
    rows = await filled.fetch(statements()[question])
    answer = [tuple(value for name, value in row.items() if name != "id") for row in rows]
    assert answer == EXPECTED[question]


@pytest.mark.parametrize(
    ("question", "indexes"),
    [
        ("H.264 videos above 1080p, upright ones too, newest first", {"kind", "video_codec"}),
        ("The ten highest bit rates", {"bit_rate"}),
        ("Videos at 29.97 frames per second; a range, because rates are not exact", {"frame_rate"}),
        ("Videos without sound", {"kind", "audio_codec"}),
        ("Surround sound, and sound below the quality of a CD", {"channels", "sample_rate"}),
    ],
)
async def test_a_documented_statement_can_use_an_index(
    filled: asyncpg.Connection, question: str, indexes: set[str]
) -> None:
    rows = await filled.fetch(f"EXPLAIN {statements()[question]}")
    assert indexes & set(re.findall(r"contents_by_(\w+)", "\n".join(row[0] for row in rows)))


async def test_every_column_is_described(database: asyncpg.Connection) -> None:
    rows = await database.fetch(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = 'contents'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    types = {"timestamp with time zone": "timestamptz"}
    described: dict[str, str] = {}
    for names, kind in re.findall(
        r"^\| (`.*`) \| ([a-z ]+) \|", (ROOT / "docs/sql.md").read_text("utf-8"), re.MULTILINE
    ):
        described |= dict.fromkeys(re.findall(r"`(\w+)`", names), kind)
    assert {row[0]: types.get(row[1], row[1]) for row in rows} == described
