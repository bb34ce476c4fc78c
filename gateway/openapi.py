"""The OpenAPI 3.1 document, made from the route table and the pydantic models.

Guarantee: it is true by construction where it can be (paths, methods, parameters, bodies and answers come from the rows
that are served and the models that parse and answer), and by test where it cannot (real answers are held against it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.http.request_ids import HEADER, PATTERN
from gateway.routing import JSON, Answer, Header, Route
from pipeline.core.errors import CATALOGUE
from schemas.http import Failure, Success

DOCUMENT = web.AppKey("openapi", dict[str, Any])

_REF = "#/components/schemas/{model}"

_DESCRIPTION = """Takes large videos and images in, segment by segment, and turns each into a stored object, a \
metadata row and a thumbnail.

Every JSON answer has one envelope, a good one or a bad one:
`{"success": true, "status": 201, "data": {...}}`
`{"success": false, "status": 404, "error": {"code": ..., "message": ..., "path": ..., "request_id": ..., \
"detail": {...}}}`

Codes are stable: branch on `error.code`. HEAD is answered wherever GET is, OPTIONS everywhere."""

_HEADERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    HEADER: (
        "The request's id: the client's own, if it sent one, else a new one. It leads to the log.",
        {"type": "string"},
    ),
    "Retry-After": ("Seconds after which the same request may succeed.", {"type": "integer", "minimum": 1}),
}

_PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "id": {
        "description": "The id that the creation answered with",
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$"},
    },
    "number": {
        "description": "Number of the segment, from 1",
        "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    },
}

_REQUEST_ID = Header(
    HEADER,
    "An id of your own for this request; it comes back and stands in the log.",
    {"type": "string", "pattern": PATTERN},
)


def build_document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document, JSON-able."""
    table = tuple(routes)
    schemas = _schemas(table)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sluice", "version": _version(), "description": _DESCRIPTION},
        "paths": paths,
        "components": {"schemas": schemas},
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in table)],
        "x-error-catalogue": {
            code: {"status": spec.http_status, "retryable": spec.retryable, "message": spec.message}
            for code, spec in CATALOGUE.items()
        },
    }


def envelope_of(answer: Answer) -> type[BaseModel] | None:
    """The model of a whole answer."""
    if answer.data is None:
        return None
    envelope: Any = Success
    model: type[BaseModel] = envelope[answer.data]
    return model


def _schemas(routes: tuple[Route, ...]) -> dict[str, Any]:
    answered = {model for route in routes for answer in route.answers if (model := envelope_of(answer))} | {Failure}
    taken = {route.body for route in routes if route.body}
    _, definitions = models_json_schema(
        [*((model, "validation") for model in taken), *((model, "serialization") for model in answered)],
        ref_template=_REF,
    )
    found: dict[str, Any] = definitions["$defs"]
    return dict(sorted(found.items()))


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}",
        "tags": [route.tag],
        "summary": route.summary,
        "description": route.description,
        "parameters": _parameters(route),
        "responses": {**_successes(route), **_failures(route)},
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _reference(route.body)}}}
    if route.raw_body:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "description": route.raw_body, "content": content}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not None:
        schema = route.query.model_json_schema()
        for name, part in schema["properties"].items():
            inline = _inline(part, schema.get("$defs", {}))
            description = inline.pop("description", "")
            found.append({"name": name, "in": "query", "required": False, "description": description, "schema": inline})
    found.extend(
        {
            "name": header.name,
            "in": "header",
            "required": False,
            "description": header.description,
            "schema": dict(header.schema),
        }
        for header in (*route.headers, _REQUEST_ID)
    )
    return found


def _inline(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A property of a query as it can be sent: what is left out is left out, so null is no choice."""
    if "anyOf" in part:
        choices = [choice for choice in part["anyOf"] if choice.get("type") != "null"]
        rest = {key: value for key, value in part.items() if key not in {"anyOf", "default", "title"}}
        return _inline({**choices[0], **rest}, definitions)
    if "$ref" in part:
        target = definitions[part["$ref"].rpartition("/")[2]]
        return {
            "type": target["type"],
            "enum": target["enum"],
            **{key: part[key] for key in part if key == "description"},
        }
    return {key: value for key, value in part.items() if key != "title"}


def _successes(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for answer in route.answers:
        headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()}
        entry: dict[str, Any] = {"description": answer.description, "headers": {**_header(HEADER), **headers}}
        model = envelope_of(answer)
        if answer.media_type:
            schema = _reference(model) if model else {"type": "object" if answer.media_type == JSON else "string"}
            entry["content"] = {answer.media_type: {"schema": schema}}
        found[str(answer.status)] = entry
    return found


def _failures(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in route.all_errors:
        by_status.setdefault(CATALOGUE[code].http_status, []).append(code)
    return {str(status): _failure(route.path, status, codes) for status, codes in sorted(by_status.items())}


def _failure(path: str, status: int, codes: list[str]) -> dict[str, Any]:
    examples = {
        code: {
            "summary": CATALOGUE[code].message,
            "value": {
                "success": False,
                "status": status,
                "error": {
                    "code": code,
                    "message": CATALOGUE[code].message,
                    "path": path,
                    "request_id": "0198c1f2",
                    "detail": {},
                },
            },
        }
        for code in codes
    }
    waits = "UPLOAD_WAITING" in codes or any(CATALOGUE[code].retryable and status in {503, 507} for code in codes)
    return {
        "description": ", ".join(codes),
        "headers": {**_header(HEADER), **(_header("Retry-After") if waits else {})},
        "content": {JSON: {"schema": _reference(Failure), "examples": examples}},
    }


def _header(name: str) -> dict[str, Any]:
    description, schema = _HEADERS[name]
    return {name: {"description": description, "schema": dict(schema)}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    # The name that pydantic gives a generic model in `models_json_schema`: whatever is no word becomes an underscore.
    return {"$ref": _REF.format(model=re.sub(r"[^a-zA-Z0-9.\-_]", "_", model.__name__))}


def _version() -> str:
    try:
        return version("sluice")
    except PackageNotFoundError:  # run from a tree that is not installed
        return "0"
