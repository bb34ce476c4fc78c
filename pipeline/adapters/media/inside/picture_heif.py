"""The main picture of a HEIC or AVIF file: a coded picture, a grid of tiles, or an overlay.

Guarantee: the image has the asked size and mode RGB and is sRGB; the rotation of the main picture is not applied, since
the metadata has it. Tiles are scaled one by one, so the whole picture is never in memory. The result is None if a part
is missing, damaged or larger than the limit, or if there is no decoder for it.

libheif decodes in threads of its own, which the sandbox forbids; therefore the parts are decoded by PyAV.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, cast

import numpy as np
from av.codec import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

from pipeline.adapters.media.inside.heif_items import Item, Items, read_items
from pipeline.adapters.media.inside.orientation import of_heif
from pipeline.adapters.media.inside.picture_colour import Tagged
from pipeline.adapters.media.inside.picture_frame import STILL_LINES, Size, image_of_pixels, pixels_of_frame
from pipeline.adapters.media.inside.refused import MAX_PIXELS

_CODECS = {  # type of item -> decoder, property with its configuration
    b"hvc1": ("hevc", b"hvcC"),
    b"hev1": ("hevc", b"hvcC"),
    b"av01": ("libdav1d", b"av1C"),
    b"avc1": ("h264", b"avcC"),
    b"jpeg": ("mjpeg", b"jpgC"),
    b"j2k1": ("jpeg2000", b"j2kH"),
}
_ALPHA = (b"urn:mpeg:hevc:2015:auxid:1", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")
_HDR = (16, 18)  # ITU-T H.273: PQ, HLG
_MAX_DEPTH = 4
_MAX_PARTS = 4096


def heif_picture(file: BinaryIO, size_bytes: int, size: Size) -> Image.Image | None:
    """The main picture scaled to `size` before it is turned."""
    items = read_items(file, size_bytes)
    if items is None or (main := items.by_number.get(items.main)) is None:
        return None
    try:
        composition = _Composition(file, items, _tagged(items, main))
        return image_of_pixels(composition.of(main, size), composition.tagged)
    except (FFmpegError, ValueError, LookupError, MemoryError, struct.error):
        return None


class _Composition:
    """Composes items to RGBA, with 16 bits for HDR and 8 bits otherwise."""

    def __init__(self, file: BinaryIO, items: Items, tagged: Tagged) -> None:
        self._file, self._items, self.tagged = file, items, tagged
        self._type = np.uint16 if tagged.transfer in _HDR else np.uint8
        self._opaque = np.iinfo(self._type).max
        self._alphas = {
            number: other
            for other in items.by_number.values()
            for number in other.refers.get(b"auxl", ())
            if (other.stated(b"auxC") or b"")[4:].split(b"\0")[0] in _ALPHA
        }
        self._left_pixels, self._left_parts = MAX_PIXELS, _MAX_PARTS

    def of(self, item: Item, size: Size, depth: int = 0) -> NDArray[Any]:
        """The item scaled to `size`, not turned, with its alpha plane. Raises ValueError for one that is not
        possible."""
        self._left_parts -= 1
        if depth > _MAX_DEPTH or self._left_parts < 0:
            raise ValueError("the picture has too many parts")
        match item.kind:
            case b"grid":
                pixels = self._grid(item, size, depth)
            case b"iovl":
                pixels = self._overlay(item, size, depth)
            case b"iden":
                pixels = self._turned(self._parts(item)[0], size, depth + 1)
            case _:
                pixels = self._coded(item, size)
        if (alpha := self._alphas.get(item.number)) is not None:
            pixels[..., 3] = self.of(alpha, size, depth + 1)[..., 0]
        return pixels

    def _coded(self, item: Item, size: Size) -> NDArray[Any]:
        frame = self._decoded(item)
        pixels = pixels_of_frame(frame, size, self._frame_tags(frame), STILL_LINES)
        if pixels.shape[-1] == 4:
            return pixels
        return np.dstack([pixels, np.full(pixels.shape[:2], self._opaque, self._type)])

    def _decoded(self, item: Item) -> VideoFrame:
        codec, configuration = _CODECS[item.kind]
        self._left_pixels -= (item.size or (0, 0))[0] * (item.size or (0, 0))[1]
        if self._left_pixels < 0:
            raise ValueError("the picture has too many pixels")
        context = cast(VideoCodecContext, CodecContext.create(codec, "r"))
        context.thread_count = 1
        data = self._items.read(self._file, item)
        setup = item.stated(configuration)
        if setup is not None and codec == "mjpeg":
            data = setup + data
        elif setup is not None:
            context.extradata = setup
        frames = [*context.decode(Packet(data)), *context.decode(None)]
        return frames[0]

    def _frame_tags(self, frame: VideoFrame) -> Tagged:
        """The file's tags; the frame's for what the file does not state."""
        if self.tagged.full_range is not None:
            return self.tagged
        return Tagged(transfer=self.tagged.transfer, matrix=frame.colorspace)

    def _grid(self, item: Item, size: Size, depth: int) -> NDArray[Any]:
        """ISO/IEC 23008-12, 6.6.2.3: tiles of one size, line by line, on a canvas that may cut the last ones."""
        data, parts = self._items.read(self._file, item), self._parts(item)
        rows, columns = data[2] + 1, data[3] + 1
        width, height = struct.unpack_from(">II" if data[1] & 1 else ">HH", data, 4)
        tile = parts[0].size
        if tile is None or not width or not height:
            raise ValueError("the grid has no size")
        canvas = np.zeros((size[1], size[0], 4), self._type)
        across = [round(column * tile[0] * size[0] / width) for column in range(columns + 1)]
        down = [round(row * tile[1] * size[1] / height) for row in range(rows + 1)]
        for number, part in enumerate(parts[: rows * columns]):
            row, column = divmod(number, columns)
            x, y = across[column], down[row]
            part_size = (across[column + 1] - x, down[row + 1] - y)
            if x < size[0] and y < size[1] and min(part_size) > 0:
                _paste(canvas, self._turned(part, part_size, depth + 1), x, y, self._opaque)
        return canvas

    def _overlay(self, item: Item, size: Size, depth: int) -> NDArray[Any]:
        """ISO/IEC 23008-12, 6.6.2.4: parts at positions on a canvas of one colour."""
        data, parts = self._items.read(self._file, item), self._parts(item)
        fill = struct.unpack_from(">4H", data, 2)
        wide = data[1] & 1
        width, height = struct.unpack_from(">II" if wide else ">HH", data, 10)
        canvas = np.empty((size[1], size[0], 4), self._type)
        canvas[:] = [value if self._type is np.uint16 else value >> 8 for value in fill]
        for number, part in enumerate(parts):
            x, y = struct.unpack_from(
                ">ii" if wide else ">hh", data, (18 if wide else 14) + number * (8 if wide else 4)
            )
            part_width, part_height = _displayed(part)
            left, top = round(x * size[0] / width), round(y * size[1] / height)
            right = round((x + part_width) * size[0] / width)
            bottom = round((y + part_height) * size[1] / height)
            if right > left and bottom > top and right - left <= 4 * size[0] and bottom - top <= 4 * size[1]:
                _paste(canvas, self._turned(part, (right - left, bottom - top), depth + 1), left, top, self._opaque)
        return canvas

    def _turned(self, item: Item, size: Size, depth: int) -> NDArray[Any]:
        """The item as it is displayed."""
        rotation, mirrored = _orientation(item)
        stored = (size[1], size[0]) if rotation in (90, 270) else size
        pixels = self.of(item, stored, depth)
        if mirrored:
            pixels = pixels[:, ::-1]
        return np.rot90(pixels, -rotation // 90)

    def _parts(self, item: Item) -> list[Item]:
        """The items that this one is composed of. Raises LookupError."""
        return [self._items.by_number[number] for number in item.refers[b"dimg"]]


def _paste(canvas: NDArray[Any], pixels: NDArray[Any], x: int, y: int, opaque: int) -> None:
    """Draw `pixels` over the canvas; what lies outside is cut off."""
    height, width = canvas.shape[:2]
    pixels = pixels[max(0, -y) : height - y, max(0, -x) : width - x]
    x, y = max(0, x), max(0, y)
    below = canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]]
    share = pixels[..., 3:].astype(np.float32) / opaque
    below[..., :3] = pixels[..., :3] * share + below[..., :3] * (1 - share) + 0.5
    below[..., 3:] = np.maximum(below[..., 3:], pixels[..., 3:])


def _orientation(item: Item) -> tuple[int, bool]:
    return of_heif((name, data[0]) for name, data in item.properties if name in (b"irot", b"imir") and data)


def _displayed(item: Item) -> Size:
    width, height = item.size or (0, 0)
    return (height, width) if _orientation(item)[0] in (90, 270) else (width, height)


def _tagged(items: Items, main: Item) -> Tagged:
    """The colour properties (ISO/IEC 14496-12, 12.1.5) of the main item, or of its first part."""
    colours = [data for name, data in main.properties if name == b"colr"]
    if not colours and (parts := main.refers.get(b"dimg")) and (part := items.by_number.get(parts[0])):
        colours = [data for name, data in part.properties if name == b"colr"]
    tagged = Tagged()
    for data in colours:
        if data[:4] == b"nclx" and len(data) >= 11:
            primaries, transfer, matrix, full = struct.unpack_from(">HHHB", data, 4)
            tagged = Tagged(primaries, transfer, matrix, bool(full & 0x80), tagged.profile)
        elif data[:4] in (b"prof", b"rICC"):
            tagged = Tagged(tagged.primaries, tagged.transfer, tagged.matrix, tagged.full_range, data[4:])
    return tagged
