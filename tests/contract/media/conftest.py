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


@pytest.fixture(scope="session", params=["small", "full"])
def thumbnailer(request: pytest.FixtureRequest, sandbox: Sandbox) -> FfmpegThumbnailer:
    """The small build that the embedded stack carries, and the fullest that is installed."""
    path = media_tool_path("ffmpeg") if request.param == "small" else _decoding_ffmpeg()
    return FfmpegThumbnailer(path, 20, sandbox)
