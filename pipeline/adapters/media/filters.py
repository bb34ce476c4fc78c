"""Builds the ffmpeg filter graph that turns a stored picture into a thumbnail.

Guarantee: the output of the graph has exactly `thumbnail_size` pixels, which are square. It is upright and opaque, with
standard dynamic range, as JPEG requires. Frames are scaled down before several of them are held in memory. Pure.
"""

from __future__ import annotations

import re

from schemas.media import VideoStream

_CANDIDATE_FRAMES = 24  # `thumbnail` picks the one that is closest to their average
_BLACK_PERCENT = 95  # a frame with more nearly black pixels than this is skipped
_WITH_ALPHA = re.compile(r"^(rgba|bgra|argb|abgr|ya|yuva|gbrap|pal8|rgbaf|ayuv|vuya)")
_TURN = {0: (), 90: ("transpose=clock",), 180: ("hflip", "vflip"), 270: ("transpose=cclock",)}
_TONE_MAP = (
    "zscale=transfer=linear:npl=100",
    "format=gbrpf32le",
    "zscale=primaries=bt709",
    "tonemap=hable:desat=0",
    "zscale=transfer=bt709:matrix=bt709:range=tv",
    "format=yuv420p",
)


def thumbnail_size(stream: VideoStream, max_edge_pixels: int) -> tuple[int, int]:
    """The displayed size, scaled down to fit into a square of `max_edge_pixels`; never enlarged, at least 1 pixel."""
    scale = min(1.0, max_edge_pixels / max(stream.width, stream.height))
    return max(1, round(stream.width * scale)), max(1, round(stream.height * scale))


def filter_graph(stream: VideoStream, max_edge_pixels: int, *, choose: bool, skip_black: bool, tone_map: bool) -> str:
    """A graph from the stream to the output `[thumbnail]`. `choose` selects the most typical of the first frames.
    `skip_black` drops frames that are nearly black, so the output may be empty. `tone_map` maps HDR to standard dynamic
    range and needs the filters zscale and tonemap."""
    width, height = thumbnail_size(stream, max_edge_pixels)
    source, rotation, mirrored = f"[0:{stream.index}]", stream.rotation, stream.mirrored
    if stream.tiled:  # ffmpeg joins the tiles of a stream group and rotates the result
        source, rotation, mirrored = f"[0:g:{stream.index}]", 0, False
    stored_width, stored_height = (height, width) if rotation in (90, 270) else (width, height)
    steps: list[str] = []
    if choose:
        steps.append(f"trim=end_frame={_CANDIDATE_FRAMES}")  # first, to limit how much is decoded
    steps.append(f"scale={stored_width}:{stored_height}")
    if stream.hdr and tone_map:
        steps += _TONE_MAP
    if skip_black:
        steps += ["blackframe=amount=0:threshold=32", _metadata_below("lavfi.blackframe.pblack", _BLACK_PERCENT)]
    if choose:
        steps.append(f"thumbnail=n={_CANDIDATE_FRAMES}")
    if mirrored:
        steps.append("hflip")
    steps += _TURN[rotation]
    steps.append("setsar=1")
    finish = "scale=out_range=pc:out_color_matrix=bt601,format=yuvj420p,sidedata=mode=delete"
    if not _WITH_ALPHA.match(stream.pixel_format or ""):
        return f"{source}{','.join([*steps, finish])}[thumbnail]"
    # JPEG has no transparency: show white behind transparent pixels instead of the colour that is stored in them.
    return (
        f"color=white:size={width}x{height}[paper];{source}{','.join([*steps, 'format=rgba'])}[picture];"
        f"[paper][picture]overlay=shortest=1:format=rgb,{finish}[thumbnail]"
    )


def _metadata_below(key: str, value: int) -> str:
    return f"metadata=mode=select:key={key}:value={value}:function=less"
