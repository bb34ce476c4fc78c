"""Routes of webhooks: create, list, show, change, delete, replace the secret, test, list deliveries, replay.

Guarantee: a webhook of another owner, and of the installation, looks like one that does not exist, except to operators.
Each query of the database names the owner, so there is no moment between a check and its use.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from pydantic import ConfigDict, Field

from gateway import access
from gateway.api.shared import PageQuery, own_only, paginate, parse_query, sees
from gateway.api.views import microseconds
from gateway.error_codes import DATABASE_ERRORS, JSON_BODY_ERRORS, LIST_ERRORS, WEBHOOK_LOOKUP_ERRORS
from gateway.http.bodies import parse_json
from gateway.http.cursors import Position
from gateway.http.envelope import success
from gateway.http.links import base_url
from gateway.ids import webhook_id
from gateway.keys import CALLER, LIMITS, SERVICES
from gateway.routing import ResponseSpec, Route
from pipeline.core.errors import AccessError, RequestError
from schemas import webhook_examples as examples
from schemas.http import Page
from schemas.owners import OwnerFilter
from schemas.webhooks import (
    DeliveryState,
    Webhook,
    WebhookChange,
    WebhookDelivery,
    WebhookReplay,
    WebhookReplayed,
    WebhookRequest,
    WebhookRotation,
    WebhookSecret,
)


class WebhookQuery(OwnerFilter, PageQuery):
    """Query of `GET /v1/webhooks`."""


class DeliveryQuery(PageQuery):
    """Query of `GET /v1/webhooks/{webhook}/deliveries`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "failed"}]})

    state: DeliveryState | None = Field(None, description="Only deliveries in this state")


async def create(request: web.Request) -> web.StreamResponse:
    wanted = await parse_json(request, WebhookRequest)
    owner = _owner_of(request, wanted)
    webhook, secret = await request.app[SERVICES].webhooks.create(owner, wanted.url, wanted.events, wanted.note)
    location = f"{base_url(request)}/v1/webhooks/{webhook.id}"
    return success(WebhookSecret(webhook=webhook, secret=secret), 201, headers={"Location": location})


async def index(request: web.Request) -> web.StreamResponse:
    query = own_only(parse_query(request, WebhookQuery), request)

    async def fetch(after: Position | None, limit: int) -> Sequence[Webhook]:
        return await request.app[SERVICES].webhooks.page(query.owner, after.pair if after else None, limit)

    items, next_cursor = await paginate(query, fetch, _position)
    return success(Page[Webhook](items=list(items), next_cursor=next_cursor))


async def show(request: web.Request) -> web.StreamResponse:
    return success(await request.app[SERVICES].webhooks.get(webhook_id(request), sees(request)))


async def change(request: web.Request) -> web.StreamResponse:
    name = webhook_id(request)
    wanted = await parse_json(request, WebhookChange)
    changed = await request.app[SERVICES].webhooks.change(
        name, sees(request), url=wanted.url, events=wanted.events, note=wanted.note, paused=wanted.paused
    )
    return success(changed)


async def delete(request: web.Request) -> web.StreamResponse:
    name = webhook_id(request)
    webhooks = request.app[SERVICES].webhooks
    webhook = await webhooks.get(name, sees(request))
    await webhooks.remove(name, sees(request))
    return success(webhook)


async def rotate(request: web.Request) -> web.StreamResponse:
    name = webhook_id(request)
    wanted = await parse_json(request, WebhookRotation)
    webhook, secret = await request.app[SERVICES].webhooks.rotate(name, sees(request), wanted.overlap_seconds)
    return success(WebhookSecret(webhook=webhook, secret=secret))


async def test(request: web.Request) -> web.StreamResponse:
    _require_within_rate(request)
    return success(await request.app[SERVICES].webhooks.test(webhook_id(request), sees(request)), 202)


async def deliveries(request: web.Request) -> web.StreamResponse:
    name = webhook_id(request)
    query = parse_query(request, DeliveryQuery)

    async def fetch(after: Position | None, limit: int) -> Sequence[WebhookDelivery]:
        if after is not None and after.name != name:
            raise RequestError("CURSOR_INVALID")
        before = None if after is None else after.moment
        return await request.app[SERVICES].webhooks.deliveries(name, sees(request), query.state, before, limit)

    items, next_cursor = await paginate(query, fetch, lambda delivery: Position(delivery.id, name))
    return success(Page[WebhookDelivery](items=list(items), next_cursor=next_cursor))


async def replay(request: web.Request) -> web.StreamResponse:
    _require_within_rate(request)
    name = webhook_id(request)
    wanted = await parse_json(request, WebhookReplay)
    return success(await request.app[SERVICES].webhooks.replay(name, sees(request), wanted), 202)


def _owner_of(request: web.Request, wanted: WebhookRequest) -> str | None:
    """Of whose uploads a new webhook is notified; None: of everybody's. Raises AccessError ACCESS_DENIED."""
    own = sees(request)
    if own is None or wanted.owner in (None, own):
        return wanted.owner if own is None else own
    needed = "the scope operate to create a webhook of another owner"
    raise AccessError("ACCESS_DENIED", needed=needed, granted=f"the scope {request[CALLER].scope}")


def _position(webhook: Webhook) -> Position:
    return Position(microseconds(webhook.created_at), webhook.id)


def _require_within_rate(request: web.Request) -> None:
    """Raises LimitReached RATE_LIMITED."""
    if (limit := request.app[LIMITS].webhooks) is not None:
        limit.require(request[CALLER].owner)


