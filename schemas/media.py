"""Metadata of a media file: a video, an image or an audio recording.

Guarantee: an instance is bounded. Every number is finite, every text is of limited length and without control
characters and characters that override the reading direction, and every list is short, so an instance can go into a
database row, a JSON response or a log line without further checks. Widths and heights are AS DISPLAYED, after the pixel
aspect ratio and the rotation are applied; `coded_width` and `coded_height` are the stored size.

Tags with locations (GPS positions) are not included.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MediaKind = Literal["video", "image", "audio"]
"""`video`: moving pictures; `image`: a picture, including animated ones (GIF, WebP, APNG, AVIF sequence); `audio`:
sound, with or without cover art."""

Rotation = Literal[0, 90, 180, 270]

MAX_TEXT_CHARACTERS = 256
MAX_STREAMS = 64
"""The first ones are kept; further ones are left out."""
MAX_TAGS = 16

MAX_FILE_STREAMS = 1000
MAX_FILE_TAGS = 4096
MAX_FILE_CHAPTERS = 4096
"""What a file may contain. One with more of them is refused (NOT_MEDIA), with a reason that names the limit. The size
of tags is not limited: a selection is kept, and each value is cut to `MAX_TEXT_CHARACTERS`."""

Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Pixels = Annotated[int, Field(ge=1, le=2**31 - 1)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Stream(_Frozen):
    index: Annotated[int, Field(ge=0, description="The stream's number in the file, from 0.")]
    codec: Annotated[
        Name,
        Field(description="ffmpeg's short name of the codec, for example h264, av1, aac; `unknown` if it has none."),
    ]
    profile: Annotated[Text | None, Field(description="The codec's profile, for example High, Main 10, LC.")] = None
    language: Annotated[
        str | None,
        Field(
            max_length=16,
            description="Language tag as stored in the file, mostly ISO 639-2 (`eng`); null if undetermined.",
        ),
    ] = None
    default: Annotated[bool, Field(description="The file marks this stream to be played by default.")] = False


class Colour(_Frozen):
    """How sample values represent colours: ffmpeg's names of the code points of ITU-T H.273; None where the file says
    nothing."""

    primaries: Annotated[Name | None, Field(description="Colour primaries, for example bt709, bt2020.")] = None
    transfer: Annotated[
        Name | None,
        Field(description="Transfer characteristics, for example bt709, smpte2084 (PQ), arib-std-b67 (HLG)."),
    ] = None
    matrix: Annotated[Name | None, Field(description="Matrix coefficients, for example bt709, bt2020nc.")] = None
    range: Annotated[Name | None, Field(description="`tv` (limited) or `pc` (full).")] = None


class VideoStream(_Stream):
    """One stream of pictures. `width` x `height` is what a viewer sees:

    coded size -> the pixel aspect ratio stretches the width (the height stays) -> rotation swaps the two at 90 and 270.
    """

    type: Literal["video"] = "video"
    width: Annotated[Pixels, Field(description="Width as displayed, in square pixels.")]
    height: Annotated[Pixels, Field(description="Height as displayed, in square pixels.")]
    coded_width: Annotated[
        Pixels, Field(description="Width of the stored picture, in stored pixels, before aspect ratio and rotation.")
    ]
    coded_height: Annotated[Pixels, Field(description="Height of the stored picture, in stored pixels.")]
    sample_aspect_ratio: Annotated[
        PositiveFloat,
        Field(description="Width of one stored pixel divided by its height; 1.0 for square pixels and if unknown."),
    ] = 1.0
    rotation: Annotated[
        Rotation, Field(description="Degrees CLOCKWISE by which the stored picture is turned for display.")
    ] = 0
    mirrored: Annotated[bool, Field(description="The stored picture is flipped left to right before it is turned.")] = (
        False
    )
    frame_rate: Annotated[
        PositiveFloat | None,
        Field(description="Nominal frames per second (23.976 for 24000/1001); null for still pictures and unknown."),
    ] = None
    average_frame_rate: Annotated[
        PositiveFloat | None,
        Field(description="Frames over duration, per second: differs from frame_rate where the rate varies."),
    ] = None
    pixel_format: Annotated[Name | None, Field(description="ffmpeg's pixel format, for example yuv420p10le, rgba.")] = (
        None
    )
    bit_depth: Annotated[int | None, Field(ge=1, le=64, description="Bits per colour component.")] = None
    colour: Annotated[Colour, Field(description="Colour code points.")] = Colour()
    hdr: Annotated[bool, Field(description="High dynamic range: PQ, HLG or Dolby Vision.")] = False
    bit_rate: Annotated[Count | None, Field(description="Bits per second of this stream.")] = None
    attached_picture: Annotated[
        bool, Field(description="A cover or poster stored beside the content, not moving pictures.")
    ] = False
    tiled: Annotated[
        bool, Field(description="Composed of a grid of tiles (HEIC, AVIF); `index` is then that of the grid.")
    ] = False


class AudioStream(_Stream):
    """One stream of sound."""

    type: Literal["audio"] = "audio"
    channels: Annotated[int | None, Field(ge=1, le=1024, description="Number of channels.")] = None
    channel_layout: Annotated[
        Text | None, Field(description="ffmpeg's layout name, for example mono, stereo, 5.1(side).")
    ] = None
    sample_rate: Annotated[int | None, Field(ge=1, le=2**31 - 1, description="Samples per second and channel, Hz.")] = (
        None
    )
    bit_depth: Annotated[
        int | None, Field(ge=1, le=64, description="Bits per sample, for codecs with a fixed number.")
    ] = None
    bit_rate: Annotated[Count | None, Field(description="Bits per second of this stream.")] = None


class SubtitleStream(_Stream):
    """One stream of subtitles."""

    type: Literal["subtitle"] = "subtitle"


Stream = Annotated[VideoStream | AudioStream | SubtitleStream, Field(discriminator="type")]


class MediaMetadata(_Frozen):
    """Everything that Sluice knows about a media file."""

    kind: Annotated[MediaKind, Field(description="What a person would call the file.")]
    container: Annotated[
        Name,
        Field(description="The file format's short name: mp4, mov, webm, matroska, jpeg, png, gif, heic, mp3, ..."),
    ]
    duration_seconds: Annotated[
        float | None,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="Duration in seconds; null for a still image and if it is unknown.",
        ),
    ] = None
    bit_rate: Annotated[
        Count | None, Field(description="Bits per second of the whole file; null for a still image.")
    ] = None
    size_bytes: Annotated[Count, Field(description="Size of the file in bytes.")]
    tags: Annotated[
        dict[Name, Text],
        Field(
            max_length=MAX_TAGS,
            description="Selected tags, keys in lower case: title, artist, creation_time, encoder, ...",
        ),
    ] = {}
    streams: Annotated[
        tuple[Stream, ...],
        Field(
            max_length=MAX_STREAMS,
            description="Streams in file order, without data streams and video streams of unknown size.",
        ),
    ] = ()

    @property
    def picture(self) -> VideoStream | None:
        """The video stream that represents the file visually: the default one if marked, else the first one; covers
        only if there is nothing else."""
        videos = [stream for stream in self.streams if isinstance(stream, VideoStream)]
        return next(
            iter(sorted(videos, key=lambda stream: (stream.attached_picture, not stream.default, stream.index))),
            None,
        )

    @property
    def dimensions(self) -> tuple[int | None, int | None]:
        """Displayed width and height of the picture; None for audio files, even with cover art."""
        picture = self.picture
        return (None, None) if picture is None or picture.attached_picture else (picture.width, picture.height)
