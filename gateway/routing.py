"""The route table: one row per route.

`gateway.app` mounts these rows and `gateway.openapi` documents them. So every served route is documented, and every
documented route is served.

`errors` and `responses` are declarations. A response that its row does not declare is sent and logged as
`response.undocumented`; the tests fail if any process has logged that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from gateway.access import Access
from gateway.http.envelope import REQUEST_ID, failure
from gateway.http.paths import without_tokens
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.errors import SluiceError
from schemas.http import Failure

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON = "application/json"

METHOD_OVERRIDE = "X-HTTP-Method-Override"

UPLOAD_PATHS: Final = ("/v1/uploads/{id}", "/files/{id}", "/s3/multipart/{id}", "/v1/status/uploads/{id}")
"""The beginnings of every path that names an upload, which belongs to one cell."""


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """A request header that the handler reads, with its JSON schema. `value`: what the route's curl line sends in it;
    empty: the line leaves it out."""

    name: str
    description: str
    schema: Mapping[str, Any]
    value: str = ""


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """One successful response. `data` is the model inside the envelope or, if `bare`, of the whole body. None: the body
    has no envelope and is of `media_type` ("": no body). `headers`: name -> description of headers that the handler
    sets. `example`: the data, or the body without an envelope, that illustrates it; None: the first example of
    `data`."""

    status: int
    description: str
    data: type[BaseModel] | None = None
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    example: Any = None
    bare: bool = False


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """How a route sends errors. `respond` makes the response, whose body is a `model`. `statuses`: code -> the statuses
    that it is sent with, in place of the catalogue's. `problems`: codes that may be sent as `application/problem+json`
    (RFC 9457), whose members are added to the envelope."""

    respond: Callable[[web.Request, SluiceError], web.Response]
    statuses: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    problems: frozenset[str] = frozenset()
    model: type[Failure] = Failure

    def statuses_of(self, code: str) -> tuple[int, ...]:
        """The statuses with which an error is sent."""
        return self.statuses.get(code) or (CATALOGUE[code].http_status,)


def _in_envelope(request: web.Request, error: SluiceError) -> web.Response:
    return failure(error, without_tokens(request.path), request[REQUEST_ID])


ENVELOPE = ErrorForm(_in_envelope)
"""The form of every route that names no other: the envelope, with the catalogue's status."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    `errors`: codes of the error catalogue that the handler can respond with. `query` and `body`: the models that the
    handler parses; `raw_body` describes a body that is not JSON, of one of `raw_types`. `response_headers`: name ->
    value, sent with every response of this route, errors included. `quiet`: polled by machines, so logged at debug
    level. `new_work`: refused while the gateway shuts down. `streaming`: lasts as long as its client wants, so its
    duration is not measured. `aliases`: other paths of the same route. `overridable`: the header X-HTTP-Method-Override
    chooses the method of a request to this path.
    """

    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    description: str
    responses: tuple[ResponseSpec, ...]
    errors: tuple[str, ...] = ()
    query: type[BaseModel] | None = None
    request_headers: tuple[RequestHeader, ...] = ()
    body: type[BaseModel] | None = None
    raw_body: str = ""
    raw_types: tuple[str, ...] = ("application/octet-stream",)
    quiet: bool = False
    new_work: bool = False
    streaming: bool = False
    response_headers: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    overridable: bool = False
    error_form: ErrorForm = ENVELOPE
    access: Access = field(kw_only=True)

    @property
    def all_errors(self) -> tuple[str, ...]:
        """`errors`, and the codes that any route can respond with, each once."""
        busy = ("GATEWAY_BUSY",) if self.new_work else ()
        moved: tuple[str, ...] = ("UPLOAD_IN_OTHER_CELL",) if self.names_upload else ()
        if self.creates and not self.access.anyone:
            moved = ("CREATE_IN_OTHER_CELL", "VALIDATION_FAILED")
        any_route = ("REQUEST_MALFORMED", "CONNECTION_LIMIT", "INTERNAL")
        return tuple(dict.fromkeys((*self.errors, *moved, *self._access_errors, *busy, *any_route)))

    @property
    def names_upload(self) -> bool:
        """Whether its path names an upload: such a request is redirected to the upload's cell."""
        return self.path.startswith(UPLOAD_PATHS)

    @property
    def _access_errors(self) -> tuple[str, ...]:
        if self.access.anyone:
            return ()
        keys = ("DATABASE_UNAVAILABLE", "AUTH_UNAVAILABLE")
        return (
            *("UNAUTHENTICATED", "CREDENTIAL_INVALID", "CREDENTIAL_EXPIRED", "ACCESS_DENIED", "RATE_LIMITED"),
            "REQUEST_LIMIT",
            *keys,
        )

    @property
    def creates(self) -> bool:
        """Whether it registers uploads, which are limited by themselves."""
        return "QUEUE_FULL" in self.errors

    def documents(self, status: int, code: str | None) -> bool:
        """Whether this row declares a response: an error with this code and status, or a success with this status."""
        if code is not None:
            return code in self.all_errors and status in self.error_form.statuses_of(code)
        return any(response.status == status for response in self.responses)


def require_access(routes: Iterable[Route]) -> None:
    """Raises TypeError for the first route that does not declare who may call it."""
    for route in routes:
        if not isinstance(route.access, Access):
            raise TypeError(f"{route.method} {route.path} declares no access: set it to a value of gateway.access")
        if not route.access.anyone and not route.access.scopes:
            raise TypeError(f"{route.method} {route.path} can be called by nobody: {route.access} names no scope")


def methods_of(routes: Iterable[Route], path: str) -> tuple[str, ...]:
    """Every method that `path` accepts, sorted: those in the table, HEAD wherever there is GET, and OPTIONS."""
    methods = {route.method for route in routes if path in (route.path, *route.aliases)}
    if "GET" in methods:
        methods.add("HEAD")
    return tuple(sorted(methods | {"OPTIONS"}))
