"""The route that object stores notify of new objects: in place of a function in the cloud.

Guarantee: nothing is read before the secret holds. A notification may come twice, late, out of order, or for an object
that is no more: every object is asked for at the store, and one version of it is one content. What can never become an
import is answered as ignored, so that no store sends it for ever; what failed for the moment is an error, so that it
comes again.
"""

from __future__ import annotations

import base64
import binascii
import hmac

from aiohttp import web
from pydantic import ValidationError

from gateway.api.views import import_view
from gateway.http.bodies import invalid_field, parse_json
from gateway.http.envelope import success
from gateway.options import OPTIONS, SERVICES
from gateway.routing import Answer, Header, Route
from pipeline.core.errors import RequestError
from pipeline.telemetry import Log, logger
from schemas.imports import EventsTaken, IgnoredEvent, ImportObject, ImportView
from schemas.storage_events import EventRecord, StorageEvents

_LIMIT_BYTES = 512 * 1024  # SNS sends up to 256 KB, and more once its quotes are escaped


async def take(request: web.Request) -> web.StreamResponse:
    _authenticate(request)
    # The secret is what a page of another origin does not have, so any type of content will do: stores send several.
    events = await parse_json(request, StorageEvents, any_type=True, limit_bytes=_LIMIT_BYTES)
    if events.is_about_subscription:
        return _subscription(events)
    try:
        events = events.unwrapped()
    except ValidationError:
        raise invalid_field("Message", "Must be a notification of S3, as JSON") from None
    imports: list[ImportView] = []
    ignored: list[IgnoredEvent] = []
    for record in events.records:
        outcome = await _import(request, record)
        if isinstance(outcome, ImportView):
            imports.append(outcome)
        else:
            ignored.append(outcome)
            logger().info(Log.EVENT_IGNORED, bucket=outcome.bucket, key=outcome.key, reason=outcome.reason)
    return success(EventsTaken(imports=imports, ignored=ignored))


def _subscription(events: StorageEvents) -> web.Response:
    """SNS asks whether it may send. Told and logged, not answered for: a URL that came in by a request is nothing that
    the gateway opens."""
    logger().warning(
        Log.EVENTS_SUBSCRIPTION, type=events.type, topic=events.topic, open_to_confirm=events.subscribe_url
    )
    return success(EventsTaken(imports=[], ignored=[], confirm_url=events.subscribe_url))


async def _import(request: web.Request, record: EventRecord) -> ImportView | IgnoredEvent:
    bucket, key = record.s3.bucket.name, record.s3.object.name
    if not record.is_creation:
        return IgnoredEvent(bucket=bucket, key=key, reason="NOT_A_CREATION")
    try:
        return import_view(await request.app[SERVICES].importer.take(ImportObject(bucket=bucket, key=key)))
    except ValidationError:
        return IgnoredEvent(bucket=bucket, key=key, reason="VALIDATION_FAILED")
    except RequestError as error:  # what is wrong with this object will be so next time
        return IgnoredEvent(bucket=bucket, key=key, reason=error.code)


def _authenticate(request: web.Request) -> None:
    """The secret comes as a bearer token, or as the password of Basic: senders that know but a URL take it as
    `https://any:SECRET@host/`. Raises RequestError EVENTS_OFF, EVENTS_TOKEN_WRONG."""
    expected = request.app[OPTIONS].events_token.get_secret_value()
    if not expected:
        raise RequestError("EVENTS_OFF")
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    given = value.strip().encode()
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            given = b""
    elif scheme.lower() != "bearer":
        given = b""
    if not hmac.compare_digest(given, expected.encode()):
        raise RequestError("EVENTS_TOKEN_WRONG")


ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/events/storage",
        take,
        "Contents",
        "Take a store's notification",
        "Notifications of S3 as Amazon (bare or by SNS), Ceph and MinIO send them. Every object that was created is "
        "imported; other events are ignored. Harmless when it comes twice. When SNS asks for its subscription to be "
        "confirmed, `confirm_url` of the answer, which is logged too, is what somebody has to open.",
        answers=(Answer(200, "What followed from it", EventsTaken),),
        errors=(
            "EVENTS_OFF",
            "EVENTS_TOKEN_WRONG",
            "BODY_NOT_JSON",
            "BODY_TOO_LARGE",
            "BODY_TIMEOUT",
            "ENCODING_NOT_SUPPORTED",
            "VALIDATION_FAILED",
            "STORE_UNAVAILABLE",
            "STORE_AUTH_FAILED",
            "STORE_REJECTED",
            "REDIS_UNAVAILABLE",
            "DATABASE_UNAVAILABLE",
            "TEMP_VOLUME_FULL",
            "TEMP_VOLUME_FAILED",
        ),
        headers=(
            Header(
                "Authorization",
                "`Bearer` and the secret of SLUICE_EVENTS_TOKEN, or `Basic` with it as the password.",
                {"type": "string"},
            ),
        ),
        body=StorageEvents,
        new_work=True,
    ),
)
