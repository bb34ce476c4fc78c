"""A client that holds every answer against /openapi.json: an answer that is not documented fails the test that got it.

Guarantee: status, headers, shape and error code of each answer were checked; so the tests that use it for something
else prove, beside it, that the document is true.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy
from openapi_schema_validator import OAS31Validator

from pipeline.core.errors import CATALOGUE

_ANYWHERE = {"ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED"}
"""Codes of requests that no row of the route table answers."""


@dataclass(frozen=True, slots=True)
class Told:
    """One answer."""

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


class TruthfulClient:
    """Requests to one gateway."""

    def __init__(self, session: aiohttp.ClientSession, url: str, api: Mapping[str, Any]) -> None:
        self.session = session
        self.url = url
        self._api = api

    async def request(self, method: str, path: str, **options: Any) -> Told:
        async with self.session.request(
            method, path if path.startswith("http") else self.url + path, **options
        ) as answer:
            told = Told(answer.status, answer.headers, await answer.read())
        self.check(method, re.sub(r"^https?://[^/]+", "", path).partition("?")[0], told)
        return told

    def check(self, method: str, path: str, told: Told) -> None:
        """Is this an answer that the document speaks of? Raises AssertionError."""
        assert told.headers["X-Request-Id"]
        template = next(
            (name for name in self._api["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/]+", name), path)), None
        )
        operation = self._api["paths"].get(template, {}).get({"HEAD": "get"}.get(method, method.lower()))
        if method == "HEAD" or told.status == 204:
            assert not told.body
        elif operation is None and method == "OPTIONS" and template:
            assert told.json["success"]
        elif operation is None:
            self._check_schema({"$ref": "#/components/schemas/Failure"}, told)
            assert told.code in _ANYWHERE
        else:
            self._check_operation(operation, told)

    def _check_operation(self, operation: Mapping[str, Any], told: Told) -> None:
        assert str(told.status) in operation["responses"], f"{told.status} is not documented: {told.body!r}"
        answer = operation["responses"][str(told.status)]
        media_type = told.headers["Content-Type"].partition(";")[0]
        assert media_type in answer["content"], media_type
        for name in set(answer["headers"]) - {"Retry-After"}:
            assert name in told.headers, f"{name} is documented, but was not sent"
        if "Retry-After" in told.headers:
            assert "Retry-After" in answer["headers"]
        if media_type == "application/json":
            content = answer["content"][media_type]
            self._check_schema(content["schema"], told)
            if told.status >= 400:
                assert told.code in content["examples"], f"{told.code} is not documented here"
                assert CATALOGUE[told.code].http_status == told.status

    def _check_schema(self, schema: Mapping[str, Any], told: Told) -> None:
        OAS31Validator({**schema, "components": self._api["components"]}).validate(told.json)
        if "success" in told.json:
            assert told.json["status"] == told.status
            assert told.json["success"] is (told.status < 400)
