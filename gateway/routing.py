"""The shape of the route table: one row per route, from which the server, /openapi.json and the tests are all made.

Guarantee: a route that is served is documented and the other way round, since both come from the same row; `errors`
lists every code that the route may answer with (the integration tests hold each real answer against it).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Header:
    """A request header: its JSON schema and what it is for."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One success. `data` is the model inside the envelope; None: the body is no envelope but `media_type` as it is
    ("": no body)."""

    status: int
    description: str
    data: type[BaseModel] | None = None
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    `query` and `body` are the models that the handler parses with; `raw_body` describes a body that is no JSON.
    `quiet`: polled by machines, so logged at debug level. `new_work`: refused while the gateway shuts down.
    `streaming`: its duration says nothing.
    """

    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    description: str
    answers: tuple[Answer, ...]
    errors: tuple[str, ...] = ()
    query: type[BaseModel] | None = None
    headers: tuple[Header, ...] = ()
    body: type[BaseModel] | None = None
    raw_body: str = ""
    quiet: bool = False
    new_work: bool = False
    streaming: bool = False

    @property
    def all_errors(self) -> tuple[str, ...]:
        """`errors`, and what any route may answer."""
        busy = ("GATEWAY_BUSY",) if self.new_work else ()
        return (*self.errors, *busy, "REQUEST_MALFORMED", "INTERNAL")


ROUTES = web.AppKey("routes", tuple[Route, ...])


def methods_of(routes: tuple[Route, ...], path: str) -> tuple[str, ...]:
    """Every method that `path` takes, sorted: those in the table, HEAD wherever there is GET, and OPTIONS."""
    methods = {route.method for route in routes if route.path == path}
    if "GET" in methods:
        methods.add("HEAD")
    return tuple(sorted(methods | {"OPTIONS"}))
