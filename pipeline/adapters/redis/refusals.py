"""Refusals of new uploads, as the script `upload_create` returns them, as errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from pipeline.core.errors import DependencyUnavailable, LimitReached, RequestError, SluiceError

# How long a client waits before it tries again where nobody knows when an upload will end.
_TRY_AGAIN_SECONDS: Final = 10


def refusal(reply: Mapping[str, Any]) -> SluiceError:
    """The error for `refused` of a reply. A code that is not known is one of a script of this release, so it is a
    bug."""
    code = reply["code"]
    seconds = max(1, math.ceil(reply.get("retry_after_seconds", _TRY_AGAIN_SECONDS)))
    if code == "RATE_LIMITED":
        return LimitReached("RATE_LIMITED", what=reply["policy"], retry_after_seconds=seconds)
    if code == "QUEUE_FULL":
        return LimitReached("QUEUE_FULL", value=int(reply["value"]), retry_after_seconds=seconds)
    if code == "OWNER_LIMIT":
        value = int(reply["value"])
        return LimitReached("OWNER_LIMIT", limit=reply["limit"], value=value, retry_after_seconds=seconds)
    if code == "DAILY_LIMIT":
        return LimitReached("DAILY_LIMIT", value=int(reply["value"]), retry_after_seconds=seconds)
    if code == "FILE_TOO_LARGE_FOR_OWNER":
        size_bytes, value = int(reply["size_bytes"]), int(reply["value"])
        return RequestError("FILE_TOO_LARGE_FOR_OWNER", size_bytes=size_bytes, limit=reply["limit"], value=value)
    if code == "VOLUME_DRAINING":
        return DependencyUnavailable("VOLUME_DRAINING", volume=reply["volume"], retry_after_seconds=seconds)
    if code == "UPLOAD_NOT_FOUND":
        return RequestError("UPLOAD_NOT_FOUND", upload_id=reply["upload_id"])
    if code == "PARTIAL_UPLOAD_USED":
        return RequestError("PARTIAL_UPLOAD_USED", upload_id=reply["upload_id"])
    if code == "PARTIAL_UPLOADS_NOT_STORED":
        return RequestError("PARTIAL_UPLOADS_NOT_STORED", upload_id=reply["upload_id"], retry_after_seconds=1)
    raise ValueError(f"upload_create refused with {code}")
