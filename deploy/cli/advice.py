"""What a person at the command line can do about each error code: the sentence after the gateway's own message.

Guarantee: every code of the error catalogue is here (a test holds the two together), so that a new code is thought
through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BUG = "That is a fault of this client or of a proxy in between; please report it."
_AGAIN = "The same command goes on where this one stopped."
_SERVER_SIDE = "The fault is on the server's side. " + _AGAIN
_ANEW = "The same command sends it anew."
_EXPLAINED = ""

ADVICE: Final[Mapping[str, str]] = {
    "ROUTE_NOT_FOUND": "Does --server name a Sluice gateway, without a path?",
    "METHOD_NOT_ALLOWED": _BUG,
    "BODY_NOT_JSON": _BUG,
    "REQUEST_MALFORMED": _BUG,
    "BODY_TIMEOUT": _AGAIN,
    "CONTENT_TYPE_NOT_SUPPORTED": _BUG,
    "NOT_READY": _SERVER_SIDE,
    "BODY_TOO_LARGE": "Are there very many or very long --metadata values?",
    "VALIDATION_FAILED": "Check --content-type, --metadata and the file's name.",
    "ENCODING_NOT_SUPPORTED": _BUG,
    "IDEMPOTENCY_KEY_REUSED": _ANEW,
    "CURSOR_INVALID": _BUG,
    "UPLOAD_NOT_FOUND": "It may have ended long ago: a server forgets ended uploads after a day, unless set otherwise.",
    "CONTENT_NOT_FOUND": _EXPLAINED,
    "THUMBNAIL_NOT_FOUND": _EXPLAINED,
    "RANGE_NOT_SATISFIABLE": _BUG,
    "FILE_TOO_LARGE_FOR_VOLUME": "Whoever runs the server can raise SLUICE_TEMP_BUDGET_BYTES.",
    "FILE_TOO_LARGE_FOR_STORE": "The file has to be cut into several.",
    "SEGMENT_OUT_OF_RANGE": _BUG,
    "SEGMENT_LENGTH_WRONG": _BUG,
    "SEGMENT_DIGEST_WRONG": "Something between here and the server alters what is sent. " + _AGAIN,
    "SEGMENT_DIFFERS": "The file must have changed since the first attempt.",
    "DIGEST_NOT_SUPPORTED": "Try another --digest.",
    "SEGMENT_STALLED": "The line may be too slow for so many at once: try a lower --concurrency. " + _AGAIN,
    "SEGMENT_CUT_OFF": _AGAIN,
    "UPLOAD_WAITING": _AGAIN,
    "IMPORT_NOT_ALLOWED": "Whoever runs the server can add it to SLUICE_IMPORT_BUCKETS.",
    "IMPORT_OWN_OBJECT": _EXPLAINED,
    "IMPORT_OBJECT_MISSING": _EXPLAINED,
    "IMPORT_EMPTY": _EXPLAINED,
    "TRANSPORT_NOT_OFFERED": _EXPLAINED,
    "UPLOAD_COMPLETE": _EXPLAINED,
    "SEGMENTS_MISSING": _AGAIN,
    "EVENTS_OFF": _EXPLAINED,
    "EVENTS_TOKEN_WRONG": _EXPLAINED,
    "TRANSPORT_DIFFERS": _BUG,
    "OBJECT_CHANGED": _EXPLAINED,
    "CONTENT_EXISTS": _EXPLAINED,
    "GATEWAY_BUSY": _AGAIN,
    "INTERNAL": _SERVER_SIDE,
    "UPLOAD_ENDED": _ANEW,
    "UPLOAD_EXPIRED": _ANEW,
    "UPLOAD_CANCELLED": _ANEW,
    "NOT_MEDIA": "Sluice takes videos, images and audio only; nothing of the file was kept.",
    "MEDIA_TIMEOUT": "The file may be damaged, or the server too busy.",
    "MEDIA_TOOL_FAILED": "On the server, `sluice doctor` says what is wrong with ffmpeg. " + _ANEW,
    "FILE_DIGEST_WRONG": "Did the file change while it was being sent?",
    "STORE_UNAVAILABLE": _SERVER_SIDE,
    "STORE_AUTH_FAILED": "On the server, `sluice doctor` says what is wrong with the store's credentials.",
    "STORE_REJECTED": "On the server, `sluice doctor` checks the store.",
    "STORE_OBJECT_MISSING": "Somebody removed it from the store.",
    "SEGMENT_CORRUPT": "The server's temp volume may be failing. " + _AGAIN,
    "STORE_SESSION_LOST": _SERVER_SIDE,
    "MANIFEST_REFUSED": _SERVER_SIDE,
    "UPLOAD_RECOVERING": "On the server, `sluice recover` makes Redis know it again; nothing has to be sent anew.",
    "VOLUME_RECOVERING": "On the server, run `sluice recover`.",
    "REDIS_UNAVAILABLE": _SERVER_SIDE,
    "DATABASE_UNAVAILABLE": _SERVER_SIDE,
    "CACHE_PURGE_FAILED": _SERVER_SIDE,
    "TEMP_VOLUME_FULL": _SERVER_SIDE,
    "TEMP_VOLUME_FAILED": "On the server, `sluice doctor` checks the temp volume.",
    "TEMP_FILE_MISSING": _ANEW,
    "STAGE_LOST": _SERVER_SIDE,
    "STAGE_TIMEOUT": "The server may be too busy. " + _ANEW,
    "STAGE_CRASHED": "The server's log says more. " + _ANEW,
}


def advice_for(code: str) -> str:
    """A sentence, or nothing where the message says it all or the code is unknown here (a newer server)."""
    return ADVICE.get(code, "")
