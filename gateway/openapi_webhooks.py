"""The section `webhooks` of the OpenAPI document: what the endpoints of webhooks receive.

Guarantee: each event that a webhook can ask for has an entry here; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from pipeline.core.webhooks import EventType, event_id
from schemas import webhook_examples as examples
from schemas.webhooks import ContentFacts, DeletionFacts, MediaFacts, UploadFacts


@dataclass(frozen=True, slots=True)
class EventSpec:
    """An event: when it is sent, the model of its `data`, and an example of that."""

    when: str
    data: type[BaseModel]
    example: Mapping[str, Any]


EVENTS: Final[Mapping[EventType, EventSpec]] = {
    EventType.ADMITTED: EventSpec(
        "The upload has room on the temp volume, and segments are accepted. Uploads straight to the store and imports "
        "need no room, and have no such event.",
        UploadFacts,
        examples.UPLOAD_FACTS,
    ),
    EventType.MEDIA: EventSpec(
        "The media metadata is known, mostly before the last segment has arrived.",
        MediaFacts,
        examples.MEDIA_FACTS,
    ),
    EventType.READY: EventSpec(
        "The upload has become a content: its object, its thumbnail and its row exist.",
        ContentFacts,
        examples.CONTENT_FACTS,
    ),
    EventType.CHANGED: EventSpec(
        "The content's metadata or thumbnail has changed, because an operator has run a stage again (`sluice replay`).",
        ContentFacts,
        examples.CONTENT_FACTS,
    ),
    EventType.FAILED: EventSpec(
        "The upload has ended without a content; `error_code` says why.",
        UploadFacts,
        examples.FAILED_FACTS,
    ),
    EventType.EXPIRED: EventSpec(
        "The upload has ended because nothing arrived in time, or at its deadline.",
        UploadFacts,
        examples.EXPIRED_FACTS,
    ),
    EventType.DELETED: EventSpec(
        "The content is deleted: the API no longer shows it. Its object is removed from the store soon after.",
        DeletionFacts,
        examples.DELETION_FACTS,
    ),
}

MODELS: Final = frozenset(spec.data for spec in EVENTS.values())
"""Those that the section refers to."""

_TIME: Final = "2026-11-27T11:23:58.120Z"
_HEADERS: Final[Mapping[str, tuple[str, str]]] = {
    "webhook-id": (
        "Id of the event: the same at every attempt, so that receivers can ignore repeats",
        examples.DELIVERY["event_id"],
    ),
    "webhook-timestamp": ("Time of this attempt, in seconds since 1970", "1795778638"),
    "webhook-signature": (
        "`v1,` and the HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}` in base64; two during a rotation",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}
"""Name -> description and example."""
_TRACEPARENT: Final = (
    "W3C Trace Context of the request that created the upload. Left out where it is not known, as without traces"
)
_TRACE_HEADER: Final[Mapping[str, Any]] = {
    "name": "traceparent",
    "in": "header",
    "required": False,
    "description": "W3C Trace Context: in the trace of the upload, where that is known",
    "schema": {"type": "string"},
    "example": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


def webhooks_section(reference: str) -> dict[str, Any]:
    """`reference`: the form of a reference to a schema, with `{model}` for its name."""
    return {str(kind): {"post": _operation(kind, spec, reference)} for kind, spec in EVENTS.items()}


def _operation(kind: EventType, spec: EventSpec, reference: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"type": "string", "const": str(kind)},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened"},
            "data": {"$ref": reference.format(model=spec.data.__name__)},
            **({} if kind is EventType.DELETED else {"traceparent": {"type": "string", "description": _TRACEPARENT}}),
        },
    }
    example = {"type": str(kind), "timestamp": _TIME, "data": spec.example}
    return {
        "operationId": event_id(kind, "webhook"),
        "tags": ["Webhooks"],
        "summary": str(kind),
        "description": spec.when,
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
                "example": shown,
            }
            for name, (text, shown) in _HEADERS.items()
        ]
        + ([] if kind is EventType.DELETED else [_TRACE_HEADER]),
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "responses": {
            "2XX": {"description": "The event is delivered. Respond within 10 seconds; the body is not read"},
            "410": {"description": "The webhook is paused at once"},
            "default": {"description": "The event is delivered again later, for three days"},
        },
    }
