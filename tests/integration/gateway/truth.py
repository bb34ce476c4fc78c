"""A client that compares every response with /openapi.json: an undocumented response fails the test that received it.

Guarantee: status, headers, shape and error code of each response are checked, so every test that uses this client also
tests the document.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from jsonschema_rs import Draft202012Validator
from multidict import CIMultiDictProxy

from gateway.app import ALL_ROUTES, whole_document

_ANYWHERE = {"ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED"}
"""Codes of requests that match no row of the route table."""

_ALIASES = {alias: route.path for route in ALL_ROUTES for alias in route.aliases}

_SOMETIMES = {"Retry-After", "RateLimit", "RateLimit-Policy"}
"""Headers that depend on the error, or on the caller."""

_OF_SOME = {"Upload-Offset", "Upload-Concat", "Repr-Digest"}
"""Headers that not every tus upload has: of a final upload, and of partial and final ones. That of contents whose
digest is known."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.json["data"]
        return data

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def detail(self) -> dict[str, Any]:
        detail: dict[str, Any] = self.json["error"]["detail"]
        return detail


class Description:
    """A gateway's document, as its clients parse it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        parsed: dict[str, Any] = json.loads(json.dumps(document))
        self._components = parsed["components"]
        self._validators: dict[str, Draft202012Validator] = {}
        self._operations: dict[str, tuple[re.Pattern[str], dict[str, Any]]] = {
            path: (re.compile(re.sub(r"{\w+}", "[^/]+", path)), operations)
            for path, operations in parsed["paths"].items()
        }

    @staticmethod
    @functools.cache
    def of_all_routes() -> Description:
        return Description(whole_document())

    def operations(self, path: str) -> dict[str, Any] | None:
        """Those of the template that a path matches, by method; None where no template does."""
        if path in self._operations:  # /v1/contents/import is no content's id
            return self._operations[path][1]
        return next((operations for form, operations in self._operations.values() if form.fullmatch(path)), None)

    def validate(self, schema: Mapping[str, Any], body: Any) -> None:
        """Raises jsonschema_rs' ValidationError."""
        name = json.dumps(schema)
        if name not in self._validators:
            self._validators[name] = Draft202012Validator({**schema, "components": self._components})
        self._validators[name].validate(body)


class TruthfulClient:
    """Requests to one gateway, whose application has this document."""

    def __init__(self, session: aiohttp.ClientSession, url: str, document: dict[str, Any]) -> None:
        self.session = session
        self.url = url
        whole = document is whole_document()
        self._description = Description.of_all_routes() if whole else Description(document)

    async def request(self, method: str, path: str, **options: Any) -> Response:
        async with self.session.request(
            method, path if path.startswith("http") else self.url + path, **options
        ) as received:
            response = Response(received.status, received.headers, await received.read())
        self.check(method, re.sub(r"^https?://[^/]+", "", path).partition("?")[0], response)
        return response

    def check(self, method: str, path: str, response: Response) -> None:
        """Raises AssertionError for a response that the document does not describe."""
        assert response.headers["X-Request-Id"]
        path = _ALIASES.get(path, path)
        operations = self._description.operations(path)
        operation = (operations or {}).get({"HEAD": "get"}.get(method, method.lower()))
        if method == "HEAD" or response.status == 204:
            assert not response.body
        elif operation is None and method == "OPTIONS" and operations:
            assert response.json["success"]
        elif operation is None:
            self._check_schema({"$ref": "#/components/schemas/Failure"}, response)
            assert response.code in _ANYWHERE
        else:
            self._check_operation(operation, response)

    def _check_operation(self, operation: Mapping[str, Any], response: Response) -> None:
        assert str(response.status) in operation["responses"], f"{response.status} is not documented: {response.body!r}"
        documented = operation["responses"][str(response.status)]
        for name in set(documented["headers"]) - _SOMETIMES - _OF_SOME:
            assert name in response.headers, f"{name} is documented, but was not sent"
        for name in _SOMETIMES & set(response.headers):
            assert name in documented["headers"], f"{name} was sent, but is not documented"
        if "content" not in documented:
            assert (response.body, "Content-Type" in response.headers) == (b"", False)
            return
        media_type = response.headers["Content-Type"].partition(";")[0]
        assert media_type in documented["content"] or "*/*" in documented["content"], media_type
        if media_type == "application/json":
            content = documented["content"][media_type]
            self._check_schema(content["schema"], response)
            if response.status >= 300:
                assert response.code in content["examples"], f"{response.code} is not documented here"
                assert content["examples"][response.code]["value"]["status"] == response.status

    def _check_schema(self, schema: Mapping[str, Any], response: Response) -> None:
        self._description.validate(schema, response.json)
        if "success" in response.json:
            assert response.json["status"] == response.status
            assert response.json["success"] is (response.status < 300)
