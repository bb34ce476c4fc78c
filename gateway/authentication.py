"""Decides, before a handler runs and before a body is read, whether a request is made by a caller of its route.

Guarantee: no credential or a bad one gets 401; a good one that this route does not accept gets 403; a path that names
an upload or a content of another owner gets the same 404 as one that names nothing. A credential is never logged.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import structlog
from aiohttp import web

from gateway.access import URL_PARAMETER, Access
from gateway.keys import CALLER, SERVICES
from gateway.routing import Route
from pipeline.access.authenticator import EVERYBODY
from pipeline.core.access import Caller
from pipeline.core.errors import AccessError, RequestError

_UPLOAD: Final = "/v1/uploads/{id}"
_CONTENT: Final = "/v1/contents/{id}"


async def require_caller(request: web.Request, route: Route) -> None:
    """Sets CALLER. Raises AccessError UNAUTHENTICATED, CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, ACCESS_DENIED;
    RequestError UPLOAD_NOT_FOUND, CONTENT_NOT_FOUND; DependencyUnavailable."""
    if route.access.anyone:
        return
    authenticator = request.app[SERVICES].authenticator
    caller = await _caller(request, route.access) if authenticator.required else EVERYBODY
    request[CALLER] = caller
    structlog.contextvars.bind_contextvars(owner=caller.owner, scope=caller.scope, credential=caller.credential)
    if not route.access.permits(caller):
        granted = caller.scope or (f"a token of the kind {caller.token}" if caller.token else "no scope")
        raise AccessError("ACCESS_DENIED", needed=route.access.needed, granted=granted)
    await _require_own(request, route, caller)


async def _caller(request: web.Request, access: Access) -> Caller:
    authenticator = request.app[SERVICES].authenticator
    header = request.headers.get("Authorization")
    if header is None and access.in_url and URL_PARAMETER in request.query:
        return authenticator.in_url(request.query[URL_PARAMETER], access.in_url)
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return await authenticator.bearer(value.strip())
    if scheme.lower() == "basic" and access.basic:
        return await authenticator.bearer(_password(value))
    raise AccessError("UNAUTHENTICATED")


def _password(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise AccessError("CREDENTIAL_INVALID", reason="it is not valid Basic") from None


async def _require_own(request: web.Request, route: Route, caller: Caller) -> None:
    """What a token names is compared with the path alone. Contents of other owners are excluded by each query of the
    database, so that they take the same time as those that do not exist."""
    named = request.match_info.get("id")
    if named is None:
        return
    is_upload = route.path.startswith(_UPLOAD)
    if caller.token is not None:
        if caller.upload_id == named:
            return
        raise (
            RequestError("UPLOAD_NOT_FOUND", upload_id=named[:64])
            if is_upload
            else RequestError("CONTENT_NOT_FOUND", content_id=named[:64])
        )
    if is_upload and caller.sees is not None:
        await request.app[SERVICES].ownership.require(named[:64], caller.sees)
