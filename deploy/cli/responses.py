"""Responses of a gateway, parsed: the data that the API promises, or the error to raise.

Guarantee: a response of any other server, in any form, becomes a NotSluiceError.
"""

from __future__ import annotations

from typing import Final, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError
from yarl import URL

from deploy.cli.errors import ApiError, ClientError, NotSluiceError
from schemas.http import Failure, Success

M = TypeVar("M", bound=BaseModel)

_OTHER_CELL: Final = frozenset({"UPLOAD_IN_OTHER_CELL", "CREATE_IN_OTHER_CELL"})


def parse(body: str | bytes, model: type[M]) -> M | None:
    """`body` as a `model`; None when it is something else."""
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return None


def parse_success(body: bytes, model: type[M], server: str) -> M:
    """The data of a successful response. Raises NotSluiceError."""
    found = parse(body, Success[model])  # type: ignore[valid-type]  # a generic model made at run time
    if found is None:
        raise NotSluiceError(server, 200, "but not with the data that this version of Sluice sends")
    return found.data


def failure(response: aiohttp.ClientResponse, body: bytes) -> ClientError:
    """The error of a response with a status from 300 on."""
    retry_after = response.headers.get("Retry-After", "")
    retry_after_seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
    found = parse(body, Failure)
    if found is not None:
        return ApiError(
            status=found.status,
            code=found.error.code,
            message=found.error.message,
            detail=found.error.detail,
            request_id=found.error.request_id,
            retry_after_seconds=retry_after_seconds,
        )
    if response.status < 400:
        return NotSluiceError(origin(response.url), response.status, _redirect(response))
    return NotSluiceError(origin(response.url), response.status, "not in Sluice's format", retry_after_seconds)


def in_other_cell(response: aiohttp.ClientResponse, failed: ClientError) -> URL | None:
    """The URL at which another cell serves this request; None: it is no redirect of a gateway, or one that leaves
    TLS."""
    if failed.code not in _OTHER_CELL:
        return None
    try:
        location = URL(response.headers.get("Location", ""), encoded=True)
    except ValueError:
        return None
    allowed = {"https"} if response.url.scheme == "https" else {"https", "http"}
    return location if location.host and location.scheme in allowed else None


def origin(url: str | URL) -> str:
    """Scheme, host and port, without credentials; the text itself when it is no URL."""
    try:
        return str(URL(url).origin())
    except ValueError:
        return str(url)


def _redirect(response: aiohttp.ClientResponse) -> str:
    try:
        target = response.url.join(URL(response.headers.get("Location", "")))
        base = target.path.removesuffix(response.url.path).rstrip("/")
        return f"a redirect to {target.origin()}{base}"
    except ValueError:
        return "a redirect"
