"""Events from the facts behind them: what endpoints receive.

The body is made once, when the fact is recorded or copied, so that every attempt sends and signs the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from pipeline.core.access import DEFAULT_OWNER
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.webhooks import EventType, event_id
from pipeline.hidden_paths import without_paths
from pipeline.ports.webhooks import NewEvent
from schemas.media import MediaMetadata
from schemas.webhooks import MediaFacts, UploadFacts, WebhookEvent

_TRACEPARENT: Final = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event_of(fields: Mapping[str, str]) -> NewEvent:
    """The event of a fact that a Redis script has recorded. Raises KeyError, ValueError for a damaged one."""
    kind, upload_id = EventType(fields["type"]), str(UUID(fields["upload_id"]))
    facts = UploadFacts(
        upload_id=upload_id,
        owner=fields.get("owner", DEFAULT_OWNER),
        filename=fields["filename"],
        size_bytes=int(fields["size_bytes"]),
        content_type=fields["content_type"],
        metadata=json.loads(fields["metadata"]),
        error_code=fields.get("error_code"),
        error=_shown(fields.get("error_code"), fields.get("error_message")),
    )
    if kind is EventType.MEDIA:
        media = MediaMetadata.model_validate_json(fields["media"])
        facts = MediaFacts(**facts.model_dump(), media=media)
    at = _EPOCH + timedelta(milliseconds=int(fields["at_ms"]))
    event = WebhookEvent(
        type=kind, timestamp=at, data=facts.model_dump(mode="json"), traceparent=fields.get("traceparent")
    )
    return NewEvent(event_id(kind, upload_id), kind, facts.owner, upload_id, at, event.body())


def traceparent_of(body: str) -> str | None:
    """The traceparent of the upload that an event concerns; None: the event has none."""
    found = json.loads(body).get("traceparent")
    return found if isinstance(found, str) and _TRACEPARENT.fullmatch(found) else None


def _shown(code: str | None, message: str | None) -> str | None:
    """As the API shows it: without directories of the server, which errors that the client has not caused may name."""
    spec = CATALOGUE.get(code or "")  # None: of another release
    if message is None or (spec is not None and spec.http_status < 500):
        return message
    return str(without_paths(message))
