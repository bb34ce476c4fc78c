"""What the header of an image states beyond what PyAV reports: orientation, animation, and sizes that no decoder reads.

Guarantee: bounded work (headers of chunks, nothing is decoded), and a result for any bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.adapters.media.inside.orientation import UPRIGHT, Orientation
from schemas.media import Colour


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """None for what the header does not state. `animation_seconds` and `frames` belong to animations only."""

    width: int | None = None
    height: int | None = None
    pixel_format: str | None = None
    bit_depth: int | None = None
    orientation: Orientation = UPRIGHT
    animation_seconds: float | None = None
    frames: int | None = None
    colour: Colour | None = None

    @property
    def frame_rate(self) -> float | None:
        """Frames per second of an animation."""
        if not self.animation_seconds or not self.frames:
            return None
        return self.frames / self.animation_seconds
