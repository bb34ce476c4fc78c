"""Thumbnails by ffmpeg (`ports.Thumbnailer`): one representative frame as a small JPEG, in a sandboxed child process.

Guarantee: `thumbnail` returns a JPEG whose edges are at most `max_edge_pixels` and at most those of the picture,
upright, without EXIF or any other metadata. It returns None if there is nothing to show: sound without cover art, or a
picture that this build of ffmpeg cannot decode or that crashes it. Intact media is not refused for lack of a decoder;
`missing_abilities` lists what the build lacks. It raises MediaError NOT_MEDIA (too many pixels) and MEDIA_TIMEOUT,
SluiceError MEDIA_TOOL_FAILED, TempVolumeError TEMP_FILE_MISSING and TEMP_VOLUME_FAILED. It only reads; idempotent.

Moving pictures: it seeks to a tenth of the duration (at most 60 s) and decodes from the keyframe before that, because
decoding up to an exact time takes up to ten seconds of video. Of 24 frames from there it takes the most typical one
that is not black. If all are black it tries once more further on, and then takes the first frame of the file.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.adapters.media.ffprobe import INPUT
from pipeline.adapters.media.filters import filter_graph
from pipeline.adapters.media.parse import MAX_PIXELS
from pipeline.adapters.media.refusals import raise_for_exit, run_tool
from pipeline.adapters.media.sandbox import Sandbox, ToolResult
from pipeline.core.errors import MediaError, SluiceError
from schemas.media import MediaMetadata, VideoStream

_STDOUT_LIMIT_BYTES = 4 * 1024 * 1024
_LATEST_FIRST_SEEK_SECONDS = 60.0
_LATEST_SECOND_SEEK_SECONDS = 300.0
_JPEG_QUALITY = "4"  # of 2 (best) to 31: about 40 KB for 640 x 360
_WANTED_DECODERS = ("h264", "hevc", "vp8", "vp9", "libdav1d|libaom-av1", "mjpeg", "png", "webp", "gif")
_WANTED_DEMUXERS = ("webp_anim",)  # animated WebP
_WANTED_FILTERS = ("zscale", "tonemap")  # HDR


@dataclass(frozen=True, slots=True)
class _Attempt:
    seek_seconds: float | None
    accurate: bool
    choose: bool
    skip_black: bool


class FfmpegThumbnailer:
    """Creates thumbnails with the ffmpeg `executable` (a path or a name on PATH; 7.1 or newer, 8.1 for tile grids)."""

    def __init__(self, executable: str, timeout_seconds: float, sandbox: Sandbox, max_edge_pixels: int = 640) -> None:
        """`timeout_seconds` limits one call of `thumbnail`, with all its attempts."""
        self._executable = executable
        self._timeout_seconds = timeout_seconds
        self._sandbox = sandbox
        self._max_edge_pixels = max_edge_pixels
        self._can_tone_map: bool | None = None

    async def thumbnail(self, path: Path, metadata: MediaMetadata) -> bytes | None:
        """A JPEG of the file at `path`, which `metadata` describes. Errors: see the module."""
        stream = metadata.picture
        if stream is None:
            return None
        if stream.coded_width * stream.coded_height > MAX_PIXELS:
            raise MediaError("NOT_MEDIA", reason=f"its picture has more than {MAX_PIXELS // 10**6} million pixels")
        deadline = time.monotonic() + self._timeout_seconds
        tone_map = stream.hdr and await self._tone_maps()
        for attempt in _attempts(metadata, stream):
            graph = filter_graph(
                stream,
                self._max_edge_pixels,
                choose=attempt.choose,
                skip_black=attempt.skip_black,
                tone_map=tone_map,
            )
            result = await self._run(path, attempt, graph, deadline)
            if result.stdout.startswith(b"\xff\xd8") and result.exit_code == 0:
                return result.stdout
        return None

    async def missing_abilities(self) -> tuple[str, ...]:
        """What common uploads need and this build lacks, such as `decoder png`."""
        lacking: list[str] = []
        for kind, wanted in (
            ("decoder", _WANTED_DECODERS),
            ("demuxer", _WANTED_DEMUXERS),
            ("filter", _WANTED_FILTERS),
        ):
            present = await self._list(f"-{kind}s")
            lacking += [f"{kind} {names.split('|')[0]}" for names in wanted if not present & set(names.split("|"))]
        return tuple(lacking)

    async def _run(self, path: Path, attempt: _Attempt, graph: str, deadline: float) -> ToolResult:
        left_seconds = deadline - time.monotonic()
        if left_seconds <= 0:
            raise MediaError("MEDIA_TIMEOUT", timeout_seconds=self._timeout_seconds)
        seek = []
        if attempt.seek_seconds is not None:
            seek = ["-ss", f"{attempt.seek_seconds:.3f}", *([] if attempt.accurate else ["-noaccurate_seek"])]
        try:
            result = await run_tool(
                self._sandbox,
                [
                    *(self._executable, "-v", "error", "-nostdin", "-noautorotate", "-threads", "1", *seek, *INPUT),
                    *("-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[thumbnail]"),
                    *("-map_metadata", "-1", "-frames:v", "1"),
                    *("-c:v", "mjpeg", "-q:v", _JPEG_QUALITY, "-bitexact", "-f", "image2pipe", "pipe:1"),
                ],
                path,
                timeout_seconds=left_seconds,
                stdout_limit_bytes=_STDOUT_LIMIT_BYTES,
            )
        except MediaError as error:
            if error.code == "MEDIA_TIMEOUT":
                raise MediaError("MEDIA_TIMEOUT", timeout_seconds=self._timeout_seconds) from error
            raise
        try:
            raise_for_exit(result, "ffmpeg", self._timeout_seconds)
        except MediaError as error:
            if error.code == "MEDIA_TIMEOUT":
                raise
            # No frame could be decoded, or the decoder crashed. The probe has shown that the file is media.
        return result

    async def _tone_maps(self) -> bool:
        if self._can_tone_map is None:
            self._can_tone_map = set(_WANTED_FILTERS) <= await self._list("-filters")
        return self._can_tone_map

    async def _list(self, option: str) -> frozenset[str]:
        """The names in ffmpeg's own list of what its build contains."""
        result = await run_tool(
            self._sandbox,
            [self._executable, "-hide_banner", option],
            Path("/dev/null"),
            timeout_seconds=self._timeout_seconds,
            stdout_limit_bytes=_STDOUT_LIMIT_BYTES,
        )
        if result.exit_code:
            raise SluiceError(
                "MEDIA_TOOL_FAILED", tool="ffmpeg", reason=f"`ffmpeg {option}` exited with {result.exit_code}"
            )
        rows = (line.split() for line in result.stdout.decode("utf-8", "replace").splitlines())
        return frozenset(row[1] for row in rows if len(row) > 1)


def _attempts(metadata: MediaMetadata, stream: VideoStream) -> Sequence[_Attempt]:
    first_frame = _Attempt(None, accurate=False, choose=False, skip_black=False)
    if metadata.kind != "video" or stream.attached_picture:
        return (first_frame,)
    duration = metadata.duration_seconds
    if duration is None:
        return (_Attempt(None, accurate=False, choose=True, skip_black=True), first_frame)
    return (
        _Attempt(min(duration / 10, _LATEST_FIRST_SEEK_SECONDS), accurate=False, choose=True, skip_black=True),
        _Attempt(min(duration / 2, _LATEST_SECOND_SEEK_SECONDS), accurate=True, choose=True, skip_black=True),
        first_frame,
    )
