"""The error of a reader that could not do its work, through no fault of the file."""

from __future__ import annotations

from pipeline.core.errors import SluiceError


def tool_failed(reason: str) -> SluiceError:
    """MEDIA_TOOL_FAILED of the reader; a retry is worthwhile."""
    return SluiceError("MEDIA_TOOL_FAILED", tool="The media reader", reason=reason)
