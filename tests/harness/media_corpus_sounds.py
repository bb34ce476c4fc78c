"""Sounds of the corpus: every container and codec that the tools write, with covers and many tags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.harness.media_corpus_entry import AAC, SOUND, Builder, Entry, made
from tests.harness.media_samples import ffmpeg, sample


def _sound(*arguments: str) -> Entry:
    return Entry(made(*SOUND, *arguments), kind="audio")


def _covered(source: str, picture: str, *arguments: str) -> Builder:
    """A sample with a picture as its cover."""

    def build(path: Path) -> None:
        ffmpeg(
            *("-i", str(sample(source)), "-i", str(sample(picture)), "-map", "0:a", "-map", "1", "-c", "copy"),
            *("-disposition:v", "attached_pic", *arguments, str(path)),
        )

    return build


SOUNDS: Mapping[str, Entry] = {
    "mp3_constant": _sound("-b:a", "128k", "-f", "mp3"),
    "mp3_variable": _sound("-q:a", "5", "-f", "mp3"),
    "mp3_cover_jpeg": Entry(_covered("mp3", "jpeg", "-id3v2_version", "3", "-f", "mp3"), seconds=2, kind="audio"),
    "mp3_cover_png": Entry(_covered("mp3", "png", "-id3v2_version", "4", "-f", "mp3"), seconds=2, kind="audio"),
    "m4a_cover_jpeg": Entry(_covered("m4a", "jpeg", "-f", "ipod"), seconds=2, kind="audio"),
    "m4a_cover_png": Entry(_covered("m4a", "png", "-f", "ipod"), seconds=2, kind="audio"),
    "m4a_aac": _sound(*AAC, "-f", "ipod"),
    "m4a_alac": _sound("-c:a", "alac", "-f", "ipod"),
    "m4a_alac_24": _sound("-c:a", "alac", "-sample_fmt", "s32p", "-f", "ipod"),
    "flac_16": _sound("-c:a", "flac", "-f", "flac"),
    "flac_24": _sound("-c:a", "flac", "-sample_fmt", "s32", "-f", "flac"),
    "flac_cover": Entry(_covered("flac", "png", "-f", "flac"), seconds=2, kind="audio"),
    "wav_16": _sound("-c:a", "pcm_s16le", "-f", "wav"),
    "wav_24_surround": _sound("-c:a", "pcm_s24le", "-ac", "6", "-f", "wav"),
    "wav_float": _sound("-c:a", "pcm_f32le", "-f", "wav"),
    "wav_alaw": _sound("-c:a", "pcm_alaw", "-f", "wav"),
    "wav_adpcm": _sound("-c:a", "adpcm_ima_wav", "-f", "wav"),
    "wav_rf64": _sound("-rf64", "always", "-f", "wav"),
    "w64": _sound("-f", "w64"),
    "aiff": _sound("-f", "aiff"),
    "caf_pcm": _sound("-f", "caf"),
    "caf_alac": _sound("-c:a", "alac", "-f", "caf"),
    "au": _sound("-f", "au"),
    "ogg_vorbis": _sound("-c:a", "libvorbis", "-metadata", "title=Water", "-f", "ogg"),
    "ogg_opus": _sound("-c:a", "libopus", "-f", "ogg"),
    "ogg_flac": _sound("-c:a", "flac", "-f", "ogg"),
    "wavpack": _sound("-c:a", "wavpack", "-f", "wv"),
    "matroska_tta": _sound("-c:a", "tta", "-f", "matroska"),
    "matroska_truehd": _sound("-c:a", "truehd", "-strict", "-2", "-ac", "2", "-f", "matroska"),
    "webm_opus": _sound("-c:a", "libopus", "-f", "webm"),
    "asf_wma": _sound("-c:a", "wmav2", "-f", "asf"),
    "mp4_eac3": _sound("-c:a", "eac3", "-f", "mp4"),
}
