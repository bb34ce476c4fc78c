"""Videos of the corpus: every container and codec that the tools write, indexes in every place, and how they are
turned."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tests.harness.media_corpus_entry import (
    AAC,
    H264,
    PICTURE,
    SECONDS,
    SOUND,
    X265,
    Builder,
    Entry,
    changed,
    made,
    remuxed,
    void,
)
from tests.harness.media_samples import VP8, VP9, ffmpeg, sample

_FILM = (*PICTURE, *SOUND)
_TINY = ("-f", "lavfi", "-i", "color=gray:size=32x32:rate=25:duration=7200")
_SILENCE = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono,atrim=duration=7200")
_HDR = ("-pix_fmt", "yuv420p10le", "-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-color_range", "tv")
_ROTATIONS = {
    0: (),
    90: ("-display_rotation", "-90"),
    180: ("-display_rotation", "180"),
    270: ("-display_rotation", "90"),
}
_MATRICES = {
    (0, False): (1, 0, 0, 1), (90, False): (0, 1, -1, 0), (180, False): (-1, 0, 0, -1), (270, False): (0, -1, 1, 0),
    (0, True): (-1, 0, 0, 1), (90, True): (0, -1, -1, 0), (180, True): (1, 0, 0, -1), (270, True): (0, 1, 1, 0),
}  # fmt: skip
"""a, b, c, d of a display matrix that flips from left to right first and then turns clockwise."""


def _two_hours() -> Builder:
    """Two hours of 25 pictures and 47 sounds per second: the index has half a million entries. Encoded once for a
    minute and repeated, so that it takes a second."""

    def build(path: Path) -> None:
        part = path.with_name(f"{path.name}.part")
        ffmpeg(
            *("-f", "lavfi", "-i", "color=gray:size=32x32:rate=25:duration=60"),
            *("-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono,atrim=duration=60"),
            *(*H264, "-g", "250", *AAC, "-f", "matroska", part),
        )
        ffmpeg("-stream_loop", "119", "-i", part, "-c", "copy", "-t", "7200", "-f", "mp4", path)
        part.unlink()

    return build


def turned_mp4(content: bytes, rotation: int, mirrored: bool, box: bytes) -> bytes:
    """An mp4 whose movie header, or first track header, turns what it shows."""
    a, b, c, d = (value << 16 for value in _MATRICES[rotation, mirrored])
    at = content.index(box) + (40 if box == b"mvhd" else 44)
    return content[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[at + 36 :]


def _turned(box: bytes) -> Mapping[str, Entry]:
    name = {b"mvhd": "movie", b"tkhd": "track"}[box]
    return {
        f"mp4_{name}_{rotation}{'_mirrored' if mirrored else ''}": Entry(
            changed("mp4", partial(turned_mp4, rotation=rotation, mirrored=mirrored, box=box)),
            seconds=2,
            turned=(rotation, mirrored),
        )
        for rotation, mirrored in _MATRICES
    }


def _both_turned(content: bytes) -> bytes:
    """The track is turned by 90 and the movie by 90: 180 in all."""
    return turned_mp4(turned_mp4(content, 90, False, b"mvhd"), 90, False, b"tkhd")


def _text_track(path: Path) -> None:
    """A video with a track of positions, as drones write them: text in a data or subtitle track of an mp4."""
    lines = path.with_name(f"{path.name}.srt")
    lines.write_text(
        "".join(f"{n + 1}\n00:00:0{n},000 --> 00:00:0{n},900\nlat 52.5 lon 13.4\n\n" for n in range(SECONDS))
    )
    ffmpeg(
        *_FILM,
        "-i",
        lines,
        *("-map", "0", "-map", "1", "-map", "2"),
        *H264,
        *AAC,
        "-c:s",
        "mov_text",
        "-f",
        "mp4",
        path,
    )
    lines.unlink()


def _data_track(content: bytes) -> bytes:
    """The same with the text track's type changed to one that no tool knows: telemetry (`meta`, `gpmd`)."""
    return content.replace(b"sbtl", b"meta").replace(b"tx3g", b"gpmd")


