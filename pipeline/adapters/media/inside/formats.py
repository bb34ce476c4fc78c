"""The accepted file formats by ffmpeg's names, and our short names for them.

Guarantee: the whitelist contains only formats that hold their own content. It contains no playlist or manifest (hls,
dash, concat, webm_dash_manifest, sdp), no picture sequence by name pattern (image2), no device, network or filter
script (lavfi), no text or subtitles (tty, srt, svg), and no raw stream that any bytes could be. ffmpeg checks the list
after it has recognised the format and before it reads content, so a format that is not listed is refused unread.
"""

from __future__ import annotations

VIDEO_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "asf", "flv", "mpegts", "mpeg", "ogg", "mxf", "dv")
AUDIO_FORMATS = ("mp3", "flac", "wav", "w64", "aiff", "aac", "caf", "amr", "ape", "wv", "au")
_IMAGES = {
    "jpeg_pipe": "jpeg",
    "png_pipe": "png",
    "apng": "png",
    "gif": "gif",
    "webp_pipe": "webp",
    "webp_anim": "webp",
    "bmp_pipe": "bmp",
    "tiff_pipe": "tiff",
    "jpegxl_pipe": "jpegxl",
    "jpegxl_anim": "jpegxl",
    "j2k_pipe": "jpeg2000",
}
FORMAT_WHITELIST = ",".join((*VIDEO_FORMATS, *AUDIO_FORMATS, *_IMAGES))

MINIMUM_PROBE_SCORE = {"mp3": 24, "aac": 24, "mpeg": 24, "mpegts": 24, "dv": 24}
"""Minimum score for formats without a magic number. ffprobe recognises these by patterns, which random bytes match too,
with a score of 1 to 13 of 100. Real files score 24 (the first kilobytes of an MPEG program stream), 25 or 51 (mp3, aac)
or more."""

_ISO_BRANDS = {
    b"avif": "avif",
    b"avis": "avif",
    b"heic": "heic",
    b"heix": "heic",
    b"heim": "heic",
    b"heis": "heic",
    b"hevc": "heic",
    b"hevx": "heic",
    b"hevm": "heic",
    b"hevs": "heic",
    b"qt  ": "mov",
    b"M4A ": "m4a",
    b"M4B ": "m4a",
}
ISO_IMAGES = frozenset({"avif", "heic", "heif"})
IMAGES = frozenset(_IMAGES.values()) | ISO_IMAGES
"""Containers of kind `image`, animated or not."""


def container_name(format_name: str, head: bytes) -> str:
    """Our short name for ffprobe's `format_name`. `head`, the beginning of the file, distinguishes formats that ffmpeg
    reads with one demuxer: the ISO base media family by its `ftyp` brands (ISO/IEC 14496-12, 4.3), Matroska and WebM by
    their DocType."""
    if format_name in _IMAGES:
        return _IMAGES[format_name]
    if format_name == VIDEO_FORMATS[0]:
        return _iso_name(head)
    if format_name == "matroska,webm":
        return "webm" if b"\x42\x82\x84webm" in head[:256] else "matroska"
    return format_name.split(",")[0][:64] or "unknown"


def _iso_name(head: bytes) -> str:
    if head[4:8] != b"ftyp":
        return "mov"  # QuickTime files older than the ftyp box begin with moov, mdat or wide
    end = max(16, min(int.from_bytes(head[:4], "big"), 256, len(head)))
    major = head[8:12]
    if name := _ISO_BRANDS.get(major):
        return name
    if major in (b"mif1", b"msf1", b"miaf"):  # an image; a compatible brand names its codec
        compatible = (head[at : at + 4] for at in range(16, end - 3, 4))
        return next((_ISO_BRANDS[brand] for brand in compatible if _ISO_BRANDS.get(brand) in ISO_IMAGES), "heif")
    if major[:3] in (b"3gp", b"3g2"):
        return major[:3].decode()
    return "mp4"
