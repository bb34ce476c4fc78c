"""Small media files of every kind, and files that only pretend to be media; ffmpeg makes them on first use.

`sample("mp4")` gives a path; each is made once per test session, or once per process outside of one. Every picture is
320 x 240 unless its name says otherwise and shows four quarters, red, green, blue, white as one reads, so that a test
can tell how it was turned; every sound is a sine of 440 Hz. `NAMES` lists what there is.
"""

from __future__ import annotations

import atexit
import functools
import os
import random
import shutil
import struct
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.embedded.ffmpeg import ffmpeg_path
from tests.harness.media_heif import CodedPicture, heif, picture_from_iso
from tests.harness.media_pictures import png, turned_jpeg, webp
from tests.harness.session import SESSION_DIRECTORY, made_once, session_directory

QUARTERS = ("red", "lime", "blue", "white")


@functools.cache
def directory() -> Path:
    """Where the samples are: in the session's directory, or in one that goes with this process."""
    if SESSION_DIRECTORY in os.environ:
        path = session_directory() / "samples"
        path.mkdir(exist_ok=True)
    else:
        path = Path(tempfile.mkdtemp(prefix="sluice-samples-"))
        atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def sample(name: str) -> Path:
    """The sample of that name, complete."""
    return made_once(directory() / name, _BUILDERS[name])


@functools.cache
def long_video(size_bytes: int, seed: int = 0) -> bytes:
    """A Matroska video of this size, no two stretches alike: a Void element of random bytes, which players skip
    (RFC 8794, section 11.3.2), follows the sample."""
    head = sample("mkv").read_bytes()
    room_bytes = size_bytes - len(head) - 9
    return head + b"\xec\x01" + room_bytes.to_bytes(7, "big") + random.Random(seed).randbytes(room_bytes)


def ffmpeg(*arguments: str | Path, standard_input: bytes | None = None) -> bytes:
    """Run ffmpeg; its standard output. Fails with its error output."""
    command = [ffmpeg_path(), "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    done = subprocess.run(command, input=standard_input, capture_output=True, check=False, timeout=120)
    if done.returncode:
        raise AssertionError(f"ffmpeg failed: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def quarters(
    width: int = 320, height: int = 240, seconds: float = 2, rate: int = 25, colours: tuple[str, ...] = QUARTERS
) -> str:
    """A lavfi source of four quarters."""
    tile = f"size={width // 2}x{height // 2}:rate={rate}:duration={seconds}"
    sources = "".join(f"color={colour}:{tile}[{number}];" for number, colour in enumerate(colours))
    return f"{sources}[0][1]hstack[top];[2][3]hstack[bottom];[top][bottom]vstack"


def _picture(**options: float) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", quarters(**options))  # type: ignore[arg-type]


def _sound(seconds: float = 2, frequency: int = 440) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine={frequency}:duration={seconds}:sample_rate=48000")


_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25")
# With more threads libvpx waits in loops, which costs seconds on a busy machine.
_QUICKLY = ("-threads", "1", "-deadline", "realtime", "-cpu-used", "8")
VP8 = ("-c:v", "libvpx", *_QUICKLY)
VP9 = ("-c:v", "libvpx-vp9", *_QUICKLY)
_AAC = ("-c:a", "aac", "-b:a", "64k")
_TITLE = ("-metadata", "title=A gate in the water")


def _encoded(*arguments: str | Path, suffix: str) -> Callable[[Path], None]:
    """A builder that calls ffmpeg with `arguments` and an output format."""

    def build(path: Path) -> None:
        ffmpeg(*arguments, "-f", suffix, path)

    return build


def _remuxed(source: str, *arguments: str, before: tuple[str, ...] = (), suffix: str = "mp4") -> Callable[[Path], None]:
    def build(path: Path) -> None:
        ffmpeg(*before, "-i", sample(source), "-map", "0", "-c", "copy", *arguments, "-f", suffix, path)

    return build


def _made(content: Callable[[], bytes]) -> Callable[[Path], None]:
    """A builder that writes the result of `content`."""

    def build(path: Path) -> None:
        path.write_bytes(content())

    return build


def _piped(*arguments: str) -> Callable[[Path], None]:
    """A builder that writes to a pipe, as browsers record: the muxer cannot go back to fill in durations."""
    return _made(lambda: ffmpeg(*arguments, "pipe:1"))


def _cut(source: str, keep: float) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        content = sample(source).read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])

    return build


def _exif_jpeg(orientation: int) -> Callable[[Path], None]:
    return _made(lambda: turned_jpeg(sample("jpeg").read_bytes(), orientation))


def _webp(frames: int) -> Callable[[Path], None]:
    frame = (*_picture(seconds=1, rate=1), "-frames:v", "1", "-c:v", "libvpx", "-f", "ivf", "pipe:1")
    return _made(lambda: webp(ffmpeg(*frame), frames))


