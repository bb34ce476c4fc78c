"""Media types (RFC 9110, section 8.3.1): which ones a file may be declared with, and which one a recognised file has.

Guarantee of `may_be_media`: it refuses only what no accepted file could rightly be declared as. A type that says
nothing (`application/octet-stream`) is accepted, since the file itself is read later.
Guarantee of `recognised_type`: what a client declared is kept if it names the format that was found, with its
parameters; otherwise the result is the format's own type.

Names come from IANA's registry where it has one, else from what servers and browsers send.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.media_types import UNKNOWN, essence, guessed_type, parse_stored

_GENERIC = frozenset(
    {
        UNKNOWN, "binary/octet-stream", "application/x-octet-stream", "application/octetstream",
        "application/binary", "application/x-binary", "application/unknown", "application/x-unknown",
        "application/x-unknown-content-type", "unknown/unknown", "application/download", "application/x-download",
        "application/force-download", "application/save", "application/macbinary", "application/x-macbinary",
        "application/x-www-form-urlencoded", "*/*",
    }
)  # fmt: skip
"""Types that say nothing about a file: what clients send that do not know it, or that want to force a download."""

_CANNOT_BE_READ = frozenset(
    {
        "image/svg+xml", "image/svg", "audio/mpegurl", "audio/x-mpegurl", "audio/x-scpls", "audio/midi", "audio/mid",
        "audio/x-midi", "video/vnd.mpegurl", "image/vnd.dwg", "image/vnd.dxf",
    }
)  # fmt: skip
"""Types that are called image, audio or video and hold text, references to other files, notes or drawings. No accepted
format is one of them (`adapters.media.inside.formats`)."""


@dataclass(frozen=True, slots=True)
class _Format:
    """A file format: its type as video or image, its type as audio, and other names of it."""

    visual: str
    audio: str
    aliases: frozenset[str] = frozenset()


def _format(visual: str, audio: str = "", *aliases: str) -> _Format:
    return _Format(visual, audio or visual, frozenset(aliases))


# Keys are `MediaMetadata.container`, the names of `adapters.media.inside.formats`.
_FORMATS: Mapping[str, _Format] = {
    "mp4": _format("video/mp4", "audio/mp4", "application/mp4", "video/x-m4v", "audio/x-m4a", "audio/m4a"),
    "m4a": _format("video/mp4", "audio/mp4", "application/mp4", "video/x-m4v", "audio/x-m4a", "audio/m4a"),
    "mov": _format("video/quicktime", "", "application/quicktime"),
    "3gp": _format("video/3gpp", "audio/3gpp", "video/3gp", "audio/3gp"),
    "3g2": _format("video/3gpp2", "audio/3gpp2", "video/3g2", "audio/3g2"),
    "webm": _format("video/webm", "audio/webm", "video/x-webm", "audio/x-webm"),
    "matroska": _format(
        "video/matroska", "audio/matroska", "video/x-matroska", "audio/x-matroska", "application/x-matroska",
        "video/matroska-3d", "video/x-matroska-3d",
    ),
    "avi": _format("video/x-msvideo", "", "video/avi", "video/msvideo", "video/vnd.avi", "application/x-troff-msvideo"),
    "asf": _format(
        "video/x-ms-asf", "audio/x-ms-wma", "application/vnd.ms-asf", "video/x-ms-wmv", "video/x-ms-wm",
        "video/x-ms-asf-plugin", "audio/x-ms-asf",
    ),
    "flv": _format("video/x-flv", "", "video/flv", "application/x-flv"),
    "mpegts": _format("video/mp2t", "", "video/mpeg2-ts", "video/x-mpegts", "video/vnd.dlna.mpeg-tts"),
    "mpeg": _format("video/mpeg", "", "video/mp2p", "video/mpg", "video/x-mpeg", "video/x-mpeg2"),
    "ogg": _format(
        "video/ogg", "audio/ogg", "application/ogg", "application/x-ogg", "audio/opus", "audio/vorbis",
        "audio/x-vorbis+ogg", "video/x-theora+ogg",
    ),
    "mxf": _format("application/mxf"),
    "dv": _format("video/dv", "", "video/x-dv"),
    "mp3": _format("audio/mpeg", "", "audio/mp3", "audio/mpeg3", "audio/x-mpeg", "audio/x-mp3", "audio/mpg"),
    "flac": _format("audio/flac", "", "audio/x-flac", "application/x-flac"),
    "wav": _format("audio/wav", "", "audio/wave", "audio/x-wav", "audio/vnd.wave", "audio/x-pn-wav"),
    "w64": _format("audio/x-w64", "", "audio/w64"),
    "aiff": _format("audio/aiff", "", "audio/x-aiff"),
    "aac": _format("audio/aac", "", "audio/x-aac", "audio/aacp", "audio/x-hx-aac-adts", "audio/vnd.dlna.adts"),
    "caf": _format("audio/x-caf", "", "audio/caf"),
    "amr": _format("audio/amr", "", "audio/amr-wb", "audio/x-amr"),
    "ape": _format("audio/x-ape", "", "audio/ape", "audio/x-monkeys-audio"),
    "wv": _format("audio/x-wavpack", "", "audio/wavpack"),
    "au": _format("audio/basic", "", "audio/x-au", "audio/au"),
    "jpeg": _format("image/jpeg", "", "image/jpg", "image/pjpeg"),
    "png": _format("image/png", "", "image/x-png", "image/apng", "image/vnd.mozilla.apng"),
    "gif": _format("image/gif"),
    "webp": _format("image/webp"),
    "bmp": _format("image/bmp", "", "image/x-bmp", "image/x-ms-bmp"),
    "tiff": _format("image/tiff", "", "image/tif", "image/x-tiff", "image/tiff-fx", "image/x-adobe-dng"),
    "jpegxl": _format("image/jxl"),
    "jpeg2000": _format("image/jp2", "", "image/jpx", "image/jpm", "image/j2c", "image/j2k", "image/jpeg2000"),
    "avif": _format("image/avif", "", "image/avif-sequence"),
    "heic": _format("image/heic", "", "image/heic-sequence", "image/heif", "image/heif-sequence"),
    "heif": _format("image/heif", "", "image/heif-sequence"),
}  # fmt: skip

_APPLICATION = frozenset(
    name
    for form in _FORMATS.values()
    for name in {form.visual, form.audio, *form.aliases}
    if name.startswith("application/")
)
_KINDS = ("video/", "audio/", "image/")

_EXTENSIONS: Mapping[str, str] = {
    "mp4": "video/mp4", "m4v": "video/mp4", "m4a": "audio/mp4", "m4b": "audio/mp4", "mov": "video/quicktime",
    "qt": "video/quicktime", "3gp": "video/3gpp", "3g2": "video/3gpp2", "webm": "video/webm", "mkv": "video/matroska",
    "mka": "audio/matroska", "mk3d": "video/matroska", "avi": "video/x-msvideo", "divx": "video/x-msvideo",
    "wmv": "video/x-ms-asf", "asf": "video/x-ms-asf", "wma": "audio/x-ms-wma", "flv": "video/x-flv", "f4v": "video/mp4",
    "ts": "video/mp2t", "mts": "video/mp2t", "m2ts": "video/mp2t", "m2t": "video/mp2t", "mpg": "video/mpeg",
    "mpeg": "video/mpeg", "vob": "video/mpeg", "mod": "video/mpeg", "ogv": "video/ogg", "ogg": "audio/ogg",
    "oga": "audio/ogg", "opus": "audio/ogg", "ogx": "application/ogg", "mxf": "application/mxf", "dv": "video/dv",
    "mp3": "audio/mpeg", "flac": "audio/flac", "wav": "audio/wav", "w64": "audio/x-w64", "aif": "audio/aiff",
    "aiff": "audio/aiff", "aac": "audio/aac", "caf": "audio/x-caf", "amr": "audio/amr", "ape": "audio/x-ape",
    "wv": "audio/x-wavpack", "au": "audio/basic", "snd": "audio/basic", "jpg": "image/jpeg", "jpeg": "image/jpeg",
    "jpe": "image/jpeg", "jfif": "image/jpeg", "png": "image/png", "apng": "image/png", "gif": "image/gif",
    "webp": "image/webp", "bmp": "image/bmp", "dib": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff",
    "dng": "image/tiff", "jxl": "image/jxl", "jp2": "image/jp2", "j2k": "image/jp2", "jpx": "image/jp2",
    "avif": "image/avif", "heic": "image/heic", "heics": "image/heic", "heif": "image/heif",
}  # fmt: skip


def _name(media_type: str) -> str:
    """`type/subtype` in lower case, also of a type that an older release or a store did not write in normal form."""
    return essence(parse_stored(media_type))


def is_generic(media_type: str) -> bool:
    """Whether the type says nothing about the file."""
    return _name(media_type) in _GENERIC


def may_be_media(media_type: str) -> bool:
    """Whether a file of this declared type can be a video, an image or an audio file that Sluice accepts."""
    name = _name(media_type)
    if name in _CANNOT_BE_READ:
        return False
    return name in _GENERIC or name in _APPLICATION or name.startswith(_KINDS)


def recognised_type(declared: str, container: str, kind: str) -> str:
    """The type of a file whose format and kind (`MediaMetadata`) are known: the declared one if it names this format
    and does not contradict the kind, else the format's own. A format that has no type keeps what was declared."""
    form = _FORMATS.get(container)
    if form is None:
        return declared or UNKNOWN
    own = form.audio if kind == "audio" else form.visual
    name = _name(declared)
    if name == own:
        return declared or own
    contradicts = name.startswith("audio/") is not own.startswith("audio/") and not name.startswith("application/")
    return (declared or own) if name in form.aliases and not contradicts else own


def type_of_name(filename: str) -> str:
    """The media type that a file name's extension stands for; `application/octet-stream` for one that is not known.

    The tables of operating systems differ, and some of them take `.ts` for a text: the names of media formats are here.
    """
    extension = filename.rpartition(".")[2].lower() if "." in filename else ""
    return _EXTENSIONS.get(extension) or guessed_type(filename)