_TAG = "Webhooks"

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/webhooks",
        create,
        _TAG,
        "Create a webhook",
        "From now on the URL receives events of the owner's uploads by POST, as Standard Webhooks specifies: see "
        "`webhooks` in /openapi.json for what it receives, and docs/webhooks.md for how to verify it. The response "
        "contains the secret that signs the deliveries; it is not shown again. Callers with the scope `operate` may "
        "name any owner, or none: then the webhook is notified of every owner's uploads. For other callers the owner "
        "is their own, and naming another one is refused with ACCESS_DENIED.",
        responses=(
            ResponseSpec(201, "The webhook and its secret", WebhookSecret, headers={"Location": "URL of the webhook"}),
        ),
        errors=(*JSON_BODY_ERRORS, "WEBHOOK_URL_REFUSED", "WEBHOOK_LIMIT", *DATABASE_ERRORS),
        body=WebhookRequest,
        access=access.WEBHOOKS,
    ),
    Route(
        "GET",
        "/v1/webhooks",
        index,
        _TAG,
        "List webhooks",
        "Newest first, each with the outcome of its last attempt and the number of deliveries that wait. Callers with "
        "the scope `operate` see those of every owner and of the installation.",
        responses=(ResponseSpec(200, "One page", Page[Webhook]),),
        errors=(*LIST_ERRORS, *DATABASE_ERRORS),
        query=WebhookQuery,
        access=access.WEBHOOKS,
    ),
    Route(
        "GET",
        "/v1/webhooks/{webhook}",
        show,
        _TAG,
        "Show a webhook",
        "`state` says whether its deliveries succeed, `last_error` why the last attempt failed.",
        responses=(ResponseSpec(200, "The webhook", Webhook),),
        errors=WEBHOOK_LOOKUP_ERRORS,
        access=access.WEBHOOKS,
    ),
    Route(
        "PATCH",
        "/v1/webhooks/{webhook}",
        change,
        _TAG,
        "Change, pause or resume a webhook",
        "Changes the fields that are sent. `paused: false` resumes a webhook, whatever the reason for its pause; "
        "deliveries that waited are then sent. Another URL or a resumption starts counting failures anew.",
        responses=(ResponseSpec(200, "The webhook as it is now", Webhook),),
        errors=(*JSON_BODY_ERRORS, "WEBHOOK_URL_REFUSED", *WEBHOOK_LOOKUP_ERRORS),
        body=WebhookChange,
        access=access.WEBHOOKS,
    ),
    Route(
        "DELETE",
        "/v1/webhooks/{webhook}",
        delete,
        _TAG,
        "Delete a webhook",
        "Deletes it with its deliveries; those that wait are not sent. An attempt in progress still reaches its URL. A "
        "second DELETE returns WEBHOOK_NOT_FOUND and does no harm.",
        responses=(ResponseSpec(200, "The webhook as it was", Webhook),),
        errors=WEBHOOK_LOOKUP_ERRORS,
        access=access.WEBHOOKS,
    ),
    Route(
        "POST",
        "/v1/webhooks/{webhook}/rotate",
        rotate,
        _TAG,
        "Replace the secret of a webhook",
        "The response contains the new secret; it is not shown again. For `overlap_seconds` each delivery has a "
        "signature of both secrets, so that the receiver can be changed meanwhile. The body `{}` means a day.",
        responses=(ResponseSpec(200, "The webhook and its new secret", WebhookSecret),),
        errors=(*JSON_BODY_ERRORS, *WEBHOOK_LOOKUP_ERRORS),
        body=WebhookRotation,
        access=access.WEBHOOKS,
    ),
    Route(
        "POST",
        "/v1/webhooks/{webhook}/test",
        test,
        _TAG,
        "Test a webhook",
        "Queues an event of type `webhook.test`, which every webhook receives. It is signed and sent as any other "
        "event, so not while the webhook is paused; `GET /v1/webhooks/{webhook}/deliveries` shows how it went.",
        responses=(ResponseSpec(202, "The delivery that was queued", WebhookDelivery, example=examples.TEST_DELIVERY),),
        errors=WEBHOOK_LOOKUP_ERRORS,
        access=access.WEBHOOKS,
    ),
    Route(
        "GET",
        "/v1/webhooks/{webhook}/deliveries",
        deliveries,
        _TAG,
        "List the deliveries of a webhook",
        "Newest first, with the number of attempts and the outcome of the last one. They are kept for seven days by "
        "default (SLUICE_WEBHOOK_KEPT_SECONDS).",
        responses=(ResponseSpec(200, "One page", Page[WebhookDelivery]),),
        errors=(*LIST_ERRORS, *WEBHOOK_LOOKUP_ERRORS),
        query=DeliveryQuery,
        access=access.WEBHOOKS,
    ),
    Route(
        "POST",
        "/v1/webhooks/{webhook}/replay",
        replay,
        _TAG,
        "Deliver events again",
        "Queues the events that match all filters, oldest first, at most 10,000 in one request: also those that were "
        "delivered, and those of the time before the webhook existed. Each keeps its `webhook-id`. The body `{}` means "
        "every event that is kept. With `contents`, it queues `content.ready` of contents that the webhook was never "
        "sent, also of those whose event is not kept, at most 1,000 in one request.",
        responses=(ResponseSpec(202, "What was queued", WebhookReplayed),),
        errors=(*JSON_BODY_ERRORS, *WEBHOOK_LOOKUP_ERRORS),
        body=WebhookReplay,
        access=access.WEBHOOKS,
    ),
)
