"""What a media file is: the metadata of a video, an image or an audio recording, as every part of Sluice passes it on.

Guarantee: an instance is complete in itself and bounded. Every number is finite, every text is printable, free of
control characters and cut to a stated length, every list is short, so that it can go into a database row, a JSON
answer or a log line without another look. It says what a viewer sees: widths and heights are AS DISPLAYED, after the
pixel aspect ratio and the rotation are applied; what the file stores stands in `coded_width` and `coded_height`.

No tag that tells where somebody was (GPS positions) is carried.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MediaKind = Literal["video", "image", "audio"]
"""`video`: moving pictures; `image`: a picture, animated ones (GIF, WebP, APNG, AVIF sequence) too; `audio`: sound,
with or without cover art."""

Rotation = Literal[0, 90, 180, 270]

MAX_TEXT_CHARACTERS = 256
MAX_STREAMS = 64
MAX_TAGS = 16

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
            description="Language tag as the file has it, mostly ISO 639-2 (`eng`); None if undetermined.",
        ),
    ] = None
    default: Annotated[bool, Field(description="The file marks this stream as one to play unless asked otherwise.")] = (
        False
    )


class Colour(_Frozen):
    """How sample values mean colours: ffmpeg's names of the code points of ITU-T H.273; None where the file does not
    say."""

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
        Field(description="Width of one stored pixel over its height; 1.0 for square ones and for unknown."),
    ] = 1.0
    rotation: Annotated[
        Rotation, Field(description="Degrees CLOCKWISE by which the stored picture is turned for display.")
    ] = 0
    mirrored: Annotated[bool, Field(description="The stored picture is flipped left to right before it is turned.")] = (
        False
    )
    frame_rate: Annotated[
        PositiveFloat | None,
        Field(description="Nominal frames per second (23.976 for 24000/1001); None for still pictures and unknown."),
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
        bool, Field(description="Put together from a grid of tiles (HEIC, AVIF); `index` is then that of the grid.")
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
        int | None, Field(ge=1, le=64, description="Bits per sample, where the codec keeps a fixed number.")
    ] = None
    bit_rate: Annotated[Count | None, Field(description="Bits per second of this stream.")] = None


class SubtitleStream(_Stream):
    """One stream of subtitles."""

    type: Literal["subtitle"] = "subtitle"


Stream = Annotated[VideoStream | AudioStream | SubtitleStream, Field(discriminator="type")]


class MediaMetadata(_Frozen):
    """Everything that Sluice knows of a media file's content."""

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
            description="Length in seconds; None for a still image and where it cannot be known.",
        ),
    ] = None
    bit_rate: Annotated[
        Count | None, Field(description="Bits per second of the whole file; None for a still image.")
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
            description="Streams in file order. Data streams, and streams of pictures without a size, are left out.",
        ),
    ] = ()

    @property
    def picture(self) -> VideoStream | None:
        """The stream that stands for the file to the eye: the first real one, the default one if marked, else a
        cover."""
        videos = [stream for stream in self.streams if isinstance(stream, VideoStream)]
        return next(
            iter(sorted(videos, key=lambda stream: (stream.attached_picture, not stream.default, stream.index))),
            None,
        )