VIDEOS: Mapping[str, Entry] = {
    "mp4_index_front": Entry(made(*_FILM, *H264, *AAC, "-movflags", "+faststart", "-f", "mp4")),
    "mp4_index_end": Entry(made(*_FILM, *H264, *AAC, "-f", "mp4")),
    "mp4_two_hours": Entry(_two_hours(), seconds=7200),
    "mp4_fragmented_index": Entry(made(*_FILM, *H264, *AAC, "-movflags", "dash+global_sidx", "-f", "mp4")),
    "mp4_edit_list": Entry(
        lambda path: void(ffmpeg("-ss", "0.5", "-i", sample("mp4"), "-c", "copy", "-f", "mp4", path)), seconds=1.5
    ),
    "mp4_delayed_sound": Entry(made(*PICTURE, "-itsoffset", "0.7", *SOUND, *H264, *AAC, "-f", "mp4"), seconds=3.7),
    "mp4_tags": Entry(
        made(
            *_FILM,
            *H264,
            *AAC,
            "-metadata",
            "title=unknown",
            "-metadata",
            "comment=N/A \u200d\U0001fae9 \u202etfel",
            "-metadata",
            "artist=\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "-f",
            "mp4",
        )
    ),
    "mp4_text_track": Entry(_text_track),
    "mp4_data_track": Entry(changed(_text_track, _data_track)),
    "mp4_chapters": Entry(made(*_FILM, *H264, *AAC, "-metadata", "title=Chapters", "-f", "mp4")),
    "mp4_hevc_pq": Entry(made(*PICTURE, *X265, *_HDR, "-color_trc", "smpte2084", "-tag:v", "hvc1", "-f", "mp4")),
    "mp4_hevc_hlg": Entry(made(*PICTURE, *X265, *_HDR, "-color_trc", "arib-std-b67", "-tag:v", "hvc1", "-f", "mp4")),
    "mp4_av1": Entry(made(*PICTURE, "-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1", "-f", "mp4")),
    "mp4_vp9": Entry(made(*PICTURE, *VP9, "-f", "mp4")),
    "mp4_mpeg4_mp3": Entry(made(*_FILM, "-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "mp4")),
    "mp4_ac3": Entry(made(*_FILM, *H264, "-c:a", "ac3", "-ac", "6", "-f", "mp4")),
    "mp4_interlaced": Entry(made(*PICTURE, *H264, "-flags", "+ildct+ilme", "-x264opts", "tff=1", "-f", "mp4")),
    "mp4_wide": Entry(made(*PICTURE, "-vf", "setsar=64/45", *H264, "-f", "mp4")),
    "mp4_variable_rate": Entry(
        made(*PICTURE, "-vf", "select='not(mod(n,3))+lt(n,30)'", "-fps_mode", "vfr", *H264, "-f", "mp4"), seconds=2.92
    ),
    **_turned(b"mvhd"),
    **_turned(b"tkhd"),
    "mp4_turned_twice": Entry(changed("mp4", _both_turned), seconds=2, turned=(180, False)),
    "mov_prores": Entry(made(*PICTURE, "-c:v", "prores_ks", "-profile:v", "3", "-f", "mov")),
    "mov_prores_alpha": Entry(
        made(*PICTURE, "-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le", "-f", "mov")
    ),
    "mov_dnxhr": Entry(made(*PICTURE, "-c:v", "dnxhd", "-profile:v", "dnxhr_hq", "-pix_fmt", "yuv422p", "-f", "mov")),
    "mov_mjpeg_pcm": Entry(made(*_FILM, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "pcm_s16le", "-f", "mov")),
    "mov_timecode": Entry(made(*_FILM, *H264, *AAC, "-timecode", "01:02:03:04", "-f", "mov")),
    "3gp": Entry(made(*_FILM, "-c:v", "h263", "-s", "352x288", "-c:a", "aac", "-f", "3gp")),
    "3g2": Entry(made(*_FILM, "-c:v", "mpeg4", *AAC, "-f", "3g2")),
    "matroska_h264": Entry(made(*_FILM, *H264, *AAC, "-f", "matroska")),
    "matroska_crc": Entry(made(*_FILM, *H264, *AAC, "-write_crc32", "1", "-f", "matroska")),
    "matroska_hevc": Entry(made(*PICTURE, *X265, "-f", "matroska")),
    "matroska_ffv1_deep": Entry(made(*PICTURE, "-c:v", "ffv1", "-pix_fmt", "gray16le", "-f", "matroska")),
    "matroska_flac": Entry(made(*_FILM, *H264, "-c:a", "flac", "-f", "matroska")),
    "matroska_cues_front": Entry(made(*_FILM, *H264, *AAC, "-cues_to_front", "1", "-f", "matroska")),
    **{
        f"matroska_turned_{turn}": Entry(remuxed("mp4", "matroska", before=before), seconds=2, turned=(turn, False))
        for turn, before in _ROTATIONS.items()
    },
    "matroska_turned_90_then_mirrored": Entry(
        remuxed("mp4", "matroska", before=("-display_rotation", "-90", "-display_hflip")), seconds=2, turned=(270, True)
    ),
    "matroska_rotate_tag": Entry(
        remuxed("mp4", "matroska", "-metadata:s:v", "rotate=90"), seconds=2, turned=(90, False)
    ),
    "webm_vp8": Entry(made(*_FILM, *VP8, "-c:a", "libvorbis", "-f", "webm")),
    "webm_vp9": Entry(made(*_FILM, *VP9, "-c:a", "libopus", "-f", "webm")),
    "webm_av1": Entry(made(*PICTURE, "-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1", "-f", "webm")),
    "avi_mpeg4": Entry(made(*_FILM, "-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi")),
    "avi_mjpeg": Entry(made(*_FILM, "-c:v", "mjpeg", "-pix_fmt", "yuvj422p", "-c:a", "pcm_s16le", "-f", "avi")),
    "avi_h264": Entry(made(*_FILM, *H264, "-c:a", "ac3", "-f", "avi")),
    "mpegts_h264": Entry(made(*_FILM, *H264, *AAC, "-f", "mpegts")),
    "mpegts_hevc": Entry(made(*_FILM, *X265, "-c:a", "ac3", "-f", "mpegts")),
    "mpegts_m2ts": Entry(made(*_FILM, *H264, "-c:a", "ac3", "-mpegts_m2ts_mode", "1", "-f", "mpegts")),
    "mpegts_wrapping_clock": Entry(made(*_FILM, *H264, *AAC, "-output_ts_offset", "95442", "-f", "mpegts")),
    "mpeg_ps": Entry(made(*_FILM, "-c:v", "mpeg1video", "-c:a", "mp2", "-f", "mpeg")),
    "mpeg_vob": Entry(made(*_FILM, "-c:v", "mpeg2video", "-c:a", "ac3", "-f", "vob")),
    "flv_h264": Entry(made(*_FILM, *H264, *AAC, "-f", "flv")),
    "flv_screen": Entry(made(*PICTURE, "-c:v", "flashsv", "-f", "flv")),
    "flv_sorenson": Entry(made(*_FILM, "-c:v", "flv", "-c:a", "libmp3lame", "-ar", "44100", "-f", "flv")),
    "asf_wmv": Entry(made(*_FILM, "-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf")),
    "mxf_mpeg2": Entry(made(*_FILM, "-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-f", "mxf")),
    "mxf_dnxhd": Entry(
        made(*_FILM, "-c:v", "dnxhd", "-profile:v", "dnxhr_lb", "-pix_fmt", "yuv422p", "-c:a", "pcm_s16le", "-f", "mxf")
    ),
    "ogg_theora": Entry(made(*_FILM, "-c:v", "libtheora", "-c:a", "libvorbis", "-f", "ogg")),
    "dv": Entry(
        made(
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=720x576:rate=25:duration=1",
            "-f",
            "lavfi",
            "-i",
            "sine=440:duration=1:sample_rate=48000",
            "-ac",
            "2",
            "-f",
            "dv",
        ),
        seconds=1,
    ),
}
