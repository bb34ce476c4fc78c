"""The route to which object stores send notifications of new objects, each of which starts an import.

Guarantee: no body is read before the secret is verified. A message in the envelope of Amazon's SNS also needs SNS'
signature and a topic that the operator has named, and no URL of it is opened. A notification may come twice, late, out
of order or for an object that no longer exists: each object is looked up in the store, and one version of it is one
content. An object that can never be imported is reported as ignored, so that the store does not resend the notification
forever. A temporary failure is an error response, so that the store sends it again; the other objects of the
notification are imported all the same.
"""

from __future__ import annotations

import base64
import binascii
import hmac

from aiohttp import web
from pydantic import ValidationError

from gateway import access
from gateway.api.views import import_view
from gateway.error_codes import ANY_TYPE_BODY_ERRORS, DATABASE_ERRORS, REGISTRATION_ERRORS, STORE_ERRORS
from gateway.http.bodies import invalid_field, parse_json
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.http.state import OPTIONS
from gateway.keys import LIMITS, SERVICES
from gateway.routing import RequestHeader, ResponseSpec, Route
from pipeline.core.errors import RequestError
from pipeline.logs import Log, logger
from pipeline.sweeps import Sweep
from schemas.imports import EventsTaken, IgnoredEvent, ImportObject, ImportView
from schemas.storage_events import EventRecord, StorageEvents

_LIMIT_BYTES = 512 * 1024  # SNS sends up to 256 KB, and more once its quotes are escaped


async def take(request: web.Request) -> web.StreamResponse:
    _authenticate(request)
    # Stores send several content types. Any is safe, since a page of another origin does not know the secret.
    events = await parse_json(request, StorageEvents, any_type=True, limit_bytes=_LIMIT_BYTES)
    if events.is_signed:
        await request.app[SERVICES].signed_messages.require_valid(events)
    if events.is_about_subscription:
        return _subscription(events, request.app[SERVICES].signed_messages.confirm_url(events))
    try:
        events = events.unwrapped()
    except ValidationError:
        raise invalid_field("Message", "Must be a notification of S3, as JSON") from None
    imports: list[ImportView] = []
    ignored: list[IgnoredEvent] = []
    sweep = Sweep(Log.EVENT_DEFERRED)
    failure: Exception | None = None
    for record in events.records:
        with sweep.item(bucket=record.s3.bucket.name, key=record.s3.object.name):
            try:
                outcome = await _import(request, record)
            except Exception as error:
                failure = error
                raise
            if isinstance(outcome, ImportView):
                imports.append(outcome)
            else:
                ignored.append(outcome)
                logger().info(Log.EVENT_IGNORED, bucket=outcome.bucket, key=outcome.key, reason=outcome.reason)
    if failure is not None:  # the store sends the whole notification again; what was imported is found again
        raise failure
    return success(EventsTaken(imports=imports, ignored=ignored))


def _subscription(events: StorageEvents, confirm_url: str | None) -> web.Response:
    """SNS asks for its subscription to be confirmed, or reports its end. The URL is returned and logged; the gateway
    never opens a URL from a request."""
    logger().warning(Log.EVENTS_SUBSCRIPTION, type=events.type, topic=events.topic, open_to_confirm=confirm_url)
    return success(EventsTaken(imports=[], ignored=[], confirm_url=confirm_url))


async def _import(request: web.Request, record: EventRecord) -> ImportView | IgnoredEvent:
    bucket, key = record.s3.bucket.name, record.s3.object.name
    if not record.is_creation:
        return IgnoredEvent(bucket=bucket, key=key, reason="NOT_A_CREATION")
    try:
        imported = await request.app[SERVICES].importer.take(ImportObject(bucket=bucket, key=key))
    except ValidationError:
        return IgnoredEvent(bucket=bucket, key=key, reason="VALIDATION_FAILED")
    except RequestError as error:  # permanent: the next notification would fail in the same way
        return IgnoredEvent(bucket=bucket, key=key, reason=error.code)
    return import_view(imported, base_url(request))


def _authenticate(request: web.Request) -> None:
    """Verify the secret, sent as a bearer token or as the password of Basic. Senders that accept only a URL send it as
    `https://any:SECRET@host/`. Raises RequestError EVENTS_OFF, EVENTS_TOKEN_WRONG; LimitReached RATE_LIMITED after too
    many failures of its address."""
    expected = request.app[OPTIONS].events_token.get_secret_value()
    if not expected:
        raise RequestError("EVENTS_OFF")
    sent = request.headers.getall("Authorization", [])
    scheme, _, value = (sent[0] if len(sent) == 1 else "").partition(" ")
    given = value.strip().encode(errors="surrogateescape")  # as aiohttp decodes headers
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            given = b""
    elif scheme.lower() != "bearer":
        given = b""
    if not hmac.compare_digest(given, expected.encode()):
        request.app[LIMITS].count_failure(request.remote or "")
        raise RequestError("EVENTS_TOKEN_WRONG")


ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/events/storage",
        take,
        "Contents",
        "Receive a store's notification",
        "S3 event notifications as Amazon (directly or through SNS), Ceph and MinIO send them. Each "
        "created object is imported; other events are ignored. Repeated notifications are harmless. The signature "
        "of messages of Amazon SNS is verified, and their topic must be in SLUICE_SNS_TOPICS; raw message "
        "delivery has no signature. To confirm a subscription, an operator must open `confirm_url` of the "
        "response, which is also logged.",
        responses=(ResponseSpec(200, "The imports that were started and the records that were ignored", EventsTaken),),
        errors=(
            "EVENTS_OFF",
            "EVENTS_TOKEN_WRONG",
            "EVENTS_TOPIC_NOT_ALLOWED",
            "EVENTS_SIGNATURE_WRONG",
            "EVENTS_NOT_VERIFIED",
            *ANY_TYPE_BODY_ERRORS,
            *STORE_ERRORS,
            *DATABASE_ERRORS,
            *REGISTRATION_ERRORS,
        ),
        request_headers=(
            RequestHeader(
                "Authorization",
                "`Bearer` with the secret of SLUICE_EVENTS_TOKEN, or `Basic` with the secret as the password.",
                {"type": "string"},
            ),
        ),
        body=StorageEvents,
        new_work=True,
        access=access.STORE,
    ),
)
