"""Files of the corpus whose header states no length: written to a pipe, live, cut off, or without a place for it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.harness.media_corpus_entry import AAC, H264, PICTURE, SECONDS, SOUND, Entry, changed, made, piped
from tests.harness.media_samples import VP8, directory, ffmpeg
from tests.harness.session import made_once

_FILM = (*PICTURE, *SOUND)
_VP8 = (*VP8, "-g", "25", "-c:a", "libopus")
_LATE = ("-output_ts_offset", "3600")
_FRAGMENTS = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof")
_LOUDER = (
    *("-f", "lavfi", "-i", "anoisesrc=duration=300:sample_rate=32000:seed=1"),
    *("-af", "volume=0.0001:enable='lt(t,150)'"),
)
"""Half of it nearly silent, so that the bit rate of the beginning is not that of the whole. The noise is the same in
each run: lengths are estimated from samples of the file, and tests compare them."""


def _long(form: str, *arguments: str) -> Entry:
    """Five minutes, encoded once for all."""

    def build(path: Path) -> None:
        source = made_once(
            directory() / "corpus-five-minutes",
            made(
                *("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=5:duration=300"),
                *("-f", "lavfi", "-i", "sine=440:duration=300:sample_rate=24000", *H264, *AAC, "-f", "matroska"),
            ),
        )
        path.write_bytes(ffmpeg("-i", source, "-c", "copy", *arguments, "-f", form, "pipe:1"))

    return Entry(build, seconds=300)


def _sound(*arguments: str) -> Entry:
    return Entry(piped(*SOUND, *arguments), kind="audio")


def with_length(content: bytes, sign: bytes, length: int) -> bytes:
    """A WAV whose RIFF and data chunks state this length."""
    at = content.index(sign)
    stated = struct.pack("<I", length)
    return content[:4] + stated + content[8 : at + 4] + stated + content[at + 8 :]


def _late_fragments(content: bytes) -> bytes:
    """Fragments whose clock began an hour before, as those of a live stream that was joined late."""
    at = -1
    while (at := content.find(b"tfdt", at + 1)) >= 0:
        track = content.rindex(b"tfhd", 0, at)
        units = {1: 12800, 2: 48000}[int.from_bytes(content[track + 8 : track + 12], "big")]
        time = int.from_bytes(content[at + 8 : at + 16], "big") + 3600 * units
        content = content[: at + 8] + time.to_bytes(8, "big") + content[at + 16 :]
    return content


def _chained(*encoders: str) -> Entry:
    """Whole Ogg files one after the other."""

    def build(path: Path) -> None:
        path.write_bytes(b"".join(ffmpeg(*SOUND, "-c:a", encoder, "-f", "ogg", "pipe:1") for encoder in encoders))

    return Entry(build, seconds=SECONDS * len(encoders), kind="audio")


def _same_serial(content: bytes) -> bytes:
    return content * 3


def _without_durations(stated: bytes) -> Callable[[bytes], bytes]:
    """A movie whose headers state `stated` for their durations: 0 or all ones, which mean unknown."""

    def change(content: bytes) -> bytes:
        for name, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
            at = -1
            while (at := content.find(name, at + 1)) >= 0:
                content = content[: at + offset] + stated + content[at + offset + 4 :]
        return content

    return change


def _rf64_of_unknown_size(content: bytes) -> bytes:
    at = content.index(b"ds64") + 8
    return content[:at] + b"\xff" * 24 + content[at + 24 :]


def _cut_off(length: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:-length]


_WAV = made(*SOUND, "-f", "wav")
_MP4 = made(*_FILM, *H264, *AAC, "-f", "mp4")
_PIPED_FRAGMENTS = piped(*_FILM, *H264, *AAC, *_FRAGMENTS, "-f", "mp4")
UNFINISHED: Mapping[str, Entry] = {
    "webm_live": Entry(piped(*_FILM, *_VP8, "-live", "1", "-f", "webm")),
    "webm_live_late": Entry(piped(*_FILM, *_VP8, "-live", "1", *_LATE, "-f", "webm")),
    "webm_late": Entry(made(*_FILM, *_VP8, *_LATE, "-f", "webm")),
    "matroska_piped_crc": Entry(piped(*_FILM, *H264, *AAC, "-write_crc32", "1", "-f", "matroska")),
    "matroska_live_long": _long("matroska", "-live", "1"),
    "mp4_fragmented_piped": Entry(_PIPED_FRAGMENTS),
    "mp4_fragmented_late": Entry(changed(_PIPED_FRAGMENTS, _late_fragments)),
    "mp4_fragmented_long": _long("mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof+skip_trailer"),
    "mp4_fragmented_every_frame": _long("mp4", "-movflags", "+frag_every_frame+empty_moov+default_base_moof"),
    "mp4_hybrid": Entry(
        made(*_FILM, *H264, *AAC, "-movflags", "+frag_keyframe+default_base_moof+skip_trailer", "-f", "mp4")
    ),
    "flv_piped": Entry(piped(*_FILM, *H264, *AAC, "-f", "flv")),
    "matroska_sound_without_duration": Entry(
        piped(*_LOUDER, "-c:a", "libmp3lame", "-q:a", "4", "-f", "matroska"), seconds=300, kind="audio"
    ),
    "matroska_piped_slow": Entry(
        piped("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=1:duration=3", *H264, "-f", "matroska")
    ),
    "mp4_unknown_duration": Entry(changed(_MP4, _without_durations(b"\xff" * 4))),
    "mp4_zero_duration": Entry(changed(_MP4, _without_durations(bytes(4)))),
    "flv_piped_cut_off": Entry(changed(piped(*_FILM, *H264, *AAC, "-f", "flv"), _cut_off(1000))),
    "flv_piped_late": Entry(piped(*_FILM, *H264, *AAC, *_LATE, "-f", "flv")),
    "avi_piped": Entry(piped(*_FILM, "-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi")),
    "asf_piped": Entry(piped(*_FILM, "-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf")),
    "mxf_piped": Entry(piped(*_FILM, "-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-f", "mxf")),
    "ogg_late": Entry(made(*SOUND, "-c:a", "libopus", *_LATE, "-f", "ogg"), kind="audio"),
    "ogg_late_vorbis": Entry(made(*SOUND, "-c:a", "libvorbis", *_LATE, "-f", "ogg"), kind="audio"),
    "ogg_late_flac": Entry(made(*SOUND, "-c:a", "flac", *_LATE, "-f", "ogg"), kind="audio"),
    "ogg_late_theora": Entry(made(*_FILM, "-c:v", "libtheora", "-c:a", "libvorbis", *_LATE, "-f", "ogg")),
    "ogg_chained": _chained("libvorbis", "libopus", "flac"),
    "ogg_chained_same_serial": Entry(
        changed(made(*SOUND, "-c:a", "libvorbis", "-f", "ogg"), _same_serial), seconds=3 * SECONDS, kind="audio"
    ),
    "ogg_chained_long": Entry(
        changed(made(*_LOUDER, "-c:a", "libvorbis", "-q:a", "8", "-f", "ogg"), _same_serial), seconds=900, kind="audio"
    ),
    "flac_piped": _sound("-c:a", "flac", "-f", "flac"),
    "flac_piped_long": Entry(piped(*_LOUDER, "-c:a", "flac", "-f", "flac"), seconds=300, kind="audio"),
    "wavpack_piped": _sound("-c:a", "wavpack", "-f", "wv"),
    "mp3_without_index": _sound("-q:a", "5", "-write_xing", "0", "-f", "mp3"),
    "mp3_without_index_long": Entry(
        piped(*_LOUDER, "-q:a", "5", "-write_xing", "0", "-f", "mp3"), seconds=300, kind="audio"
    ),
    "aac_adts": _sound(*AAC, "-f", "adts"),
    "aac_adts_long": Entry(piped(*_LOUDER, "-c:a", "aac", "-f", "adts"), seconds=300, kind="audio"),
    "amr_nb": _sound("-ar", "8000", "-ac", "1", "-c:a", "libopencore_amrnb", "-f", "amr"),
    "wav_piped": _sound("-f", "wav"),
    "wav_zero": Entry(changed(_WAV, lambda content: with_length(content, b"data", 0)), kind="audio"),
    "wav_largest": Entry(changed(_WAV, lambda content: with_length(content, b"data", 2**32 - 1)), kind="audio"),
    "rf64_piped": _sound("-rf64", "always", "-f", "wav"),
    "rf64_unknown_size": Entry(
        changed(made(*SOUND, "-rf64", "always", "-f", "wav"), _rf64_of_unknown_size), kind="audio"
    ),
    "wma_piped": _sound("-c:a", "wmav2", "-f", "asf"),
    "w64_piped": _sound("-f", "w64"),
    "aiff_piped": _sound("-f", "aiff"),
    "caf_piped": _sound("-f", "caf"),
    "au_piped": _sound("-f", "au"),
    "png_animated_piped": Entry(piped(*PICTURE, "-f", "apng"), kind="image"),
    "mpegts_cut_off": Entry(
        changed(made(*_FILM, *H264, *AAC, "-f", "mpegts"), lambda content: content[: len(content) * 2 // 3]), seconds=2
    ),
}
