"""What an entry of the corpus is, and the ways in which entries are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.harness.media_samples import ffmpeg, sample

Builder = Callable[[Path], None]

SECONDS = 3
PICTURE = ("-f", "lavfi", "-i", f"testsrc2=size=320x240:rate=25:duration={SECONDS}")
SOUND = ("-f", "lavfi", "-i", f"sine=440:duration={SECONDS}:sample_rate=48000")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-b:a", "64k")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")


@dataclass(frozen=True, slots=True)
class Entry:
    """How a file is made, and what is true of it: its length (None for a still picture) and how it is turned, in
    degrees clockwise after a flip from left to right."""

    build: Builder
    seconds: float | None = SECONDS
    turned: tuple[int, bool] = (0, False)
    kind: str = "video"


def made(*arguments: str | Path) -> Builder:
    """A file that ffmpeg writes itself, and can go back in to complete the header."""
    return lambda path: void(ffmpeg(*arguments, path))


def piped(*arguments: str | Path) -> Builder:
    """A file that ffmpeg writes to a pipe, as recorders do: the header stays as it was at the beginning."""
    return lambda path: void(path.write_bytes(ffmpeg(*arguments, "pipe:1")))


def changed(source: str | Builder, change: Callable[[bytes], bytes]) -> Builder:
    """A sample, or a file that is made first, with other bytes."""

    def build(path: Path) -> None:
        if isinstance(source, str):
            content = sample(source).read_bytes()
        else:
            source(path)
            content = path.read_bytes()
        path.write_bytes(change(content))

    return build


def remuxed(source: str, form: str, *arguments: str, before: tuple[str, ...] = ()) -> Builder:
    """A sample in another container, or with other options of it."""
    return lambda path: void(
        ffmpeg(*before, "-i", sample(source), "-map", "0", "-c", "copy", *arguments, "-f", form, path)
    )


def void(_: object) -> None:
    """Drops a result."""