@functools.cache
def coded_picture(codec: str, colour: str | None) -> CodedPicture:
    """One HEVC or AV1 intra picture: the four quarters, or a tile of one colour."""
    width, height = (160, 128) if colour else (320, 240)
    source = f"color={colour}:size={width}x{height}:rate=1:duration=1" if colour else quarters(rate=1, seconds=1)
    encoder: tuple[str, ...] = ("-c:v", "libsvtav1", "-preset", "12", "-f", "avif")
    if codec == "hevc":
        encoder = ("-c:v", "libx265", "-x265-params", "log-level=none:info=0", "-tag:v", "hvc1", "-f", "mp4")
    arguments = ("-f", "lavfi", "-i", source, "-frames:v", "1", "-pix_fmt", "yuv420p", *encoder)
    path = made_once(directory() / f"coded-{codec}-{colour}", lambda path: ffmpeg(*arguments, path))
    return picture_from_iso(path.read_bytes(), width, height)


def heif_picture(codec: str, columns: int = 1, *, quarter_turns: int = 0, mirrored: bool = False) -> bytes:
    """A HEIC (`hevc`) or AVIF (`av1`): one picture, or four tiles of 160 x 128, one quarter each, in two columns on a
    canvas cut to 310 x 250."""
    if columns == 1:
        return heif([coded_picture(codec, None)], quarter_turns=quarter_turns, mirrored=mirrored)
    tiles = [coded_picture(codec, colour) for colour in QUARTERS]
    return heif(tiles, columns=2, size=(310, 250), quarter_turns=quarter_turns, mirrored=mirrored)


def _heif(codec: str, columns: int = 1, quarter_turns: int = 0) -> Callable[[Path], None]:
    return _made(lambda: heif_picture(codec, columns, quarter_turns=quarter_turns))


def _covered(path: Path) -> None:
    ffmpeg(
        *("-i", sample("mp3"), "-i", sample("jpeg"), "-map", "0", "-map", "1", "-c", "copy"),
        *("-id3v2_version", "3", "-disposition:v", "attached_pic", "-f", "mp3", path),
    )


