"""The real tools that the contract tests of probing and thumbnails run."""

from __future__ import annotations

import importlib
import os
import shutil

import pytest

from deploy.embedded.media_tools import media_tool_path
from pipeline.adapters.media.ffmpeg import FfmpegThumbnailer
from pipeline.adapters.media.ffprobe import FfprobeMediaProbe
from pipeline.adapters.media.sandbox import Sandbox


def _decoding_ffmpeg() -> str:
    """An ffmpeg that decodes PNG and AV1 as well, if there is one: builds without zlib and dav1d do not."""
    if "SLUICE_FFMPEG" in os.environ:
        return os.environ["SLUICE_FFMPEG"]
    try:
        imageio_ffmpeg = importlib.import_module("imageio_ffmpeg")
    except ImportError:
        return shutil.which("ffmpeg") or media_tool_path("ffmpeg")
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture(scope="session")
def probe(sandbox: Sandbox) -> FfprobeMediaProbe:
    return FfprobeMediaProbe(media_tool_path("ffprobe"), 20, sandbox)


@pytest.fixture(scope="session")
def thumbnailer(sandbox: Sandbox) -> FfmpegThumbnailer:
    """On the fullest build of ffmpeg that is installed: it opens and decodes all that the small one does, and more."""
    return FfmpegThumbnailer(_decoding_ffmpeg(), 20, sandbox)


@pytest.fixture(scope="session")
def small_thumbnailer(sandbox: Sandbox) -> FfmpegThumbnailer:
    """On the small build that the embedded stack carries."""
    return FfmpegThumbnailer(media_tool_path("ffmpeg"), 20, sandbox)
