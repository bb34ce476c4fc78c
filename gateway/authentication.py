"""Decides, before a handler runs and before a body is read, whether a request is made by a caller of its route.

Guarantee: a missing or invalid credential gets 401; a valid one that this route does not accept gets 403; a path that
names an upload or a content of another owner gets the same 404 as one that names nothing. A credential is never logged.

A request for an upload of another cell is redirected to it. That it exists and whose it is, only that cell knows: a
caller without a valid credential gets 401 here, and one of another owner 404 there.

An owner that sends requests faster than its limit gets 429 before anything is read for it. So does an address that
sends many requests without a valid credential, unless it is that of a trusted proxy. Requests with a valid credential
from such an address are served, since several clients may share it. An expired credential always gets
CREDENTIAL_EXPIRED, so that its client renews it.
"""

from __future__ import annotations

import base64
from typing import Final

import structlog
from aiohttp import web

from gateway.access import URL_PARAMETER, Access, named_upload
from gateway.cells import require_here
from gateway.keys import CALLER, LIMITS, ROUTE_HEADERS, SERVICES
from gateway.limits import LEVEL_FIELD, POLICY_FIELD, rate_limited
from gateway.routing import Route
from pipeline.access.authenticator import EVERYBODY
from pipeline.core.access import Caller
from pipeline.core.errors import AccessError, RequestError

_UPLOADS: Final = ("/v1/uploads/{id}", "/files/{id}", "/s3/multipart/{id}")
"""Of these, callers see their owner's uploads only."""
_CONTENT: Final = "/v1/contents/{id}"


async def require_caller(request: web.Request, route: Route) -> None:
    """Sets CALLER. Raises AccessError UNAUTHENTICATED, CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, ACCESS_DENIED;
    LimitReached RATE_LIMITED; RequestError UPLOAD_NOT_FOUND, CONTENT_NOT_FOUND; OtherCell UPLOAD_IN_OTHER_CELL;
    DependencyUnavailable."""
    if route.access.anyone:
        return
    authenticator = request.app[SERVICES].authenticator
    try:
        caller = await _caller(request, route.access) if authenticator.required else EVERYBODY
    except AccessError as error:
        if error.code != "CREDENTIAL_EXPIRED":
            request.app[LIMITS].count_failure(request.remote or "")
        raise
    request[CALLER] = caller
    structlog.contextvars.bind_contextvars(owner=caller.owner, scope=caller.scope, credential=caller.credential)
    _require_within_rate(request, route, caller.owner)
    if not route.access.permits(caller):
        granted = (
            caller.token.described if caller.token else f"the scope {caller.scope}" if caller.scope else "no scope"
        )
        raise AccessError("ACCESS_DENIED", needed=route.access.needed, granted=granted)
    await _require_own(request, route, caller)


def _require_within_rate(request: web.Request, route: Route, owner: str) -> None:
    """Sets the header fields of the limits that apply to this request. Raises LimitReached RATE_LIMITED."""
    limits = request.app[LIMITS]
    if limits.requests is None:
        return
    level = limits.requests.take(owner)
    policies = [limits.requests.policy, *([limits.creations] if route.creates and limits.creations else [])]
    request[ROUTE_HEADERS][POLICY_FIELD] = ", ".join(policies)
    request[ROUTE_HEADERS][LEVEL_FIELD] = limits.requests.level_item(level)
    if not level.taken:
        raise rate_limited(limits.requests.name, level.seconds)


async def _caller(request: web.Request, access: Access) -> Caller:
    authenticator = request.app[SERVICES].authenticator
    if access.in_path and (text := _in_path(request)):
        return await authenticator.in_url(text, access.in_path)
    sent = request.headers.getall("Authorization", [])
    if not sent and access.in_url and URL_PARAMETER in request.query:
        return await authenticator.in_url(request.query[URL_PARAMETER], access.in_url)
    if len(sent) > 1:  # a proxy may look at another one of them
        raise AccessError("CREDENTIAL_INVALID", reason="it is one of several")
    scheme, _, value = "".join(sent).partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return await authenticator.bearer(value.strip())
    if scheme.lower() == "basic" and access.basic:
        return await authenticator.bearer(_password(value))
    raise AccessError("UNAUTHENTICATED")


def _in_path(request: web.Request) -> str:
    """The token in the path, that of an upload first; "" without one. It counts in place of a header: Uppy sends one
    header with every request, or none."""
    return named_upload(request.match_info.get("id", ""))[1] or request.match_info.get("permit", "")


def _password(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except ValueError:  # also binascii.Error and UnicodeDecodeError
        raise AccessError("CREDENTIAL_INVALID", reason="the header is not valid Basic authentication") from None


async def _require_own(request: web.Request, route: Route, caller: Caller) -> None:
    """Compare the id in a token with the path, and the owner of an upload with the caller's. Contents of other owners
    are excluded by each query of the database, so that they take the same time as those that do not exist."""
    named = request.match_info.get("id")
    if named is None:
        return
    named, _ = named_upload(named)
    is_upload = route.path.startswith(_UPLOADS)
    if is_upload and caller.permit is not None:
        await require_here(request, named)
        await request.app[SERVICES].ownership.require_permit(named[:64], caller.permit.permit_id)
        return
    if caller.token is not None:
        if caller.upload_id == named:
            if is_upload:
                await require_here(request, named)
            return
        raise (
            RequestError("UPLOAD_NOT_FOUND", upload_id=named[:64])
            if is_upload
            else RequestError("CONTENT_NOT_FOUND", content_id=named[:64])
        )
    if route.names_upload:
        await require_here(request, named)
    if is_upload and caller.sees is not None:
        await request.app[SERVICES].ownership.require(named[:64], caller.sees)
