"""Which of several frames represents a moving picture best.

Guarantee: pure and cheap: frames are compared as samples of 32 x 32 pixels. Frames that are black or of one colour are
recognised, and of the others the one that is closest to their average is the most typical.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLE_EDGE_PIXELS = 32
_MAX_FRAMES = 24
_MAX_COMPARED_PIXELS = 16_000_000  # all frames of a choice together: 17 of 720p, 7 of 1080p, 2 of 4K
_BLACK_LUMA = 19  # of 255; 32 in limited range
_BLACK_SHARE = 0.95
_ONE_COLOUR_SPREAD = 12  # of 255, per channel


def frame_limit(width: int, height: int) -> int:
    """How many frames of this size are compared: 24, or fewer if they are large."""
    return max(2, min(_MAX_FRAMES, _MAX_COMPARED_PIXELS // max(1, width * height)))


def sample_of_image(image: Image.Image) -> NDArray[Any]:
    """The sample of an RGB image."""
    return np.asarray(image.resize((SAMPLE_EDGE_PIXELS, SAMPLE_EDGE_PIXELS), Image.Resampling.BOX))


class Shows(IntEnum):
    """What a frame shows; the higher, the better it represents the whole."""

    NOTHING = -1
    BLACK = 0
    ONE_COLOUR = 1
    CONTENT = 2


def what_shows(sample: NDArray[Any]) -> Shows:
    """What a sample shows, which has RGB in its last dimension: black if 95 % of it are nearly black."""
    luma = sample @ np.array([0.2126, 0.7152, 0.0722])
    if np.mean(luma < _BLACK_LUMA) >= _BLACK_SHARE:
        return Shows.BLACK
    spread = np.ptp(sample.reshape(-1, sample.shape[-1]), axis=0)
    return Shows.ONE_COLOUR if spread.max() <= _ONE_COLOUR_SPREAD else Shows.CONTENT


def most_typical(samples: Sequence[NDArray[Any]]) -> tuple[int, Shows]:
    """The index of the sample that is closest to the average of those that show most, and what these show."""
    kinds = [what_shows(sample) for sample in samples]
    best = max(kinds)
    shown = [index for index, kind in enumerate(kinds) if kind is best]
    average = np.mean([samples[index].astype(np.float32) for index in shown], axis=0)
    return min(shown, key=lambda index: float(np.sum((samples[index] - average) ** 2))), best