def _subtitled(path: Path) -> None:
    subtitles = path.with_name("subtitles.srt")
    subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nWater\n")
    ffmpeg(
        *(*_picture(), *_sound(), *_sound(frequency=880)),
        *("-i", str(subtitles), "-map", "0", "-map", "1", "-map", "2", "-map", "3", *_H264, *_AAC, "-c:s", "srt"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fre", "-metadata:s:s:0", "language=ger"),
        *("-disposition:a:1", "0", *_TITLE, "-f", "matroska", str(path)),
    )


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(sample("jpeg"), "picture.jpg")


def _black_then(path: Path) -> None:
    """Three seconds of black, then seven of the quarters, with a keyframe only at the start."""
    black = "color=black:size=320x240:rate=25:duration=3[black]"
    graph = f"{black};{quarters(seconds=7)}[picture];[black][picture]concat"
    ffmpeg("-f", "lavfi", "-i", graph, *_H264, "-g", "1000", "-sc_threshold", "0", "-f", "mp4", path)


_BUILDERS: Mapping[str, Callable[[Path], None]] = {
    # -- video
    "mp4": _encoded(*_picture(), *_sound(), *_H264, *_AAC, *_TITLE, suffix="mp4"),  # its moov is at the end
    "mp4_faststart": _remuxed("mp4", "-movflags", "+faststart"),
    "mp4_fragmented": _remuxed("mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof"),
    "mp4_fragmented_pipe": _made(
        lambda: ffmpeg(
            "-i", sample("mp4"), "-c", "copy", "-movflags", "+frag_keyframe+empty_moov", "-f", "mp4", "pipe:1"
        )
    ),
    "mp4_turned_90": _remuxed("mp4", before=("-display_rotation", "-90")),  # clockwise: a phone held upright
    "mp4_turned_180": _remuxed("mp4", before=("-display_rotation", "180")),
    "mp4_turned_270": _remuxed("mp4", before=("-display_rotation", "90")),
    "mp4_mirrored": _remuxed("mp4", before=("-display_hflip",)),
    "mp4_mirrored_90": _remuxed("mp4", before=("-display_rotation", "-90", "-display_hflip")),
    "mp4_wide_pixels": _encoded(*_picture(), "-vf", "setsar=4/3", *_H264, suffix="mp4"),
    "mp4_hdr": _encoded(
        *(*_picture(seconds=1), "-vf", "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"),
        *("-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
        *("-tag:v", "hvc1", "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"),
        suffix="mp4",
    ),
    "mp4_large": _encoded(*_picture(width=1918, height=1078, seconds=1), *_H264, suffix="mp4"),
    "mp4_black_then_picture": _black_then,
    "mp4_black": _encoded("-f", "lavfi", "-i", "color=black:size=320x240:duration=2", *_H264, suffix="mp4"),
    "mp4_one_frame": _encoded(*_picture(), "-frames:v", "1", *_H264, suffix="mp4"),
    "mov": _encoded(*_picture(), *_sound(), *_H264, *_AAC, suffix="mov"),
    "mkv": _subtitled,
    "webm": _encoded(*_picture(), *_sound(), *VP8, "-c:a", "libopus", suffix="webm"),
    "webm_recorder": _piped(
        *(*_picture(seconds=3), *_sound(seconds=3), *VP8, "-g", "25", "-c:a", "libopus"),
        *("-live", "1", "-cluster_time_limit", "1000", "-f", "webm"),
    ),
    "avi": _encoded(*_picture(), "-c:v", "mpeg4", suffix="avi"),
    "mpegts": _encoded(*_picture(), *_sound(), *_H264, *_AAC, suffix="mpegts"),
    "mpeg": _encoded(*_picture(), "-c:v", "mpeg1video", suffix="mpeg"),
    # -- audio
    "mp3": _encoded(*_sound(), "-c:a", "libmp3lame", "-b:a", "128k", *_TITLE, suffix="mp3"),
    "mp3_cover": _covered,
    "flac": _encoded(*_sound(), "-c:a", "flac", suffix="flac"),
    "wav": _encoded(*_sound(), "-ac", "2", "-c:a", "pcm_s16le", suffix="wav"),
    "ogg": _encoded(*_sound(), "-c:a", "libopus", *_TITLE, suffix="ogg"),
    "m4a": _encoded(*_sound(), *_AAC, suffix="ipod"),
    "aac": _encoded(*_sound(), *_AAC, suffix="adts"),
    # -- images
    "jpeg": _encoded(*_picture(), "-frames:v", "1", "-pix_fmt", "yuvj420p", "-q:v", "2", suffix="image2pipe"),
    "jpeg_odd": _encoded(
        *(*_picture(width=1200, height=800), "-vf", "crop=1001:667:exact=1", "-frames:v", "1", "-pix_fmt", "yuvj444p"),
        suffix="image2pipe",
    ),
    **{f"jpeg_exif_{orientation}": _exif_jpeg(orientation) for orientation in range(1, 9)},
    "png": _made(png),
    "png_alpha": _made(lambda: png(alpha=True)),
    "png_animated": _made(lambda: png(frames=3)),
    "png_enormous": _made(
        lambda: sample("png").read_bytes().replace(struct.pack(">II", 320, 240), struct.pack(">II", 40_000, 30_000))
    ),
    "webp": _webp(1),
    "webp_animated": _webp(5),
    "gif": _encoded(*_picture(), "-frames:v", "1", suffix="gif"),
    "gif_animated": _encoded("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=5:duration=2", suffix="gif"),
    "avif": _heif("av1"),
    "avif_grid": _heif("av1", 2),
    "heic": _heif("hevc"),
    "heic_turned": _heif("hevc", 1, 3),  # counterclockwise: 90 degrees clockwise
    "heic_grid": _heif("hevc", 2),
    "heic_grid_turned": _heif("hevc", 2, 3),
    # -- no media
    "random": _made(lambda: _noise(300_000)),
    "text": _made(lambda: b"Sluice takes large videos and images in.\n" * 200),
    "short": _made(lambda: b"\0"),
    "empty": lambda path: path.touch(),
    "zeros": _made(lambda: bytes(100_000)),
    "zip": _zip,
    "mp4_cut_off": _cut("mp4", 0.6),
    "mp4_faststart_header_only": _cut("mp4_faststart", 0.12),
    "srt": _made(lambda: b"1\n00:00:00,000 --> 00:00:01,000\nWater\n\n2\n00:00:02,000 --> 00:00:03,000\nMore\n"),
    "svg": _made(
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect width='9' height='9'/></svg>"
    ),
}
NAMES = tuple(_BUILDERS)


def _noise(size: int) -> bytes:
    """The same random bytes in every run."""
    return random.Random(1).randbytes(size)


def playlists(target: str) -> Mapping[str, bytes]:
    """Scripts and playlists that make an ffmpeg without whitelists open `target`, a path or an address."""
    return {
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n".encode(),
        "hls_master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\n{target}\n".encode(),
        "dash": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'mediaPresentationDuration="PT5S" profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet '
            f'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL></Representation>'
            "</AdaptationSet></Period></MPD>"
        ).encode(),
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
        "ffmetadata": b";FFMETADATA1\ntitle=x\n",
        "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'.encode(),
    }
